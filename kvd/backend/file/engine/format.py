"""The data file's format, as bytes: no file is opened here. docs/data-file.md describes it for other programs.

    {"":{"crc":"060ac30f","kvd":2}                                                              the header
    ,"":{"crc":"9ae0c1f2","bytes":       41,"revision":1,"time":1800000000.250},"key1":{"revision":1,"value":{"a":1}}
    ,"":{"crc":"02b1e7d0","bytes":        …,"revision":3,"time":1800000001.500},"key2":{"revision":2,"value":7}
    ,"key1":null                                                                   a commit of two operations
    <spaces, kept for the next commits>
    }

A commit is a marker and the body that follows it, to the end of a line. The marker counts the body's bytes, and its
checksum covers everything after itself, so a commit is either whole or recognisably not. A body is a line for each
change, and perhaps a footnote (see `kvd.backend.file.engine.footnote`). A marker without a time is a snapshot's, or
was written in version 1 of the format, which had neither times nor footnotes. Values are compact JSON and
thus never hold a newline: a line that starts with a marker is a commit and nothing that a user stored.

The closing brace stands at the end of the spaces, not right behind the last commit. A program that reads the file
from front to back while a commit is being written then finds either spaces or the commit, and the same brace behind.
For the same reason no line crosses a page boundary unless it is longer than a page (see `PAGE`).
"""

import json
import re
import sys
import zlib
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from json.encoder import encode_basestring  # json.dumps of a string takes 10 times as long
from typing import NamedTuple

from kvd.backend.asking import Owner
from kvd.backend.file.engine.footnote import STRING, encode_footnote, is_footnote
from kvd.backend.file.engine.interface import NEVER, Commit, Entry, Outcome, Put, Removal

VERSION = 2
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


def _header_line(version: int) -> bytes:
    body = b'"kvd":%d}' % version
    return b'{"":{"crc":"%08x",%s\n' % (zlib.crc32(body), body)


HEADER = _header_line(VERSION)
HEADERS = {_header_line(version): version for version in (1, VERSION)}
"""How the files begin that can be read, all equally long, and their version. `HEADER` may be written over another."""
EMPTY = HEADER + CLOSING

_marker = re.compile(
    rb'[ \n]*(,"":\{"crc":"([0-9a-f]{8})",)("bytes":( *\d{1,18}),"revision":(\d{1,18})(?:,"synced":(\d{1,18}))?'
    rb'(?:,"time":(-?\d{1,18}(?:\.\d{1,3})?))?(?:,"ids":(\{(?:' + STRING + rb":\[\d+,\d+\],?)+\}))?\})"
)
# A marker at the start of a line: what a commit after damaged bytes is recognised by. One damaged byte among the spaces
# before it does not hide it. (A user's line starts with `,"` and no empty name, or is not the start of a line.)
line_marker = re.compile(rb'\n *+[^ \n,]?+ *+(?=,"":\{"crc":"[0-9a-f]{8}","bytes":)')
_header = re.compile(rb'\{"":\{"crc":"([0-9a-f]{8})",("kvd":(\d{1,9})\})')
_owner = rb'\{"pid":\d{1,18},"started":\d{1,20},"boot":' + STRING + rb',"uid":\d{1,18}\}'
_entry_start = (
    rb",(" + STRING + rb'):(?:null|\{"revision":(\d{1,18})(?:,"expires_at":([0-9.e+-]+))?'
    rb'(?:,"owner":(' + _owner + rb'))?,"value":'
)
_entry = re.compile(_entry_start + rb"(.*)\}) *\n")
_entry_head = re.compile(rb" *" + _entry_start + rb")")
_closed = re.compile(rb"[ \n]*\}[ \n]*\Z")

