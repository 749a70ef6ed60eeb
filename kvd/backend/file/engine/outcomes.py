"""What became of clients' requests, as the file keeps it: number, revision and the reply's fields.

A reply may be as long as a value, so the fields are bounded, on opening as in a compaction. Where they have to go the
request stays known, and its result is `LOST`: then it is not carried out twice, and nobody gets a wrong answer.
"""

import json
from collections.abc import Iterator

from kvd.backend.file.engine.footnote import FRAME_BYTES, encode_result, fields_of, split_results
from kvd.backend.file.engine.format import SNAPSHOT_MARKER_BYTES, encode_ids
from kvd.backend.file.engine.interface import LOST, Outcome

# Outcomes are collected unparsed; of more clients than this, those that were heard of last.
_MOST_OUTCOMES = 8192
RESULT_BYTES = 16 << 20
"""Bytes of all results that are kept; of more, those of the latest clients."""
GROUP_BYTES = 128 * 1024
"""Results share a commit of a snapshot up to this size."""


class Outcomes:
    """The latest outcome of each client. Parsing a million of them would take seconds: most are only sorted out."""

    def __init__(self) -> None:
        self._latest: dict[bytes, bytes] = {}
        self._results: dict[bytes, bytes] = {}
        self._lost: set[bytes] = set()
        self._bytes = 0

    def add(self, ids: bytes, results: bytes) -> None:
        """Take note of a commit's `ids`, and of the `results` in its footnote."""
        if b"]," in ids:
            for client, outcome in json.loads(ids).items():
                self._set(json.dumps(client, ensure_ascii=False).encode(), b"%d,%d" % tuple(outcome))
            for name, fields in split_results(results):
                self._set_fields(name, fields)
            return
        name, _, numbers = ids[1:-2].rpartition(b":[")
        self._set(name, numbers)
        if results:
            self._set_fields(name, fields_of(results[len(name) + 1 :]))

    def _set(self, client: bytes, outcome: bytes) -> None:
        self._latest.pop(client, None)
        self._latest[client] = outcome
        self._forget_fields(client)
        if len(self._latest) > 2 * _MOST_OUTCOMES:
            gone = list(self._latest)[:-_MOST_OUTCOMES]
            for name in gone:
                del self._latest[name]
                self._forget_fields(name)

    def _forget_fields(self, client: bytes) -> None:
        self._lost.discard(client)
        if (fields := self._results.pop(client, None)) is not None:
            self._bytes -= len(fields)

    def _set_fields(self, client: bytes, fields: bytes) -> None:
        if fields == LOST:
            self._lost.add(client)
            return
        self._results[client] = fields
        self._bytes += len(fields)
        while self._bytes > RESULT_BYTES:
            oldest = next(iter(self._results))
            self._forget_fields(oldest)
            self._lost.add(oldest)

    def parsed(self) -> dict[str, Outcome]:
        """Return the outcomes by client, the latest client last."""
        found = {}
        for client, outcome in self._latest.items():
            number, _, revision = outcome.partition(b",")
            fields = LOST if client in self._lost else self._results.get(client, b"")
            found[json.loads(client)] = Outcome(int(number), int(revision), fields)
        return found


def affordable(outcomes: dict[str, Outcome], most: int) -> dict[str, Outcome]:
    """Return the latest of the outcomes, as many as a snapshot can keep in `most` bytes.

    Fields go before numbers do, and those of the earlier clients first.
    """
    kept = {client: outcome._replace(fields=LOST if outcome.fields else b"") for client, outcome in outcomes.items()}
    while (used := encoded_bytes(kept)) > most:
        kept = dict(list(kept.items())[len(kept) // 2 + 1 :])
    left = min(most - used, RESULT_BYTES)
    left -= left // GROUP_BYTES * (SNAPSHOT_MARKER_BYTES + FRAME_BYTES)
    for client in reversed(kept):
        fields = outcomes[client].fields
        if len(fields) > left:
            break
        left -= len(fields)
        kept[client] = outcomes[client]
    return kept


def encoded_bytes(outcomes: dict[str, Outcome]) -> int:
    """Return how many bytes the outcomes take in one commit."""
    results = [len(encode_result(client, outcome.fields)) + 1 for client, outcome in outcomes.items() if outcome.fields]
    frame = len(b',"":{"results":{}}\n') if results else 0
    return len(encode_ids(outcomes)[0] if outcomes else b"") + sum(results) + frame


def grouped(outcomes: dict[str, Outcome]) -> Iterator[dict[str, Outcome]]:
    """Yield the outcomes in their order, in groups for one commit each."""
    group: dict[str, Outcome] = {}
    size = 0
    for client, outcome in outcomes.items():
        group[client] = outcome
        size += len(outcome.fields)
        if size >= GROUP_BYTES:
            yield group
            group, size = {}, 0
    yield group
