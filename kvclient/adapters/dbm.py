"""A database as of the standard library's `dbm`, for `shelve` and whoever takes one.

>>> import shelve
>>> from kvclient.adapters import dbm
>>> with shelve.Shelf(dbm.open("scores", store="work")) as shelf:
...     shelf["anna"] = {"points": (3, 4)}
...     shelf["anna"]
{'points': (3, 4)}

A key is stored as `dbm:NAME:KEY`, its bytes as text where they are UTF-8; a value, which is bytes, as a JSON string of
base64. A shelf's values are pickles: reading one runs what its writer chose. See docs/adapters.md.
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Iterator, MutableMapping
from types import TracebackType
from typing import Literal, Self

from kvclient import Client
from kvclient.client.blocking import DEFAULT_TIMEOUT
from kvclient.contract.errors import InvalidValueError, KeyNotFoundError

Text = bytes | str

_cannot_stand = re.compile(b"[\x00-\x1f\x7f%]|\xc2[\x80-\x9f]")
_not_utf8 = re.compile("[\udc80-\udcff]")
_escapes = re.compile(b"%([0-9A-F]{2})")


class Database(MutableMapping[bytes, bytes]):
    """What `open` returns: keys and values of bytes; where str is given, it is taken as UTF-8.

    Every method is one request and atomic, but for those of all keys, of which each page is.
    """

    def __init__(self, store: Client, prefix: str, *, writable: bool) -> None:
        self._store = store
        self._prefix = prefix
        self._writable = writable

    def __getitem__(self, key: Text) -> bytes:
        name = self._name(key)
        try:
            return _value(self._store.read(name), name)
        except KeyNotFoundError:
            raise KeyError(key) from None

    def __setitem__(self, key: Text, value: Text) -> None:
        self._check_writable()
        self._store.put(self._name(key), b64encode(_bytes(value)).decode())

    def __delitem__(self, key: Text) -> None:
        self._check_writable()
        try:
            self._store.delete(self._name(key))
        except KeyNotFoundError:
            raise KeyError(key) from None

    def __contains__(self, key: object) -> bool:
        return isinstance(key, bytes | str) and self._store.exists(self._name(key))

    def __len__(self) -> int:
        return self._store.count(self._prefix)

    def __iter__(self) -> Iterator[bytes]:
        return (_unescaped(name.removeprefix(self._prefix)) for name in self._store.list(self._prefix))

    def clear(self) -> None:
        """Remove all keys of this database. Atomic."""
        self._check_writable()
        self._store.clear(self._prefix)

    def sync(self) -> None:
        """Do nothing: what was stored is with the daemon."""

    def close(self) -> None:
        """Close this thread's connection. The next use connects again."""
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_writable(self) -> None:
        if not self._writable:
            raise PermissionError(f"The database {self._prefix[4:-1]!r} was opened for reading only (flag 'r').")

    def _name(self, key: Text) -> str:
        return self._prefix + _escaped(_bytes(key))


def open(  # noqa: A001  # as dbm.open
    name: str,
    flag: Literal["r", "w", "c", "n"] = "c",
    *,
    endpoint: str | None = None,
    store: str | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    autostart: bool = True,
) -> Database:
    """Return the database called `name` in a store that is named as for `Client`.

    `flag` is as of `dbm.open`: "r" only reads, "w" writes too, "c" creates, "n" begins anew and empty. A database is
    there while it has a key: with "r" and "w" one that has none raises `FileNotFoundError`, which is a `dbm.error`.
    Raises `ValueError` for another flag, and for a name that is empty or has a colon or a control character.
    """
    if flag not in ("r", "w", "c", "n"):
        raise ValueError(f"The flag is 'r', 'w', 'c' or 'n', not {flag!r}.")
    if not isinstance(name, str) or not name or ":" in name or not name.isprintable():
        raise ValueError(f"A database's name has at least one character, and neither ':' nor a control one: {name!r}.")
    client = Client(endpoint, store=store, timeout=timeout, autostart=autostart)
    database = Database(client, f"dbm:{name}:", writable=flag != "r")
    if flag == "n":
        database.clear()
    elif flag != "c" and not database:
        raise FileNotFoundError(f"There is no database {name!r}; flag 'c' or 'n' creates it.")
    return database


def _bytes(text: Text) -> bytes:
    if isinstance(text, str):
        return text.encode()
    if isinstance(text, bytes | bytearray):
        return bytes(text)
    raise TypeError(f"Keys and values of a dbm are bytes or str, not {type(text).__name__}.")


def _value(stored: object, name: str) -> bytes:
    try:
        if isinstance(stored, str):
            return b64decode(stored, validate=True)
    except binascii.Error:
        pass
    raise InvalidValueError(f"The value of key {name!r} is not of a dbm: it is no base64 text.", [name])


def _escaped(key: bytes) -> str:
    r"""Return bytes as text that a key can be: `%XX` for control characters, `%`, and what is not UTF-8.

    >>> _escaped("é%\n".encode())
    'é%25%0A'
    """
    escaped = _cannot_stand.sub(lambda found: b"".join(b"%%%02X" % byte for byte in found[0]), key)
    text = escaped.decode("utf-8", "surrogateescape")
    return _not_utf8.sub(lambda found: f"%{ord(found[0]) - 0xDC00:02X}", text)


def _unescaped(text: str) -> bytes:
    return _escapes.sub(lambda found: bytes([int(found[1], 16)]), text.encode())