SNAPSHOT_MARKER_BYTES = len(b' ,"":{"crc":"00000000","bytes":,"revision":,"synced":}') + 9 + 2 * 19
"""Upper bound of the length of a marker with neither time nor `ids`."""
MARKER_BYTES = SNAPSHOT_MARKER_BYTES + len(b',"time":1800000000.000')
"""Upper bound of a marker's length without `ids`, in the next centuries."""
_JOINED_BYTES = 256 * 1024
"""Up to this size the bytes of a commit are put together. Larger ones are not copied."""
_MARKER_START_BYTES = len(b',"":{"crc":"00000000","bytes":000000000')


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
    time: bytes | None
    """In Unix seconds; None if it is a snapshot's, or of version 1."""
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
        marker[8],
        data[body_at:stop],
    )


def stated_stop(data: bytes, position: int) -> int | None:
    """Return where the commit at `position` ends if its marker, which may be damaged, is right."""
    marker = _marker.match(data, position)
    return marker.end() + int(marker[4]) if marker is not None else None


Row = tuple[str, int, int, int, float, bytes | None, int]
"""An entry as it is read: key, the value's offset and length, revision (0: removed), expiry, owner, bytes of the line.
"""


def rows(commit: Found) -> Generator[Row, None, int]:
    """Yield the entries of a commit, as plain tuples: a large file has millions of them.

    Returns where in the body the last one ends.
    """
    base, body = commit.body_at, commit.body
    match, find = _entry_head.match, body.find
    stop = -1
    # The value is not looked at: a line's end is found ten times as fast.
    while (head := match(body, stop + 1)) and (stop := find(b"\n", head.end())) > 0:
        name, revision, expires_at, owner = head.groups()
        start = head.end()
        yield (
            name[1:-1].decode() if b"\\" not in name else json.loads(name),
            base + start,
            stop - 1 - start,
            0 if revision is None else int(revision),
            NEVER if expires_at is None else float(expires_at),
            owner,
            stop + 2 - head.start(1),
        )
    return stop + 1


def entries(commit: Found) -> Iterator[tuple[str, Entry | None]]:
    """Yield each key of a commit with its new entry, None if it was removed."""
    for key, offset, length, revision, expires_at, _, _ in rows(commit):
        yield key, Entry(offset, length, revision, expires_at) if revision else None


def parse_owner(owner: bytes) -> Owner:
    """Return the owner that a row has."""
    return Owner(**json.loads(owner))


def unread(commit: Found) -> bytes:
    """Return what is in a whole commit's body besides entries and a footnote; this program writes nothing there."""
    rest = _entry.sub(b"", commit.body).strip(b" \n")
    return b"" if is_footnote(rest) else rest


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


def encode_ids(outcomes: dict[str, Outcome]) -> tuple[bytes, bool]:
    """Return the `ids` field of a marker, of one outcome at least, and whether any of them has fields besides."""
    ids, has_results = "", False
    for client, (number, revision, fields) in outcomes.items():
        ids += f"{encode_basestring(client)}:[{number},{revision}],"
        if fields:
            has_results = True
    return b',"ids":{%s}' % ids[:-1].encode(), has_results


def encode_change(key: str, change: Put | Removal) -> bytes:
    """Return an entry's line. The value ends two bytes before its end."""
    name = encode_basestring(key).encode()
    if isinstance(change, Removal):
        return b",%s:null\n" % name
    value, revision, expires_at, owner = change
    return b',%s:{"revision":%d%s%s,"value":%s}\n' % (
        name,
        revision,
        b"" if expires_at == NEVER else b',"expires_at":' + repr(expires_at).encode(),
        b"" if owner is None else encode_owner(owner),
        value,
    )


def encode_owner(owner: Owner) -> bytes:
    """Return the field of an entry that has an owner."""
    pid, started, boot, uid = owner
    return f',"owner":{{"pid":{pid},"started":{started},"boot":{encode_basestring(boot)},"uid":{uid}}}'.encode()


def entry_bytes(key: str, entry: Entry, owner: Owner | None) -> int:
    """Return how many bytes an entry's line takes."""
    return len(encode_change(key, Put(b"", entry.revision, entry.expires_at, owner))) + entry.length


