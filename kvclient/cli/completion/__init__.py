"""Completion in shells: scripts that know the commands and their options, and ask for keys and stores as one types."""
