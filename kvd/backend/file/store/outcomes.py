"""Exactly once: what became of each client's latest request, so that asking again changes nothing.

A client raises the number in its request ids with every new request and has one request under way at a time. So its
latest outcome is all that has to be kept. Successes are part of the commit that they belong to and survive any crash.
A refusal changed nothing and is kept in memory only: after a restart it is decided anew, which is as right an answer,
because nobody has heard the first.
"""

from kvclient.contract.errors import DataStoreError, RequestError

MOST_CLIENTS = 1024
"""Clients remembered; of more, those heard of last. A client's retry comes within seconds, so this must not be less
than the clients that write for the first time within a few seconds. Takes about 250 bytes each."""

Result = int | DataStoreError
"""The revision of a success, or why it was refused."""


def recall(latest: tuple[int, Result] | None, client: str, number: int) -> Result | None:
    """Return the outcome of a request, given its client's `latest`; None if the request is new.

    It is a `RequestError` if the client has since sent another.
    """
    if latest is None or number > latest[0]:
        return None
    known, result = latest
    if known > number:
        return RequestError(f"Request {client}:{number} is older than {client}:{known}, which was already answered.")
    return result


class Outcomes:
    """The latest outcome of each client, in the order in which they were heard of."""

    def __init__(self, durable: dict[str, tuple[int, int]]) -> None:
        self._successes = dict(list(durable.items())[-MOST_CLIENTS:])
        self._latest: dict[str, tuple[int, Result]] = dict(self._successes)

    def latest(self, client: str) -> tuple[int, Result] | None:
        """Return number and outcome of the client's latest request, None if nothing is known of it."""
        return self._latest.get(client)

    def add(self, client: str, number: int, result: Result) -> None:
        """Note an outcome, in place of the client's former one."""
        self._latest.pop(client, None)
        self._latest[client] = (number, result)
        if isinstance(result, int):
            self._successes[client] = (number, result)
        if len(self._latest) > MOST_CLIENTS:
            oldest = next(iter(self._latest))
            del self._latest[oldest]
            self._successes.pop(oldest, None)

    def durable(self) -> dict[str, tuple[int, int]]:
        """Return each client's latest success, also where a refusal came after it: it must not be carried out again."""
        return {client: self._successes[client] for client in self._latest if client in self._successes}


def split_id(request_id: str) -> tuple[str, int]:
    """Return client and number of a request id."""
    client, _, number = request_id.rpartition(":")
    return client, int(number)
