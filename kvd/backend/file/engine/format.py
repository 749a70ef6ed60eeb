"""The data file's format, as bytes: no file is opened here. docs/data-file.md describes it for other programs.

    {"":{"kvd":1,"crc":"e0d2a6f5"}                                                              the header
    ,"":{"crc":"9ae0c1f2","bytes":       41,"revision":1},"key1":{"revision":1,"value":{"a":1}}   a commit
    ,"":{"crc":"02b1e7d0","bytes":        …,"revision":3},"key2":{"revision":2,"value":7}         another, of two
    ,"key1":null                                                                                operations
    <spaces, kept for the next commits>
    }

A commit is a marker and the body that follows it, to the end of a line. The marker counts the body's bytes, and its
checksum covers everything after itself, so a commit is either whole or recognisably not. Values are compact JSON and
thus never hold a newline: a line that starts with a marker is a commit and nothing that a user stored.

The closing brace stands at the end of the spaces, not right behind the last commit. A program that reads the file
from front to back while a commit is being written then finds either spaces or the commit, and the same brace behind.
For the same reason no line crosses a page boundary unless it is longer than a page (see `PAGE`).
"""

import json
import re
import zlib
from collections.abc import Iterator
from json.encoder import encode_basestring  # json.dumps of a string takes 10 times as long
from typing import NamedTuple

from kvd.backend.file.engine.interface import NEVER, Commit, Entry, Put

VERSION = 1
CLOSING = b"}\n"
# How a file ends while it is open, and after a crash; one that was cleanly closed has no space there.
OPEN_END = b" " + CLOSING
MARKER_START = b',"":{"crc":"'
# The unit in which the kernel copies a file to a reader. A line within one page is seen whole or not at all by
# programs that read 4 KiB at a time, as jq does.
PAGE = 4096

# What stands around a value in its line.
VALUE_BEFORE, VALUE_AFTER = b'"value":', b"}"
AFTER_VALUE = len(b"}\n")
"""Bytes between a value and the end of its line."""

_HEADER_BODY = b'"kvd":%d}' % VERSION
HEADER = b'{"":{"crc":"%08x",%s\n' % (zlib.crc32(_HEADER_BODY), _HEADER_BODY)
EMPTY = HEADER + CLOSING

_string = rb'"[^"\\\n]*(?:\\.[^"\\\n]*)*"'  # unrolled: alternatives character by character take five times as long
_marker = re.compile(
    rb'[ \n]*(,"":\{"crc":"([0-9a-f]{8})",)("bytes":( *\d{1,18}),"revision":(\d{1,18})(?:,"synced":(\d{1,18}))?'
    rb'(?:,"ids":(\{(?:' + _string + rb":\[\d+,\d+\],?)+\}))?\})"
)
# A marker at the start of a line: what a commit after damaged bytes is recognised by. One damaged byte among the spaces
# before it does not hide it. (A user's line starts with `,"` and no empty name, or is not the start of a line.)
line_marker = re.compile(rb'\n *+[^ \n,]?+ *+(?=,"":\{"crc":"[0-9a-f]{8}","bytes":)')
_header = re.compile(rb'\{"":\{"crc":"([0-9a-f]{8})",("kvd":(\d{1,9})\})')
_entry_start = rb",(" + _string + rb'):(?:null|\{"revision":(\d{1,18})(?:,"expires_at":([0-9.e+-]+))?,"value":'
_entry = re.compile(_entry_start + rb"(.*)\}) *\n")
_entry_head = re.compile(rb" *" + _entry_start + rb")")
_closed = re.compile(rb"[ \n]*\}[ \n]*\Z")

MARKER_BYTES = len(b' ,"":{"crc":"00000000","bytes":,"revision":,"synced":}') + 9 + 2 * 19
"""Upper bound of a marker's length without `ids`."""


class Found(NamedTuple):
    """A whole commit, as it was read from a file."""

    start: int
    """Offset of its marker."""
    body_at: int
    stop: int
    """Offset of the byte after it."""
    revision: int
    synced: int | None
    """The revision that was durable when it was written; None: all that stands before it was."""
    ids: bytes | None
    body: bytes


def find_commit(data: bytes, position: int, base: int = 0) -> Found | int | None:
    """Read the commit that comes next at `position` of `data`, which is the file from offset `base` on.

    Returns None if there is no whole one, or, if that is because `data` ends too soon, the offset in `data` up to
    which it would have to reach.
    """
    marker = _marker.match(data, position)
    if marker is None:
        return None
    body_at = marker.end()
    stop = body_at + int(marker[4])
    if stop > len(data):
        return stop
    if b"%08x" % zlib.crc32(memoryview(data)[marker.start(3) : stop]) != marker[2]:
        return None
    synced = marker[6]
    return Found(
        base + marker.start(1),
        base + body_at,
        base + stop,
        int(marker[5]),
        int(synced) if synced is not None else None,
        marker[7],
        data[body_at:stop],
    )


def stated_stop(data: bytes, position: int) -> int | None:
    """Return where the commit at `position` ends if its marker, which may be damaged, is right."""
    marker = _marker.match(data, position)
    return marker.end() + int(marker[4]) if marker is not None else None


