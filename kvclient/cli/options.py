"""The options that every command takes."""

from typing import NamedTuple

from kvclient.client.blocking import DEFAULT_TIMEOUT, Client


class Options(NamedTuple):
    """What was given on the command line."""

    store: str | None = None
    endpoint: str | None = None
    timeout: float = DEFAULT_TIMEOUT
    json: bool = False

    def client(self, *, autostart: bool = True) -> Client:
        """Return a client of the daemon that is meant."""
        return Client(self.endpoint, store=self.store, timeout=self.timeout, autostart=autostart)
