"""What the four operations do and refuse, through `Client` and a real daemon."""

import json
import math
import time

import pytest

from kvclient import (
    BatchTooLargeError,
    Client,
    Entry,
    InvalidKeyError,
    InvalidTTLError,
    InvalidValueError,
    KeyExistsError,
    KeyNotFoundError,
    KeyTooLongError,
    ValueTooLargeError,
)
from processes import wait_until


def gone(store, key):
    try:
        store.read(key)
    except KeyNotFoundError:
        return True
    return False


def test_the_contracts_example(store):
    """The four calls of the contract's example do what they say."""
    store.create("key1", {"name": "value1"}, ttl=5)

    assert {"name": "value1"} == store.read("key1")
    store.delete("key1")
    with pytest.raises(KeyNotFoundError):
        store.delete("key1")
    store.batch_create({"key2": {"name": "value2"}, "key3": {"name": "value3"}}, ttl=10)

    assert {"name": "value2"} == store.read("key2")
    assert {"name": "value3"} == store.read("key3")


def test_creating_twice_is_refused_and_names_the_key(store, key):
    """A second create leaves the first value alone."""
    store.create(key, 1)

    with pytest.raises(KeyExistsError) as caught:
        store.create(key, 2)

    assert (key,) == caught.value.keys
    assert key in str(caught.value)
    assert 1 == store.read(key)


@pytest.mark.parametrize("operation", ["read", "entry", "delete"])
def test_a_missing_key_is_not_found(store, key, operation):
    """KeyNotFoundError names the key and is a KeyError whose text is not in quotes."""
    with pytest.raises(KeyError) as caught:
        getattr(store, operation)(key)

    assert KeyNotFoundError is type(caught.value)
    assert (key,) == caught.value.keys
    assert str(caught.value).startswith(f"Key '{key}' does not exist")


def test_revisions_rise_with_each_change(store, key):
    """Every change returns the store's next revision; a read tells that of the key."""
    first = store.create(key, 1)
    second = store.batch_create({f"{key}a": 1, f"{key}b": 2})

    assert first + 1 == second
    assert Entry(key, 1, first) == store.entry(key)
    assert second == store.entry(f"{key}b").revision
    assert second + 1 == store.delete(key)


def test_an_expired_key_is_gone_and_can_be_created_again(store, key):
    """With its TTL over, a key is neither read nor deleted, and is free."""
    before = time.time()
    store.create(key, 1, ttl=0.2)
    after = time.time()

    entry = store.entry(key)

    assert before + 0.2 <= entry.expires_at <= after + 0.2
    wait_until(lambda: gone(store, key))
    assert time.time() >= before + 0.2
    with pytest.raises(KeyNotFoundError):
        store.delete(key)
    store.create(key, 2)
    assert Entry(key, 2, store.entry(key).revision) == store.entry(key)


def test_a_batch_shares_its_ttl(store, key):
    """All keys of a batch expire at the same instant."""
    store.batch_create({f"{key}a": 1, f"{key}b": 2}, ttl=1000)

    assert store.entry(f"{key}a").expires_at == store.entry(f"{key}b").expires_at


def test_a_batch_names_all_keys_in_its_way(store, key):
    """A batch with keys that exist writes nothing and names each of them."""
    store.create(f"{key}a", 0)
    store.create(f"{key}c", 0)

    with pytest.raises(KeyExistsError) as caught:
        store.batch_create({f"{key}{letter}": 1 for letter in "abcd"})

    assert (f"{key}a", f"{key}c") == caught.value.keys
    assert gone(store, f"{key}b")


def test_an_empty_batch_changes_nothing(store):
    """A batch of nothing succeeds and leaves the revision."""
    assert store.status()["revision"] == store.batch_create({})


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        "",
        [],
        {},
        {"": {"": [[], {}, None]}},
        2**53 + 1,
        -(2**64),
        10**1000 + 1,
        0.1,
        1.0,
        -0.0,
        1e16,
        5e-324,
        1.7976931348623157e308,
        '😀 ünïcödé \u2028 \x00 \x7f "\\/',
        {"schlüssel 😀": ["日本語", "\U0010ffff"]},
    ],
    ids=lambda value: ascii(value)[:20],
)
def test_values_come_back_exactly(store, key, value):
    """A value is read as it was created: the same type, the same digits, the same text."""
    store.create(key, value)

    assert repr(value) == repr(store.read(key))


@pytest.mark.parametrize(
    "special", ["😀", "日本語", "a b", "a/b\\c\"d'", "ä" * 32, "😀" * 32, "\U0010ffff", "\u00a0", "$.x"]
)
def test_keys_of_any_text(store, special):
    """Any text without control characters is a key."""
    store.create(special, special)

    assert special == store.read(special)
    store.delete(special)


@pytest.mark.parametrize(
    "invalid",
    ["", "\x00", "a\n", "\x1f", "\x7f", "\x85", "\x9f", "\ud800", "a\udfff", 1, None, b"key", ("key",)],
    ids=ascii,
)
def test_invalid_keys_are_refused(store, invalid):
    """An empty key, one with control characters or lone surrogates, and what is no string, is a ValueError."""
    before = store.status()["revision"]

    for call in (
        lambda: store.create(invalid, 1),
        lambda: store.read(invalid),
        lambda: store.delete(invalid),
        lambda: store.batch_create({"key": 1, invalid: 2}),
    ):
        with pytest.raises(ValueError) as caught:
            call()

        assert InvalidKeyError is type(caught.value)
    assert before == store.status()["revision"]