@dataclass(slots=True)  # made in half the time of a NamedTuple
class Encoded:
    """A commit as bytes for a place in the file."""

    commit: Commit
    offset: int
    stop: int
    """Offset of the byte after it."""
    parts: list[bytes]
    """Its bytes. Those of a large commit are not put together: copying some MiB takes as long as writing them."""
    lines: list[tuple[int, int]]
    """For each change, the offset in the file of the end of its line, and the bytes of the line."""

    @property
    def data(self) -> bytes:
        """Its bytes, put together."""
        return b"".join(self.parts)


def encode_commit(
    commit: Commit, offset: int, *, synced: int | None = None, aligned: bool = True, timed: bool = True
) -> Encoded:
    """Return `commit` for writing at `offset` or up to a page behind it; with `aligned`, lines keep to their page.

    Only a snapshot's is not `timed`.
    """
    revision, time, changes, outcomes, clear, cleared = commit
    lines: list[bytes] = []
    removed: list[Removal] = []
    for key, change in changes:
        # The usual ones are encoded here: calling `encode_change` for each would take a tenth longer.
        if len(change) == 2:  # a removal; `isinstance` takes twice as long
            removed.append(change)
            lines.append(b",%s:null\n" % encode_basestring(key).encode())
            continue
        value, changed, expires_at, owner = change
        if owner is None and expires_at == NEVER:
            lines.append(b',%s:{"revision":%d,"value":%s}\n' % (encode_basestring(key).encode(), changed, value))
        else:
            lines.append(encode_change(key, change))
    ids, has_results = encode_ids(outcomes) if outcomes else (b"", False)
    if has_results or removed or clear is not None or cleared is not None:
        footnote = encode_footnote(commit, removed)
        if footnote:
            lines.append(footnote)
    at = b',"time":%.3f' % time if timed else b""
    if synced is not None:
        at = b',"synced":%d%s' % (synced, at)
    fields = b',"revision":%d%s%s}' % (revision, at, ids)
    # The count has a fixed width, so that the lines' places are known before it is.
    marker_length = _MARKER_START_BYTES + len(fields)
    first = marker_length + len(lines[0] if lines else b"\n")
    left = PAGE - offset % PAGE if aligned else first
    start = offset + left if left < first <= PAGE else offset
    if len(lines) > 1:
        parts, places = _laid_out(lines, start + marker_length, aligned=aligned)
        del places[len(changes) :]  # that of the footnote
        size = sum(map(len, parts))
    else:
        parts = lines or [b"\n"]
        size = first - marker_length
        places = [(start + first, size)] if changes else []
    checked = b'"bytes":%9d%s' % (size, fields)
    if size <= _JOINED_BYTES:
        checked += parts[0] if len(parts) == 1 else b"".join(parts)
        crc, parts = zlib.crc32(checked), []
    else:
        crc = reduce(lambda crc, part: zlib.crc32(part, crc), parts, zlib.crc32(checked))
    marked = b',"":{"crc":"%08x",%s' % (crc, checked)
    return Encoded(commit, start, start + marker_length + size, [marked, *parts], places)


def _laid_out(lines: Sequence[bytes], position: int, *, aligned: bool) -> tuple[list[bytes], list[tuple[int, int]]]:
    """Return the parts of a body with lines from `position` on, the first one right there, and the end and bytes of
    each line.
    """
    left = PAGE - position % PAGE if aligned else sys.maxsize
    parts: list[bytes] = []
    places: list[tuple[int, int]] = []
    for line in lines:
        size = len(line)
        if left < size:
            if parts and size <= PAGE:
                parts.append(b" " * left)
                position += left
                left = PAGE - size
            else:
                left = PAGE - (position + size) % PAGE
        else:
            left -= size
        position += size
        places.append((position, size))
        parts.append(line)
    return parts, places
