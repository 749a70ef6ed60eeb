"""The format: commits as bytes, and back."""

import json

import hypothesis.strategies as st
import pytest
from hypothesis import given

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
    readable_keys,
)
from kvd.backend.file.engine.interface import NEVER, Commit, Put

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
)
clients = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)
numbers = st.integers(0, 10**17)
commits = st.builds(
    Commit,
    numbers,
    st.dictionaries(keys, st.none() | puts, max_size=5),
    st.dictionaries(clients, st.tuples(numbers, numbers), max_size=3),
)


@given(commit=commits, offset=st.integers(0, 3 * PAGE), synced=st.none() | numbers, aligned=st.booleans())
def test_a_commit_is_read_as_it_was_written(commit, offset, synced, aligned):
    """Any keys, values, expiries and outcomes come back, at the places that were told, from wherever they lie."""
    encoded = encode_commit(commit, offset, synced=synced, aligned=aligned)
    found = find_commit(encoded.data, 0, encoded.offset)

    assert isinstance(found, Found)
    assert (encoded.offset, encoded.offset + len(encoded.data)) == (found.start, found.stop)
    assert (commit.revision, synced) == (found.revision, found.synced)
    assert commit.outcomes == {client: tuple(outcome) for client, outcome in json.loads(found.ids or b"{}").items()}
    read = list(entries(found))
    assert list(commit.changes) == [key for key, _ in read]
    for (key, entry), (line_end, size) in zip(read, encoded.lines, strict=True):
        put = commit.changes[key]
        if put is None:
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

    for key, put in commit.changes.items():
        assert document[key] == (None if put is None else {**document[key], "value": json.loads(put.value)})


@given(changes=st.dictionaries(keys, puts, min_size=1, max_size=8), offset=st.integers(0, PAGE))
def test_lines_keep_to_their_page(changes, offset):
    """No line of an aligned commit crosses a page boundary, unless it is longer than a page."""
    encoded = encode_commit(Commit(1, changes, {}), offset)
    position = encoded.offset
    assert 0 <= encoded.offset - offset < PAGE
    for line in encoded.data.splitlines(keepends=True):
        start, stop = position + len(line) - len(line.lstrip(b" ")), position + len(line)
        position = stop
        if stop - start <= PAGE:
            assert start // PAGE == (stop - 1) // PAGE


def test_a_commit_that_is_not_there_whole_tells_how_far_it_would_reach():
    """Data that ends too soon gives the offset needed; a marker that is cut gives None."""
    data = encode_commit(Commit(1, {"key1": Put(b'"value"', 1, NEVER)}, {}), 0).data

    assert len(data) == find_commit(data[:-1], 0)
    assert find_commit(data[:30], 0) is None


def test_every_flipped_bit_is_noticed():
    """No bit of a commit can change unnoticed."""
    commit = Commit(7, {"key1": Put(b'{"a":[1,2]}', 6, 1.5e9), "key2": None}, {"client": (3, 7)})
    data = encode_commit(commit, 0).data
    for at in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[at // 8] ^= 1 << at % 8
        assert not isinstance(find_commit(bytes(flipped), 0), Found), f"bit {at}"


@pytest.mark.parametrize(
    ("data", "version"), [(HEADER, 1), (HEADER.replace(b'kvd":1', b'kvd":2'), None), (b"{}", None), (b"", None)]
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
