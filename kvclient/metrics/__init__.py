"""What a monitoring system is told of a store. `families` says which metrics there are."""
