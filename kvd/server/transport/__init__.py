"""How requests come in and replies go out, each module in its own way; what they share is `kvd.server.peers`."""
