"""Exactly once: what became of each client's latest request, so that asking again changes nothing.

A client raises the number in its request ids with every new request and has one request under way at a time. So its
latest outcome is all that has to be kept. Successes are part of the commit that they belong to and survive any crash.
A refusal changed nothing and is kept in memory only: after a restart it is decided anew, which is as right an answer,
because nobody has heard the first.
"""

from collections.abc import Mapping

from kvclient.errors import DataStoreError, RequestError

MOST_CLIENTS = 1024
"""Clients remembered; of more, those heard of last. A client's retry comes within seconds, so this must not be less
than the clients that write for the first time within a few seconds. Takes about 250 bytes each."""

Result = int | DataStoreError
"""The revision of a success, or why it was refused."""


def recall(latest: Mapping[str, tuple[int, Result]], client: str, number: int) -> Result | None:
    """Return the outcome of a request among the `latest` ones, None if the request is new.

    Raises `RequestError` if the client has since sent another.
    """
    known = latest.get(client)
    if known is None or known[0] < number:
        return None
    if known[0] > number:
        raise RequestError(f"Request {client}:{number} is older than {client}:{known[0]}, which was already answered.")
    return known[1]


class Outcomes:
    """The latest outcome of each client, in the order in which they were heard of."""

    def __init__(self, durable: dict[str, tuple[int, int]]) -> None:
        self._latest: dict[str, tuple[int, Result]] = dict(list(durable.items())[-MOST_CLIENTS:])

    def find(self, client: str, number: int) -> Result | None:
        """Return the outcome if this request is the client's latest, None if it is new. Raises as `recall`."""
        return recall(self._latest, client, number)

    def add(self, client: str, number: int, result: Result) -> None:
        """Note an outcome, in place of the client's former one."""
        self._latest.pop(client, None)
        self._latest[client] = (number, result)
        if len(self._latest) > MOST_CLIENTS:
            del self._latest[next(iter(self._latest))]

    def durable(self) -> dict[str, tuple[int, int]]:
        """Return the successes."""
        return {c: (number, result) for c, (number, result) in self._latest.items() if isinstance(result, int)}


def split_id(request_id: str) -> tuple[str, int]:
    """Return client and number of a request id."""
    client, _, number = request_id.rpartition(":")
    return client, int(number)
