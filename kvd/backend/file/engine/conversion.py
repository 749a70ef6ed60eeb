"""Taking over a plain JSON file: one written by hand, by an editor, by `jq`, or by this program's predecessor.

Accepted is one object of objects with `value` and, optionally, `expires_at` or `expiry` (Unix seconds or null),
`revision` and `owner`. Of a data file that went through `jq`, the removed keys (null) and the file's own empty name are
left out. Whatever else is found refuses the whole file: nothing is dropped that somebody may miss.
"""

import contextlib
import glob
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kvclient.contract.errors import DataStoreError, StoreCorruptError, StoreFullError
from kvclient.contract.rules import check_key, encode_value
from kvd.backend.asking import Owner
from kvd.backend.file.engine.format import CLOSING
from kvd.backend.file.engine.interface import NEVER, Put
from kvd.backend.file.engine.snapshot import NO_SECOND_NAMES, Snapshot, sync_directory

MOST_REVISION = 1 << 53
"""Whatever lies above is a mistake, and would leave no room for the revisions to come."""


def plain_entries(data: bytes, path: Path) -> dict[str, Put]:
    """Return the entries of a plain JSON file's content. Raises `StoreCorruptError` that says what cannot be taken."""
    if not data.strip():
        return {}
    try:
        document = json.loads(data, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise StoreCorruptError(f"{path} is not a data file: {_reason(error)}") from None
    if not isinstance(document, dict):
        raise StoreCorruptError(f"{path} is not a data file: it holds a JSON {_kind(document)}, not an object.")
    entries: dict[str, Put] = {}
    for key, content in document.items():
        if key == "" or content is None:
            continue
        try:
            entries[check_key(key)] = entry_from(key, content, len(entries) + 1)
        except DataStoreError as error:
            raise StoreCorruptError(f"{path} cannot be taken over: {error}", [key]) from None
    return entries


def entry_from(key: str, content: Any, revision: int) -> Put:
    """Return the entry that `content` describes, with `revision` if it has none. Raises `DataStoreError`."""
    if not isinstance(content, dict) or "value" not in content:
        raise DataStoreError(f'key {key!r} is not an object with a "value".')
    if unknown := content.keys() - {"value", "revision", "expires_at", "expiry", "owner"}:
        raise DataStoreError(f"key {key!r} has fields of unknown meaning: {', '.join(sorted(unknown))}.")
    expires_at = content.get("expires_at", content.get("expiry"))
    number = isinstance(expires_at, int | float) and not isinstance(expires_at, bool)
    if expires_at is not None and not (number and abs(expires_at) <= sys.float_info.max):
        raise DataStoreError(f"key {key!r} expires at {expires_at!r}, which is no time in Unix seconds.")
    own = content.get("revision")
    revision = own if type(own) is int and 0 < own < MOST_REVISION else revision
    return Put(
        encode_value(content["value"], key),
        revision,
        NEVER if expires_at is None else float(expires_at),
        _owner(key, content),
    )


def _owner(key: str, content: Any) -> Owner | None:
    owner = content.get("owner")
    if owner is None:
        return None
    numbers = [owner.get(name) for name in ("pid", "started", "uid")] if isinstance(owner, dict) else []
    sound = numbers and all(type(number) is int and 0 <= number < MOST_REVISION for number in numbers)
    if not sound or len(owner) != len(Owner._fields) or not isinstance(owner.get("boot"), str):
        raise DataStoreError(f"key {key!r} has an owner of unknown meaning: {owner!r}.")
    return Owner(**owner)


def create(path: Path, temporary: Path) -> int | None:
    """Put an empty data file at `path`, whole or not at all; return it open and locked, None if somebody was faster."""
    with _written({}, temporary) as snapshot:
        return os.dup(snapshot.fd) if snapshot.publish_new(path) else None


def convert(path: Path, entries: dict[str, Put], temporary: Path, max_file_bytes: int) -> tuple[Path, int]:
    """Replace the plain file at `path` by a data file with `entries`.

    Returns where the original is kept, and the new file, open and locked.

    Raises `StoreFullError`, with nothing changed, if that would have more than `max_file_bytes`.
    """
    with _written(entries, temporary) as snapshot:
        size = snapshot.end + len(CLOSING)
        if size > max_file_bytes:
            raise StoreFullError(
                f"{path} would have {size} bytes as a data file, more than its limit of {max_file_bytes} "
                "(setting max_file_bytes). Nothing was changed; raise the limit, or shorten the file."
            )
        kept = keep(path, "original")
        snapshot.publish(path)
        return kept, os.dup(snapshot.fd)


@contextlib.contextmanager
def _written(entries: dict[str, Put], temporary: Path) -> Iterator[Snapshot]:
    temporary.unlink(missing_ok=True)
    snapshot = Snapshot(temporary, max((put.revision for put in entries.values()), default=0))
    try:
        for key, put in entries.items():
            snapshot.add(key, put)
        snapshot.finish({})
        snapshot.close_object()
        yield snapshot
    finally:
        snapshot.discard()


def keep(path: Path, why: str) -> Path:
    """Give the file at `path` a second name beside it, durably, and return that.

    One that a crashed run left will do.
    """
    for found in kept_names(path, why):
        return found
    kept = aside(path, why)
    try:
        os.link(path, kept)
    except OSError as error:
        if error.errno not in NO_SECOND_NAMES:
            raise
        shutil.copy2(path, kept)
        with kept.open("rb") as file:
            os.fsync(file.fileno())
    sync_directory(kept)
    return kept


def kept_names(path: Path, why: str) -> Iterator[Path]:
    """Yield the names that `keep` has given to the very file that is at `path` still."""
    for found in path.parent.glob(f"{glob.escape(path.name)}.{why}-*"):
        if not found.is_symlink() and os.path.samefile(found, path):
            yield found


def aside(path: Path, why: str) -> Path:
    """Return a free name beside `path` for a copy that is kept, such as `data_store.json.original-20260131-120000`."""
    stem = f"{path.name}.{why}-{time.strftime('%Y%m%d-%H%M%S')}"
    candidates = [path.with_name(stem), *(path.with_name(f"{stem}-{n}") for n in range(2, 1000))]
    return next(candidate for candidate in candidates if not os.path.lexists(candidate))


def refuse_constant(constant: str) -> None:
    """Have `json.loads` refuse what it would take and JSON does not: NaN and the infinities."""
    raise ValueError(f"{constant} is not JSON")


def _reason(error: Exception) -> str:
    return "it is nested too deeply." if isinstance(error, RecursionError) else f"{error}."


def _kind(document: Any) -> str:
    return {list: "array", str: "string", bool: "boolean", type(None): "null"}.get(type(document), "number")
