"""The backend that keeps a store in one JSON file: `store` says what operations mean, `engine` keeps the file."""
