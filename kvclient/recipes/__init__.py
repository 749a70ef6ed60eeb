"""What processes do with a store together, each built on the operations of `Client` alone."""
