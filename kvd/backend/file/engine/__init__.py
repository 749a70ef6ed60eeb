"""The engine that keeps its data in one JSON file. docs/data-file.md describes the format."""
