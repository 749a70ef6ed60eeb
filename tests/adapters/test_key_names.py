"""Keys of other frameworks: each gets one name, which kvd takes, and no two share one."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kvclient.adapters.names import MOST_CHARACTERS, MOST_KEPT, fitted, is_digest, is_prefix
from kvclient.contract.rules import check_key

TEXTS = st.text(st.characters(exclude_categories=()), min_size=1, max_size=300)


@given(TEXTS)
def test_names_are_valid_keys(key):
    """Of whatever characters, also lone surrogates."""
    assert check_key(fitted(key), MOST_CHARACTERS)


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=MOST_CHARACTERS))
def test_valid_keys_stay_as_they_are(key):
    """So that people and other programs find them; but for what looks like a digest."""
    if not re.search("#[0-9a-f]{64}$", key):
        assert key == fitted(key)


@given(TEXTS, TEXTS)
def test_different_keys_have_different_names(one, other):
    """Also where they begin alike, and where one is what the other was made into."""
    assert (one == other) == (fitted(one) == fitted(other))
    assert fitted(one + "\0") != fitted(fitted(one + "\0"))


@given(st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=MOST_KEPT), TEXTS)
def test_prefixes_are_kept(prefix, key):
    """So that a clear of the prefix finds all keys behind it."""
    assert is_prefix(prefix)
    assert fitted(prefix + key).startswith(prefix)


@pytest.mark.parametrize("prefix", ["tab\t", "\ud800", "x" * (MOST_KEPT + 1)])
def test_prefixes_that_would_not_be_kept(prefix):
    """They are known as such."""
    assert not is_prefix(prefix)


def test_digests_are_known_as_such():
    """A name that does not tell its key is seen to be one."""
    assert is_digest(fitted("x" * 257))
    assert not is_digest(fitted("x" * 256))
    assert fitted("tab\there").startswith("tab�here#")
