"""From a frame of bytes to a request: parsed by its declaration, its values left as they were sent."""
