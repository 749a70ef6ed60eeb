"""Telling of changes: the events since a revision, and those to come."""
