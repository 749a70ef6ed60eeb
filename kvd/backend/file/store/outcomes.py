"""Exactly once: what became of each client's latest request, so that asking again changes nothing.

A client raises the number in its request ids with every new request and has one request under way at a time. So its
latest outcome is all that has to be kept. Successes are part of the commit that they belong to and survive any crash.
A refusal changed nothing and is kept in memory only: after a restart it is decided anew, which is as right an answer,
because nobody has heard the first. Refusals are kept apart, so that many of them push out no success.
"""

from kvclient.contract.errors import DataStoreError, RequestError
from kvd.backend.file.engine.interface import LOST, Outcome

MOST_CLIENTS = 1024
"""Maximum clients remembered; the least recent is evicted. A client's retry comes within seconds, so this must not be
less than the clients that write for the first time within a few seconds. Takes about 250 bytes each."""
MOST_RESULT_BYTES = 16 << 20
"""Bytes of results remembered, such as popped values. Beyond, the least recent are forgotten: a repetition is then told
that the request was carried out, and not what came of it."""

Result = Outcome | DataStoreError
"""What a request's reply tells."""


class Outcomes:
    """The latest outcome of each client, in the order in which they were heard of."""

    def __init__(self, durable: dict[str, Outcome]) -> None:
        self._successes = dict(list(durable.items())[-MOST_CLIENTS:])
        self._refusals: dict[str, tuple[int, DataStoreError]] = {}
        self._result_bytes = sum(len(outcome.fields) for outcome in self._successes.values())

    def recall(self, client: str, number: int) -> Result | None:
        """Return the outcome of a request; None if it is new.

        It is a `RequestError` if the client has since sent another, or if the result was too long to be kept.
        """
        success = self._successes.get(client)
        refusal = self._refusals.get(client) if self._refusals else None
        if success is None and refusal is None:
            return None
        if success is None or (refusal is not None and refusal[0] > success.number):
            assert refusal is not None
            return repeated(refusal, client, number)
        return repeated((success.number, success), client, number)

    def add(self, client: str, number: int, result: Result) -> None:
        """Note an outcome, in place of the client's former one."""
        if isinstance(result, DataStoreError):
            self._refusals.pop(client, None)
            self._refusals[client] = (number, result)
            if len(self._refusals) > MOST_CLIENTS:
                del self._refusals[next(iter(self._refusals))]
            return
        successes = self._successes
        former = successes.pop(client, None)
        successes[client] = result
        if self._refusals:
            self._refusals.pop(client, None)
        if former is None:
            if len(successes) > MOST_CLIENTS:
                evicted = successes.pop(next(iter(successes)))
                self._result_bytes -= len(evicted.fields)
        elif former.fields:
            self._result_bytes -= len(former.fields)
        if result.fields:
            self._result_bytes += len(result.fields)
            if self._result_bytes > MOST_RESULT_BYTES:
                self._forget_results()

    def _forget_results(self) -> None:
        for client, outcome in self._successes.items():
            if len(outcome.fields) > len(LOST):
                self._successes[client] = outcome._replace(fields=LOST)
                self._result_bytes -= len(outcome.fields) - len(LOST)
                if self._result_bytes <= MOST_RESULT_BYTES // 2:
                    return

    def durable(self) -> dict[str, Outcome]:
        """Return the successes."""
        return dict(self._successes)


def repeated(latest: tuple[int, Result], client: str, number: int) -> Result | None:
    """Return the outcome of a request, given the number and outcome of its client's latest; None if it is new."""
    known, result = latest
    if number > known:
        return None
    if number < known:
        return RequestError(f"Request {client}:{number} is older than {client}:{known}, which was already answered.")
    if isinstance(result, Outcome) and result.fields == LOST:
        return RequestError(
            f"Request {client}:{number} was carried out, at revision {result.revision}; its result was too long to be "
            "remembered."
        )
    return result


def split_id(request_id: str) -> tuple[str, int]:
    """Return client and number of a request id."""
    client, _, number = request_id.rpartition(":")
    return client, int(number)
