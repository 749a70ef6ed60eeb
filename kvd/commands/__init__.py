"""The commands of `kvd` beside serving, one module each."""
