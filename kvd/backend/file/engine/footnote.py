"""The footnote of a commit: a line of the file's own at the end of its body, for what neither marker nor entries say.

    ,"":{"removed":[12,[13,"expired"]],"clear":{"prefix":"a","revision":14},"cleared":9,"results":{"client":{"value":7}}}

Each field is there only if it is needed, in this order. `removed` gives revision and kind of each removed key of the
commit, in order; a bare number is a deletion. It is left out if the n removals are deletions of the last n revisions
of the commit, in order: a single delete needs no footnote, nor does one that removes many keys in a commit of its own.

It cannot be taken for a marker, whose first field is `crc`, nor for a user's entry, whose name is never empty.
"""

import json
import re
from collections.abc import Iterator, Sequence
from json.encoder import encode_basestring
from typing import NamedTuple

from kvd.backend.file.engine.interface import LOST, Clear, Commit, Outcome, Removal

STRING = rb'"[^"\\\n]*(?:\\.[^"\\\n]*)*"'  # unrolled: alternatives character by character take five times as long
FRAME_BYTES = len(b',"":{}\n')
_footnote = re.compile(
    rb' *(,"":\{(?:"removed":\[([^:}]*)\],?)?'
    rb'(?:"clear":\{"prefix":(' + STRING + rb'),"revision":(\d{1,18})\},?)?'
    rb'(?:"cleared":(\d{1,18}),?)?(?:"results":\{(.*)\})?\}\n)'
)
_KINDS = {"deleted", "expired", "released"}
_scan = json.JSONDecoder().raw_decode


class Footnote(NamedTuple):
    """What a commit's footnote says."""

    removed: list[Removal] | None = None
    """None: see `removals`."""
    clear: Clear | None = None
    cleared: int | None = None
    results: bytes = b""
    """Results by client, as JSON with no brace around it; see `split_results`."""


NO_FOOTNOTE = Footnote()


def encode_footnote(commit: Commit, removed: Sequence[Removal]) -> bytes:
    """Return the footnote's line of a commit that removes keys as `removed` says; empty if it needs none."""
    parts: list[bytes] = []
    if removed and not _are_last(removed, commit.revision):
        parts.append(b'"removed":[%s]' % b",".join(map(_encode_removal, removed)))
    if commit.clear is not None:
        parts.append(_encode_clear(commit.clear))
    if commit.cleared is not None:
        parts.append(b'"cleared":%d' % commit.cleared)
    if results := encode_results(commit.outcomes):
        parts.append(b'"results":{%s}' % results)
    return b',"":{%s}\n' % b",".join(parts) if parts else b""


def _are_last(removed: Sequence[Removal], revision: int) -> bool:
    """Tell whether the removals are deletions of the last revisions up to `revision`, one each, in order."""
    if len(removed) == 1:
        return removed[0] == (revision, "deleted")
    first = revision - len(removed) + 1
    return all(removal == (at, "deleted") for at, removal in enumerate(removed, first))


def _encode_removal(removal: Removal) -> bytes:
    revision, kind = removal
    return b"%d" % revision if kind == "deleted" else b'[%d,"%s"]' % (revision, kind.encode())


def _encode_clear(clear: Clear) -> bytes:
    return b'"clear":{"prefix":%s,"revision":%d}' % (encode_basestring(clear.prefix).encode(), clear.revision)


def encode_results(outcomes: dict[str, Outcome]) -> bytes:
    """Return the reply fields of those outcomes that have any, or had."""
    return b",".join([encode_result(client, outcome.fields) for client, outcome in outcomes.items() if outcome.fields])


def encode_result(client: str, fields: bytes) -> bytes:
    """Return one client's part of `results`."""
    return b"%s:%s" % (encode_basestring(client).encode(), LOST if fields == LOST else b"{%s}" % fields)


def cost_of_removal(removal: Removal) -> int:
    """Return how many bytes a removal may add to a footnote."""
    return len(_encode_removal(removal)) + len(b',"removed":[],')


def cost_of_clear(clear: Clear) -> int:
    """Return how many bytes the decision for `clear` adds to a footnote."""
    return len(_encode_clear(clear)) + 1


def read_footnote(body: bytes, position: int | None = None) -> Footnote | None:
    """Return the footnote at the end of a commit's body, None if it has none.

    `position` is where the last entry's line ends, if that is known.
    """
    if position is None:
        position = body.rfind(b"\n", 0, len(body) - 1) + 1
    found = _footnote.fullmatch(body, position)
    if found is None:
        return None
    _, removed, prefix, revision, cleared, results = found.groups()
    return Footnote(
        None if removed is None else [_removal(item) for item in json.loads(b"[%s]" % removed)],
        None if prefix is None else Clear(json.loads(prefix), int(revision)),
        None if cleared is None else int(cleared),
        results or b"",
    )


def _removal(item: object) -> Removal:
    match item:
        case int(revision):
            return Removal(revision)
        case [int(revision), ("expired" | "released" | "deleted") as kind]:
            return Removal(revision, kind)
        case _:
            raise ValueError(f"{item!r} is no removal")


def is_footnote(line: bytes) -> bool:
    """Tell whether `line` is a footnote, spaces before it and the newline left out."""
    return _footnote.fullmatch(line + b"\n") is not None


def removals(footnote: Footnote | None, count: int, revision: int) -> list[Removal]:
    """Return the `count` removals of a commit that brought the store to `revision`.

    Raises `ValueError` if the footnote tells of another number of them.
    """
    if footnote is None or footnote.removed is None:
        return [Removal(at) for at in range(revision - count + 1, revision + 1)]
    if len(footnote.removed) != count:
        raise ValueError(f"a footnote of {len(footnote.removed)} removals for {count} removed keys")
    return footnote.removed


def split_results(results: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield each client of `Footnote.results`, as JSON, with its fields as `Outcome` has them."""
    text, position = results.decode(), 0
    while position < len(text):
        _, colon = _scan(text, position)
        _, stop = _scan(text, colon + 1)
        yield text[position:colon].encode(), fields_of(text[colon + 1 : stop].encode())
        position = stop + 1


def fields_of(result: bytes) -> bytes:
    """Return a client's result, which is an object or null, as `Outcome.fields` has it."""
    return LOST if result == LOST else result[1:-1]
