"""A large JSON array or object piece by piece, so that its members can be counted before all of them are parsed."""

from collections.abc import Callable, Iterator, Sized
from typing import TypeVar

import msgspec

Part = TypeVar("Part", bound=Sized)

_CHUNK_BYTES = 128 * 1024
_TRIES = 16
"""Places at which to cut a piece off before it is tried with twice as many bytes, and then at one place only.

Each try parses the whole piece: with so many for each size, a batch with values of a mebibyte of `[[],[],…]` took more
than a second.
"""
_BETWEEN = {b"{": b"},{", b'"': b'","'}
"""What stands between two members of an array, by how the first one begins, with its comma in second place. A value has
less of this in it than of mere commas.
"""


def chunks(text: bytes, decode: Callable[[bytes], Part]) -> Iterator[Part]:
    """Yield the members of a compact JSON array or object, as `decode` returns them for an array or object of some.

    A cut is tried at a comma. What is cut off parses only if the comma stands between two members: it begins where one
    begins, so a comma within a member leaves that one unfinished.
    """
    opening, closing = text[:1], text[-1:]
    start, stop = 1, len(text) - 1
    separator = b',"' if opening == b"{" else _BETWEEN.get(text[1:2], b",")
    offset = separator.index(b",")
    if len(text) <= _CHUNK_BYTES:
        yield decode(text)
        return
    size = _CHUNK_BYTES
    while start < stop:
        if stop - start <= size:
            yield decode(opening + text[start:stop] + closing)
            return
        place = start + size
        for _ in range(_TRIES if size == _CHUNK_BYTES else 1):
            place = text.rfind(separator, start, place)
            if place < 0:
                break
            comma = place + offset
            try:
                part = decode(opening + text[start:comma] + closing)
            except msgspec.ValidationError:
                raise
            except msgspec.DecodeError:
                continue
            yield part
            start, size = comma + 1, _CHUNK_BYTES
            break
        else:
            place = -1
        if place < 0:
            size *= 2
