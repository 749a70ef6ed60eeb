"""The format: commits as bytes, and back."""

import json
from unittest.mock import patch

import hypothesis.strategies as st
import pytest
from hypothesis import given

from kvd.backend.asking import Owner
from kvd.backend.file.engine import format as file_format
from kvd.backend.file.engine.footnote import NO_FOOTNOTE, read_footnote, removals, split_results
from kvd.backend.file.engine.format import (
    AFTER_VALUE,
    HEADER,
    PAGE,
    Found,
    encode_change,
    encode_commit,
    entries,
    find_commit,
    header_version,
    is_closed,
    parse_owner,
    readable_keys,
    rows,
    unread,
)
from kvd.backend.file.engine.interface import LOST, NEVER, Clear, Commit, Outcome, Put, Removal

keys = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)
puts = st.builds(
    Put,
    json_values.map(lambda value: json.dumps(value, separators=(",", ":"), ensure_ascii=True).encode()),
    st.integers(1, 10**17),
    st.just(NEVER) | st.floats(1e-3, 1e300),
    st.none()
    | st.builds(
        Owner,
        st.integers(1, 1 << 22),
        st.integers(0, 1 << 60),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
        st.integers(0, 1 << 32),
    ),
)
clients = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
numbers = st.integers(0, 10**17)
removed = st.builds(Removal, numbers, st.sampled_from(["deleted", "expired", "released"]))
fields = st.just(b"") | st.just(LOST) | json_values.map(lambda value: b'"value":' + json.dumps(value).encode())
commits = st.builds(
    Commit,
    numbers,
    st.integers(0, 10**13).map(lambda milliseconds: milliseconds / 1000),
    st.lists(st.tuples(keys, removed | puts), max_size=5),
    st.dictionaries(clients, st.builds(Outcome, numbers, numbers, fields), max_size=3),
    st.none() | st.builds(Clear, st.just("") | keys, numbers),
    st.none() | numbers,
)


@given(
    commit=commits,
    offset=st.integers(0, 3 * PAGE),
    synced=st.none() | numbers,
    aligned=st.booleans(),
    joined=st.sampled_from([0, 1 << 18]),
)
def test_a_commit_is_read_as_it_was_written(commit, offset, synced, aligned, joined):
    """Any keys, values, expiries, owners, removals, outcomes and clears come back, at the places that were told, from
    wherever they lie; in one part or in several.
    """
    with patch.object(file_format, "_JOINED_BYTES", joined):
        encoded = encode_commit(commit, offset, synced=synced, aligned=aligned)
    found = find_commit(encoded.data, 0, encoded.offset)

    assert isinstance(found, Found)
    assert (encoded.offset, encoded.stop) == (found.start, found.stop)
    assert encoded.stop == encoded.offset + len(encoded.data)
    assert (len(encoded.parts) > 1) is (joined == 0)
    assert (commit.revision, synced) == (found.revision, found.synced)
    footnote = read_footnote(found.body) or NO_FOOTNOTE
    results = {json.loads(client): fields for client, fields in split_results(footnote.results)}
    assert commit.time == float(found.time)
    assert commit.outcomes == {
        client: Outcome(*outcome, results.get(client, b""))
        for client, outcome in json.loads(found.ids or b"{}").items()
    }
    assert (commit.clear, commit.cleared) == (footnote.clear, footnote.cleared)
    assert b"" == unread(found)
    read = list(entries(found))
    assert [key for key, _ in commit.changes] == [key for key, _ in read]
    gone = removals(footnote, sum(entry is None for _, entry in read), found.revision)
    assert [change for _, change in commit.changes if isinstance(change, Removal)] == gone
    owners = [None if row[5] is None else parse_owner(row[5]) for row in rows(found)]
    assert owners == [getattr(change, "owner", None) for _, change in commit.changes]
    for (key, entry), (line_end, size), (_, put) in zip(read, encoded.lines, commit.changes, strict=True):
        if isinstance(put, Removal):
            assert entry is None
            continue
        at, stop = entry.address - encoded.offset, line_end - encoded.offset
        assert put.value == encoded.data[at : at + entry.length] == encoded.data[at : stop - AFTER_VALUE]
        assert (put.revision, put.expires_at) == (entry.revision, entry.expires_at)
        assert encode_change(key, put) == encoded.data[stop - size : stop]


@given(commit=commits)
def test_a_commit_continues_a_json_object(commit):
    """Between the header and the closing brace, a commit makes JSON in which every key has its value."""
    data = HEADER + encode_commit(commit, len(HEADER)).data + b"}"
    document = json.loads(data)

    for key, put in dict(commit.changes).items():
        assert document[key] == (
            None if isinstance(put, Removal) else {**document[key], "value": json.loads(put.value)}
        )


@given(changes=st.lists(st.tuples(keys, puts), min_size=1, max_size=8), offset=st.integers(0, PAGE))
def test_lines_keep_to_their_page(changes, offset):
    """No line of an aligned commit crosses a page boundary, unless it is longer than a page."""
    encoded = encode_commit(Commit(1, 0.0, changes, {"client": Outcome(1, 1, b'"value":7')}), offset)
    position = encoded.offset
    assert 0 <= encoded.offset - offset < PAGE
    for line in encoded.data.splitlines(keepends=True):
        start, stop = position + len(line) - len(line.lstrip(b" ")), position + len(line)
        position = stop
        if stop - start <= PAGE:
            assert start // PAGE == (stop - 1) // PAGE


def test_a_commit_that_is_not_there_whole_tells_how_far_it_would_reach():
    """Data that ends too soon gives the offset needed; a marker that is cut gives None."""
    data = encode_commit(Commit(1, 0.0, [("key1", Put(b'"value"', 1, NEVER))], {}), 0).data

    assert len(data) == find_commit(data[:-1], 0)
    assert find_commit(data[:30], 0) is None


def test_every_flipped_bit_is_noticed():
    """No bit of a commit can change unnoticed."""
    commit = Commit(
        7,
        1.5e9,
        [("key1", Put(b'{"a":[1,2]}', 6, 1.5e9, Owner(7, 8, "b", 9))), ("key2", Removal(7, "expired"))],
        {"client": Outcome(3, 7, b'"value":7')},
    )
    data = encode_commit(commit, 0).data
    for at in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << at % 8
        assert not isinstance(find_commit(bytes(flipped), 0), Found), f"bit {at}"


@pytest.mark.parametrize(
    ("data", "version"),
    [
        (HEADER, 2),
        (b'{"":{"crc":"2d2790cc","kvd":1}\n', 1),
        (HEADER.replace(b'kvd":2', b'kvd":1'), None),
        (b"{}", None),
        (b"", None),
    ],
)
def test_the_version_counts_only_with_its_checksum(data, version):
    """A header tells its version if its checksum is right."""
    assert version == header_version(data)


@pytest.mark.parametrize(("rest", "closed"), [(b"}\n", True), (b"  \n}  \n", True), (b"", False), (b"x}\n", False)])
def test_what_follows_the_last_commit(rest, closed):
    """White space and one brace end a file."""
    assert closed is is_closed(rest)


def test_keys_are_found_in_damaged_bytes():
    """Each key that can still be read is named once, one with a broken escape as it is."""
    data = b'garbage\n,"a":{"revision":1,"value":1}\n,"\\q":null\n,"a":null\n\xff,"\xff":null\n'

    assert ["a", "\\q", "\ufffd"] == readable_keys(data)
