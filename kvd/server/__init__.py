"""Serving the store over ZeroMQ: the endpoint, the loop, the replies."""