@pytest.mark.parametrize(
    "invalid",
    [math.nan, math.inf, [-math.inf], "\ud800", {"\udc00": 1}, object, {1, 2}, b"bytes", {(1, 2): 3}, {"a": [1j]}],
    ids=ascii,
)
def test_invalid_values_are_refused(store, key, invalid):
    """What has no form in JSON is a ValueError that names the key, and nothing is written."""
    for call in (lambda: store.create(key, invalid), lambda: store.batch_create({f"{key}a": 1, key: invalid})):
        with pytest.raises(ValueError) as caught:
            call()

        assert InvalidValueError is type(caught.value)
        assert (key,) == caught.value.keys
    assert gone(store, f"{key}a")


def test_values_nest_190_deep(store, key):
    """As deep as the daemon takes them in any request; deeper ones are refused before they are sent."""
    deep = 1
    for _ in range(190):
        deep = [deep]
    store.create(key, deep)
    store.batch_create({f"{key}b": {"a": deep[0]}})
    for call in (lambda: store.create(f"{key}c", [deep]), lambda: store.batch_create({"fine": 1, f"{key}c": [deep]})):
        with pytest.raises(InvalidValueError, match="190") as caught:
            call()
        assert (f"{key}c",) == caught.value.keys

    assert deep == store.read(key)
    assert {"a": deep[0]} == store.read(f"{key}b")


def test_values_that_contain_themselves_are_refused(store, key):
    """A circular value ends in InvalidValueError, not in endless recursion."""
    circle = []
    circle.append(circle)

    with pytest.raises(InvalidValueError):
        store.create(key, circle)


@pytest.mark.parametrize(
    "invalid", [0, -1, -0.0, 0.0, math.nan, math.inf, -math.inf, 10**400, "5", True, [5]], ids=ascii
)
def test_invalid_ttls_are_refused(store, key, invalid):
    """A TTL that is no finite number above 0 is a ValueError, and nothing is written."""
    for call in (lambda: store.create(key, 1, ttl=invalid), lambda: store.batch_create({key: 1}, ttl=invalid)):
        with pytest.raises(ValueError) as caught:
            call()

        assert InvalidTTLError is type(caught.value)
    assert gone(store, key)


@pytest.mark.parametrize("ttl", [None, 5e-324, 0.001, 1, 10**9, 1e308])
def test_valid_ttls(store, key, ttl):
    """Any finite number above 0 is a TTL, and None is none."""
    store.create(key, 1, ttl=ttl)


def test_key_length_limit(store):
    """A key of 256 characters passes, one of 257 does not, however many bytes they take."""
    for character in "x😀":
        store.create(256 * character, 1)

        for call in (
            lambda k: store.create(k, 1),
            store.read,
            store.delete,
            lambda k: store.batch_create({"short": 1, k: 1}),
        ):
            with pytest.raises(
                ValueError, match=r"257 characters; the limit is 256 \(setting max_key_length\)"
            ) as caught:
                call(257 * character)

            assert KeyTooLongError is type(caught.value)
            assert (257 * character,) == caught.value.keys


@pytest.mark.parametrize(
    "fits",
    ["x" * 1048574, "é" * 524287, [1] * 524286 + [10], "\x00" * 174762 + "xx"],
    ids=["ascii", "utf-8", "list", "escapes"],
)
def test_value_size_limit(store, key, fits):
    """A value of a mebibyte of compact UTF-8 JSON passes, one of a byte more does not."""
    too_large = f"{fits}x" if isinstance(fits, str) else [*fits[:-1], 100]

    store.create(key, fits)

    assert fits == store.read(key)
    for call in (lambda: store.create(f"{key}b", too_large), lambda: store.batch_create({f"{key}b": too_large})):
        with pytest.raises(
            ValueError, match=r"1048577 bytes .* the limit is 1048576 \(setting max_value_bytes\)"
        ) as caught:
            call()

        assert ValueTooLargeError is type(caught.value)
        assert (f"{key}b",) == caught.value.keys


def test_batch_size_limit(store, key):
    """A batch of 10,000 passes, one of 10,001 does not."""
    store.batch_create({f"{key}-{number}": number for number in range(10_000)})

    assert 9999 == store.read(f"{key}-9999")
    with pytest.raises(BatchTooLargeError, match=r"more than 10000 members, the limit \(setting max_batch\)"):
        store.batch_create({f"{key}+{number}": number for number in range(10_001)})
    assert gone(store, f"{key}+0")


@pytest.mark.parametrize("character", ["\x00", "é", "😀"])
def test_the_largest_value_is_no_oversized_request(start_daemon, character):
    """However small max_request_bytes is, and whichever way a program escapes the value and its key."""
    daemon = start_daemon(max_request_bytes="1", max_value_bytes="600000", max_key_length="20")
    value = character * ((600000 - 2) // len(json.dumps(character, ensure_ascii=False)[1:-1].encode()))
    key = "😀" * 20
    request = {"op": "create", "key": key, "value": value, "id": f"{'x' * 64}:1"}

    assert b'{"ok":true,"revision":1}' == daemon.ask(json.dumps(request).encode())
    with Client(daemon.endpoint) as store:
        assert value == store.read(key)
        assert 3 * 600_000 < store.status()["limits"]["max_request_bytes"] < 2_000_000


def test_a_request_at_its_limit(start_daemon):
    """A batch of max_request_bytes passes; of a larger one the client is told which setting it is about."""
    with Client(start_daemon(max_request_bytes="4000000").endpoint, timeout=20) as store:
        store.batch_create({f"key{number}": "x" * 999_000 for number in range(4)})

        with pytest.raises(
            BatchTooLargeError, match=r"has \d+ bytes; the limit is 4000000 \(setting max_request_bytes\)"
        ):
            store.batch_create({f"more{number}": "x" * 999_000 for number in range(5)})
        assert gone(store, "more0")
