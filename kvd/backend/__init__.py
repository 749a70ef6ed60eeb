"""What keeps the data behind the server."""
