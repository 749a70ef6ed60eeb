"""Text that is read in pieces: JSON Lines line by line, one JSON object member by member, in flat memory."""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, BinaryIO

from kvclient.cli.moving.record import FIELDS, MOST_BYTES, Record, plain_record, record_from
from kvclient.contract.errors import DataStoreError, InvalidValueError
from kvclient.contract.rules import shorten

_CHUNK_BYTES = 256 * 1024
_BOM = b"\xef\xbb\xbf"
STANDARD_INPUT = "standard input"
_SPACE = " \t\r\n"
_begins_record = re.compile(rb'\s*\{\s*"key"\s*:\s*"').match


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


class Text:
    """A file of keys, and how much of it was read."""

    def __init__(self, file: BinaryIO, name: str, *, values: bool) -> None:
        """`name` is for messages. With `values` the file is one object of keys and plain values."""
        self._file = file
        self._name = name
        self._title = name[0].upper() + name[1:] if name == STANDARD_INPUT else name
        self._values = values
        self.position = 0
        """Bytes read."""

    def records(self) -> Iterator[Record]:
        """Yield what the file has. Raises `InvalidValueError` or `InvalidKeyError` that names the first bad place."""
        number, line = 1, self._line(1)
        line = line.removeprefix(_BOM)
        while line and not line.strip():
            number += 1
            line = self._line(number)
        start = line.lstrip()[:1]
        if start and start != b"{":
            raise InvalidValueError(
                f'{self._title} has neither JSON Lines, as in {{"key": "key1", "value": 1}}, nor a JSON object, as in '
                f'{{"key1": {{"value": 1}}}}: it begins with {shorten(line.decode("utf-8", "replace").strip(), 20)!r}.'
            )
        if not self._values and _is_record(line):
            yield from self._lines(number, line)
        elif start:
            yield from self._members(line)

    def _lines(self, number: int, line: bytes) -> Iterator[Record]:
        while line:
            if line.strip():
                place = f"Line {number} of {self._name}"
                fields = self._decoded(line, place)
                if not isinstance(fields, dict) or "key" not in fields:
                    raise InvalidValueError(f'{place} is not an object with a "key" and a "value".')
                yield record_from(place, fields["key"], fields, len(line))
            number += 1
            line = self._line(number)

    def _decoded(self, line: bytes, place: str) -> Any:
        try:
            return _decoder.decode(line.decode())
        except UnicodeDecodeError as error:
            raise InvalidValueError(f"{place} is not UTF-8: byte {error.start} is 0x{line[error.start]:02x}.") from None
        except RecursionError:
            raise InvalidValueError(f"{place} is not JSON that can be stored: it is nested too deeply.") from None
        except ValueError as error:
            raise InvalidValueError(f"{place} is not JSON: {error}.") from None

    def _line(self, number: int) -> bytes:
        """Return the next line, or its beginning if it is longer than a record can be and so begins an object."""
        line = self._read(self._file.readline, MOST_BYTES)
        if len(line) == MOST_BYTES and number > 1:
            raise InvalidValueError(f"Line {number} of {self._name} has more than {MOST_BYTES} bytes.")
        return line

    def _members(self, beginning: bytes) -> Iterator[Record]:
        members = _Members(self, beginning, self._title)
        for key, value, size in members:
            place = f"Key {shorten(key)!r} in {self._name}"
            yield (plain_record if self._values else record_from)(place, key, value, size)

    def more(self) -> bytes:
        """Return some more bytes; none at the end."""
        return self._read(self._file.read, _CHUNK_BYTES)

    def _read(self, read: Any, size: int) -> bytes:
        try:
            data: bytes = read(size)
        except OSError as error:
            raise DataStoreError(f"{self._title} cannot be read: {error.strerror}.") from None
        self.position += len(data)
        return data


def _is_record(line: bytes) -> bool:
    """Tell whether a file's first line is a record of JSON Lines, and not the beginning of an object."""
    try:
        fields = _decoder.decode(line.decode())
    except (ValueError, RecursionError):
        return _begins_record(line) is not None
    return isinstance(fields, dict) and isinstance(fields.get("key"), str) and fields.keys() <= FIELDS


class _Members:
    """Goes through the members of an object whose text comes in pieces."""

    def __init__(self, text: Text, beginning: bytes, name: str) -> None:
        self._text = text
        self._name = name
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._gone = 0
        """Characters in front of the buffer."""
        self._buffer = ""
        self._at = 0
        self._ended = False
        self._append(beginning)

    def __iter__(self) -> Iterator[tuple[str, Any, int]]:
        """Yield name, value and length of each member."""
        self._expect("{")
        if self._next() == "}":
            self._at += 1
        else:
            while True:
                yield self._member()
                if self._expect(",}") == "}":
                    break
        if rest := self._next():
            raise self._error(f"the object ends, and {rest!r} follows")

    def _member(self) -> tuple[str, Any, int]:
        if self._next() != '"':
            raise self._error(f"a name in double quotes is expected, not {self._next() or 'the end'!r}")
        start = self._gone + self._at
        name = self._value("a name")
        self._expect(":")
        self._next()
        value = self._value(f"the value of {shorten(name)!r}")
        return name, value, self._gone + self._at - start

    def _value(self, what: str) -> Any:
        """Return the JSON value that comes next. What does not end within the buffer is looked at again with more."""
        wanted = 2 * _CHUNK_BYTES
        while True:
            try:
                value, stop = _decoder.raw_decode(self._buffer, self._at)
                if stop < len(self._buffer) or self._ended:  # else a number might go on
                    self._at = stop
                    return value
            except RecursionError:
                raise self._error(f"{what} is nested too deeply") from None
            except ValueError as error:
                if self._ended or len(self._buffer) - self._at > MOST_BYTES:
                    reason = error.msg if isinstance(error, json.JSONDecodeError) else error
                    raise self._error(f"{what} is not JSON: {reason}") from None
            while len(self._buffer) - self._at < wanted and not self._ended:
                self._fill()
            wanted *= 2

    def _expect(self, characters: str) -> str:
        found = self._next()
        if not found or found not in characters:
            wanted = " or ".join(map(repr, characters))
            raise self._error(f"{wanted} is expected, not {found or 'the end'!r}")
        self._at += 1
        return found

    def _next(self) -> str:
        """Return the next character that is no space; an empty string at the end."""
        while True:
            buffer, at = self._buffer, self._at
            while at < len(buffer) and buffer[at] in _SPACE:
                at += 1
            self._at = at
            if at < len(buffer):
                return buffer[at]
            if self._ended:
                return ""
            self._fill()

    def _fill(self) -> None:
        self._append(self._text.more())

    def _append(self, data: bytes) -> None:
        self._ended = not data
        try:
            more = self._utf8.decode(data, final=self._ended)
        except UnicodeDecodeError as error:
            raise InvalidValueError(f"{self._name} is not UTF-8: {error.reason}.") from None
        self._gone += self._at
        self._buffer = self._buffer[self._at :] + more
        self._at = 0

    def _error(self, what: str) -> InvalidValueError:
        return InvalidValueError(f"{self._name} is not a JSON object: at character {self._gone + self._at}, {what}.")
