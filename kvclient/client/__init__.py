"""The clients: finding the daemon, asking it until it answers, `Client` and `AsyncClient`."""