Row = tuple[str, int, int, int, float, int]
"""An entry as it is read: key, the value's offset and length, revision (0: removed), expiry, bytes of the line."""


def rows(commit: Found) -> Iterator[Row]:
    """Yield the entries of a commit, as plain tuples: a large file has millions of them."""
    base, body = commit.body_at, commit.body
    match, find = _entry_head.match, body.find
    stop = -1
    # The value is not looked at: a line's end is found ten times as fast.
    while (head := match(body, stop + 1)) and (stop := find(b"\n", head.end())) > 0:
        name, revision, expires_at = head.groups()
        start = head.end()
        yield (
            name[1:-1].decode() if b"\\" not in name else json.loads(name),
            base + start,
            stop - 1 - start,
            0 if revision is None else int(revision),
            NEVER if expires_at is None else float(expires_at),
            stop + 2 - head.start(1),
        )


def entries(commit: Found) -> Iterator[tuple[str, Entry | None]]:
    """Yield each key of a commit with its new entry, None if it was removed."""
    for key, offset, length, revision, expires_at, _ in rows(commit):
        yield key, Entry(offset, length, revision, expires_at) if revision else None


def unread(commit: Found) -> bytes:
    """Return what is in a whole commit's body besides entries; this program writes nothing there."""
    return _entry.sub(b"", commit.body).strip(b" \n")


def readable_keys(data: bytes) -> list[str]:
    """Return what look like keys in damaged bytes, for a report."""
    keys: dict[str, None] = {}
    for match in _entry.finditer(data):
        name = match[1].decode("utf-8", "replace")
        try:
            keys[json.loads(name, strict=False)] = None
        except ValueError:  # an escape that is none
            keys[name[1:-1]] = None
    return list(keys)


def header_version(data: bytes) -> int | None:
    """Return the format's version that a file beginning with `data` was written in, None without a sound header."""
    match = _header.match(data)
    return int(match[3]) if match is not None and b"%08x" % zlib.crc32(match[2]) == match[1] else None


def is_closed(rest: bytes) -> bool:
    """Tell whether `rest`, all that follows the last commit, is white space and the closing brace."""
    return _closed.match(rest) is not None


def encode_outcomes(outcomes: dict[str, tuple[int, int]]) -> bytes:
    """Return the `ids` field of a marker."""
    if not outcomes:
        return b""
    listed = [f"{encode_basestring(client)}:[{n},{revision}]" for client, (n, revision) in outcomes.items()]
    return f',"ids":{{{",".join(listed)}}}'.encode()


def encode_change(key: str, put: Put | None) -> bytes:
    """Return an entry's line. The value ends two bytes before its end."""
    name = encode_basestring(key).encode()
    if put is None:
        return b",%s:null\n" % name
    value, revision, expires_at = put
    if expires_at == NEVER:
        return b',%s:{"revision":%d,"value":%s}\n' % (name, revision, value)
    return b',%s:{"revision":%d,"expires_at":%s,"value":%s}\n' % (name, revision, repr(expires_at).encode(), value)


def entry_bytes(key: str, entry: Entry) -> int:
    """Return how many bytes an entry's line takes."""
    return len(encode_change(key, Put(b"", entry.revision, entry.expires_at))) + entry.length


class Encoded(NamedTuple):
    """A commit as bytes for a place in the file."""

    commit: Commit
    offset: int
    data: bytes
    lines: list[tuple[int, int]]
    """For each change, the offset in the file of the end of its line, and the bytes of the line."""


def encode_commit(commit: Commit, offset: int, *, synced: int | None = None, aligned: bool = True) -> Encoded:
    """Return `commit` for writing at `offset` or up to a page behind it; with `aligned`, lines keep to their page."""
    lines = [encode_change(key, put) for key, put in commit.changes.items()]
    fields = b',"revision":%d%s%s}' % (
        commit.revision,
        b"" if synced is None else b',"synced":%d' % synced,
        encode_outcomes(commit.outcomes),
    )
    # The count has a fixed width, so that the lines' places are known before it is.
    marker_length = len(b',"":{"crc":"00000000","bytes":000000000') + len(fields)
    first = lines[0] if lines else b"\n"
    start = offset + _padding(offset, marker_length + len(first)) if aligned else offset
    position = start + marker_length
    parts: list[bytes] = []
    places: list[tuple[int, int]] = []
    for line in lines:
        size = len(line)
        if aligned and parts and PAGE - position % PAGE < size and (padding := _padding(position, size)):
            parts.append(b" " * padding)
            position += padding
        position += size
        places.append((position, size))
        parts.append(line)
    body = b"".join(parts) or b"\n"
    checked = b'"bytes":%9d%s%s' % (len(body), fields, body)
    return Encoded(commit, start, b',"":{"crc":"%08x",%s' % (zlib.crc32(checked), checked), places)


def _padding(position: int, length: int) -> int:
    """Return how many spaces keep a line of `length` bytes from crossing a page boundary; 0 if it must cross one."""
    left = PAGE - position % PAGE
    return left if left < length <= PAGE else 0
