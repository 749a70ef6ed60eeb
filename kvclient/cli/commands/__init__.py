"""The commands of `kvctl`, a file each: arguments, options, help with an example, and what it does."""
