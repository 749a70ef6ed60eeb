"""Writing records to a store: in one step where they fit into a batch, else in many small ones.

A batch is refused as a whole, and so is an import that fits into one. A larger one goes in batches of a few hundred
keys: each takes the daemon milliseconds, and others do not wait longer than that.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any, Literal, NamedTuple

from kvclient.cli.moving.record import Record
from kvclient.client.blocking import Client
from kvclient.contract.errors import (
    AccessDeniedError,
    DaemonUnavailableError,
    DataStoreError,
    KeyExistsError,
)
from kvclient.contract.rules import check_key, check_value_size, encode_value
from kvclient.screen.quantities import counted

OnConflict = Literal["fail", "skip", "replace"]
_CHUNK, _CHUNK_BYTES = 250, 128 * 1024
"""Of a large import: keys in a batch, and bytes of them. The daemon takes some milliseconds for either."""
_BY_DEFAULT = {
    "max_batch": 10_000,
    "max_request_bytes": 16 << 20,
    "max_key_length": 256,
    "max_value_bytes": 1 << 20,
}
_LOOKED_THROUGH = 8
"""A store is gone through for the keys of a batch up to so many times as many; the others are asked for one by one."""


class Counts(NamedTuple):
    """What became of the records."""

    written: int = 0
    skipped: int = 0
    """There already."""
    expired: int = 0
    """Their time had come before they were written."""
    ephemeral: int = 0
    """Bound to a process, which another store cannot follow."""

    @property
    def all(self) -> int:
        """How many records there were."""
        return sum(self)


class Importer:
    """Writes records, and counts them."""

    def __init__(self, client: Client, on_conflict: OnConflict, *, dry_run: bool) -> None:
        """With `dry_run` it only looks whether everything could be written."""
        self._client = client
        self._on_conflict = on_conflict
        self._dry_run = dry_run
        self._limits = self._limits_of_daemon()
        self.counts = Counts()

    def _limits_of_daemon(self) -> dict[str, int]:
        try:
            limits: dict[str, int] = self._client.status().get("limits", {})
            return _BY_DEFAULT | limits
        except (DaemonUnavailableError, AccessDeniedError):  # there is none yet; or it tells its limits to its owner
            return _BY_DEFAULT

    def take(self, records: Iterable[Record], told: Callable[[int], None]) -> None:
        """Write all records; `told` is called now and then with the number of those that are done.

        Raises what the first refused record was refused for, with its place in the file, and with how many were written
        before it unless none was.
        """
        remaining = self._usable(records)
        first, rest = self._first_batch(remaining)
        try:
            if rest is None:
                self._write(first)
            else:
                for chunk in _chunks(chain(first, rest, remaining), min(_CHUNK, self._limits["max_batch"])):
                    self._write(chunk)
                    told(self.counts.all)
        except DataStoreError as error:
            if rest is None:
                raise
            written = f"{counted(self.counts.written, 'key')} {'would be' if self._dry_run else 'were'} written before."
            raise type(error)(f"{error.message} {written}", error.keys) from None

    def _usable(self, records: Iterable[Record]) -> Iterator[Record]:
        """Leave out what has expired, or was bound to a process."""
        for record in records:
            if record.ephemeral:
                self._count(ephemeral=1)
            elif record.expires_at is not None and record.expires_at <= time.time():
                self._count(expired=1)
            else:
                yield record

    def _first_batch(self, records: Iterator[Record]) -> tuple[list[Record], list[Record] | None]:
        """Return all records if they fit into one batch, and None; else those that were read, and one that is over."""
        batch: list[Record] = []
        size = 0
        for record in records:
            size += record.size
            if len(batch) == self._limits["max_batch"] or (batch and size > self._limits["max_request_bytes"]):
                return batch, [record]
            batch.append(record)
        return batch, None

    def _write(self, batch: list[Record]) -> None:
        if not batch:
            return
        if self._on_conflict == "skip":
            batch = self._without_repeated(batch)
        if self._dry_run:
            self._look(batch)
            return
        while batch:
            try:
                self._client.batch([self._operation(record) for record in batch])
            except DataStoreError as error:
                if self._on_conflict != "skip" or not isinstance(error, KeyExistsError):
                    raise _placed(error, batch) from None
                batch = self._new(batch)
            else:
                self._count(written=len(batch))
                return

    def _operation(self, record: Record) -> dict[str, Any]:
        left = {} if record.expires_at is None else {"ttl": max(0.001, record.expires_at - time.time())}
        op = "put" if self._on_conflict == "replace" else "create"
        return {"op": op, "key": record.key, "value": record.value, **left}

    def _look(self, batch: list[Record]) -> None:
        """See whether the records could be written."""
        for record in batch:
            try:
                check_key(record.key, self._limits["max_key_length"])
                size = len(encode_value(record.value, record.key))
                check_value_size(size, record.key, self._limits["max_value_bytes"])
            except DataStoreError as error:
                raise type(error)(f"{record.place}: {error.message}", error.keys) from None
        if self._on_conflict == "skip":
            batch = self._new(batch)
        elif self._on_conflict == "fail" and (there := self._existing(batch)):
            record = next(record for record in batch if record.key in there)
            raise KeyExistsError(f"{record.place}: Key {record.key!r} exists.", sorted(there))
        self._count(written=len(batch))

    def _without_repeated(self, batch: list[Record]) -> list[Record]:
        """Of records with the same key, keep the first."""
        first = {record.key: record for record in reversed(batch)}
        kept = [record for record in batch if first[record.key] is record]
        self._count(skipped=len(batch) - len(kept))
        return kept

    def _new(self, batch: list[Record]) -> list[Record]:
        """Leave out the records whose key exists."""
        there = self._existing(batch)
        self._count(skipped=sum(record.key in there for record in batch))
        return [record for record in batch if record.key not in there]

    def _existing(self, batch: list[Record]) -> set[str]:
        """Return which of the keys exist, without reading any value.

        What was exported comes in the order of the store, and a list finds a thousand keys in the time of a request.
        """
        keys = sorted({record.key for record in batch if len(record.key) <= self._limits["max_key_length"]})
        if not keys:
            return set()
        wanted = set(keys)
        try:
            found = {keys[0]} if self._client.exists(keys[0]) else set()
            reached = keys[0]
            for entry in self._client.entries(after=keys[0], limit=_LOOKED_THROUGH * len(keys), values=False):
                reached = entry.key
                if reached >= keys[-1]:
                    break
                if reached in wanted:
                    found.add(reached)
            else:
                if next(self._client.list(after=reached, limit=1), None) is None:
                    return found
        except DaemonUnavailableError:
            if self._dry_run:  # a store that is not there has no keys
                return set()
            raise
        return found | {key for key in keys if key >= reached and self._client.exists(key)}

    def _count(self, **more: int) -> None:
        self.counts = self.counts._replace(**{name: getattr(self.counts, name) + count for name, count in more.items()})


def _placed(error: DataStoreError, batch: list[Record]) -> DataStoreError:
    """Return an error of a batch with the place of the record that was refused."""
    if error.index is None:
        return error
    message = error.message.removeprefix(f"Operation {error.index} of the batch: ")
    return type(error)(f"{batch[error.index].place}: {message}", error.keys)


def _chunks(records: Iterable[Record], most: int) -> Iterator[list[Record]]:
    chunk: list[Record] = []
    size = 0
    for record in records:
        chunk.append(record)
        size += record.size
        if len(chunk) == most or size >= _CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
