"""Large arrays and objects piece by piece: the same members as in one, each cut between two of them."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvd.requests import chunks as module
from kvd.requests.chunks import chunks
from kvd.requests.twins import read_items, read_keys, read_members

# Commas, quotes, brackets and escapes where they hurt.
texts = st.text(st.sampled_from(',"\\[]{}:a1é '), max_size=8)
values = st.recursive(
    st.none() | st.integers(0, 99) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Cut small pieces, and give a piece up soon."""
    monkeypatch.setattr(module, "_CHUNK_BYTES", 16)
    monkeypatch.setattr(module, "_TRIES", 3)


def encoded(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


@given(st.lists(values, max_size=30))
def test_arrays(members):
    """All members come, in their order, whatever is in them."""
    parts = list(chunks(encoded(members), msgspec.json.Decoder(list[msgspec.Raw]).decode))

    assert members == [json.loads(bytes(member)) for part in parts for member in part]


@given(st.dictionaries(texts, values, max_size=30))
def test_objects(members):
    """All members come with their names, as json.loads has them."""
    found = {}
    for part in chunks(encoded(members), read_items):
        found |= part

    assert members == {key: json.loads(bytes(value)) for key, value in found.items()}
    assert list(members) == list(found)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 99)), max_size=40))
def test_of_names_that_repeat_the_last_counts(members):
    """In whichever pieces they are."""
    text = b"{%s}" % b",".join(b'"%s":%d' % (name.encode(), number) for name, number in members)
    found = {}
    for part in chunks(text, read_items):
        found |= part

    assert json.loads(text) == {key: json.loads(bytes(value)) for key, value in found.items()}


@given(st.lists(texts, max_size=40))
def test_strings(keys):
    """Commas in keys cut nothing."""
    assert keys == [key for part in chunks(encoded(keys), read_keys) for key in part]


def test_a_member_that_is_larger_than_a_piece_is_taken_whole():
    """The pieces grow until it fits, and are small again behind it."""
    members = [1, "x," * 500, 2, ["y,"] * 300, *range(3000)]
    parts = list(chunks(encoded(members), msgspec.json.Decoder(list[msgspec.Raw]).decode))

    assert members == [json.loads(bytes(member)) for part in parts for member in part]
    assert len(parts) > 10


@pytest.mark.parametrize(
    "wrong", [b"[1,2,x]", b"[1,2,]", b"[1,2", b"[1 2]", b"[1,[2,3]", b'[1,"2]', b"[1,2]]", b"[,1]"]
)
@pytest.mark.parametrize("before", [b"", b"0," * 50])
def test_what_is_no_json_is_refused(wrong, before):
    """Wherever it is wrong; the pieces before it may have come."""
    with pytest.raises(msgspec.DecodeError):
        list(chunks(wrong[:1] + before + wrong[1:], msgspec.json.Decoder(list[msgspec.Raw]).decode))


def test_a_member_that_is_not_what_it_should_be_is_named(monkeypatch):
    """A cut at a comma in it never hides what is wrong, nor invents something."""
    monkeypatch.setattr(module, "_CHUNK_BYTES", 40)
    operations = [{"op": "put", "key": f"k,{n}", "value": [1, {"op": "x"}]} for n in range(20)]
    assert 20 == sum(len(part) for part in chunks(encoded(operations), read_members))
    operations[13]["ttl"] = "5"
    with pytest.raises(msgspec.ValidationError, match="Expected"):
        list(chunks(encoded(operations), read_members))
