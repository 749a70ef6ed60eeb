"""Keys on their way into a store and out of it, as files: what `kvctl export` writes and `kvctl import` takes."""
