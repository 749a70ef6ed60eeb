"""Measuring a daemon: what `kvctl bench` does."""

OPERATIONS = ("create", "read", "delete")
"""What can be measured."""
