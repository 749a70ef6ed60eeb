"""Stores of other libraries, as `kvctl import --from` reads them: shelve, dbm and diskcache.

shelve and diskcache keep pickles, and a pickle is a program: it can have any function called that Python can import.
These are read by an unpickler that imports nothing. It makes what JSON has, which needs no import, and refuses the
rest. So nothing of a file is ever executed, and diskcache itself is not needed.
"""

import contextlib
import dbm
import io
import json
import os
import pickle
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kvclient.cli.moving.record import Record, checked, plain_record
from kvclient.contract.errors import DataStoreError, InvalidKeyError, InvalidValueError
from kvclient.contract.rules import encode_value, shorten

SOURCES = ("shelve", "dbm", "diskcache")
_SUFFIXES = ("", ".db", ".dat", ".dir")
# Modes of diskcache.core: how a row's value is kept.
_RAW, _BINARY, _TEXT, _PICKLE = 1, 2, 3, 4


class _Unpickler(pickle.Unpickler):
    """Makes numbers, strings, lists, dicts and what else needs no import. It calls nothing."""

    def find_class(self, module: str, name: str) -> Any:
        """Refuse: whatever it is, JSON does not have it."""
        raise InvalidValueError(f"its pickle needs {module}.{name}, which kvctl does not import")


def records(kind: str, path: str) -> Iterator[Record | DataStoreError]:
    """Yield what a store of another library has: records, and an error for each that cannot be stored.

    Raises `DataStoreError` if it cannot be read at all.
    """
    yield from _FROM[kind](path)


def _from_dbm(path: str) -> Iterator[Record | DataStoreError]:
    for name, stored in _dbm_items(path):
        yield _record(path, name, lambda data=stored: _parsed(data))


def _from_shelve(path: str) -> Iterator[Record | DataStoreError]:
    for name, stored in _dbm_items(path):
        yield _record(path, name, lambda data=stored: _unpickled(data))


def _dbm_items(path: str) -> Iterator[tuple[str | bytes, bytes]]:
    candidates = [path, *(path.removesuffix(suffix) for suffix in _SUFFIXES[1:] if path.endswith(suffix))]
    found = next((name for name in candidates if dbm.whichdb(name)), None)
    if found is None:
        there = any(os.path.exists(f"{path}{suffix}") for suffix in _SUFFIXES)
        raise DataStoreError(
            f"{path} is not a dbm file, and therefore not a shelve."
            if there
            else f"{path} cannot be read: there is no such dbm file."
        )
    try:
        with contextlib.closing(dbm.open(found, "r")) as file:
            for name in file.keys():  # noqa: SIM118  # not each kind of dbm can be iterated
                yield name, file[name]
    except (OSError, *dbm.error) as error:
        raise DataStoreError(f"{path} cannot be read: {error}.") from None


def _from_diskcache(path: str) -> Iterator[Record | DataStoreError]:
    database = Path(path, "cache.db")
    if not database.is_file():
        raise DataStoreError(f"{path} is not a diskcache directory: there is no {database}.")
    query = "SELECT key, raw, expire_time, mode, filename, value FROM Cache ORDER BY rowid"
    try:
        with contextlib.closing(sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            for name, raw, expires_at, mode, filename, value in connection.execute(query):
                try:
                    key = name if raw else _unpickled(bytes(name))
                except InvalidValueError as error:
                    yield InvalidKeyError(f"A key in {path} is none: {error.message}.")
                    continue
                yield _record(
                    path,
                    key,
                    lambda kept=(mode, filename, value): _kept(Path(path), *kept),
                    expires_at,
                )
    except sqlite3.Error as error:
        raise DataStoreError(f"{path} cannot be read: {error}.") from None


def _kept(directory: Path, mode: int, filename: str | None, value: Any) -> Any:
    """Return a value of diskcache's, which is in the database or in a file."""
    if filename is not None:
        data = Path(directory, filename).read_bytes()
        return data.decode() if mode == _TEXT else _unpickled(data) if mode == _PICKLE else data
    return _unpickled(bytes(value)) if mode == _PICKLE else value


def _record(path: str, name: Any, read: Any, expires_at: float | None = None) -> Record | DataStoreError:
    shown = shorten(repr(name.decode("utf-8", "replace") if isinstance(name, bytes) else name))
    place = f"Key {shown} in {path}"
    try:
        key = checked(place, name.decode() if isinstance(name, bytes) else name)
        value = read()
        return plain_record(place, key, value, len(key) + len(encode_value(value, key)), expires_at)
    except UnicodeDecodeError:
        return InvalidValueError(f"{place} has a key or a value that is not UTF-8.")
    except (InvalidKeyError, InvalidValueError) as error:
        text = error.message if error.message.startswith(place) else f"{place}: {error.message}"
        return type(error)(text, error.keys)
    except OSError as error:
        return InvalidValueError(f"{place}: its file cannot be read: {error.strerror}.")


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data.decode())
    except UnicodeDecodeError:
        raise
    except (ValueError, RecursionError):
        shown = shorten(data.decode("utf-8", "replace"), 30)
        raise InvalidValueError(f"its value is not JSON: {shown!r}") from None


def _unpickled(data: bytes) -> Any:
    try:
        return _Unpickler(io.BytesIO(data)).load()
    except InvalidValueError:
        raise
    except Exception as error:  # noqa: BLE001  # a damaged pickle raises whatever it comes across
        raise InvalidValueError(f"its pickle cannot be read: {error}") from None


_FROM = {"shelve": _from_shelve, "dbm": _from_dbm, "diskcache": _from_diskcache}
