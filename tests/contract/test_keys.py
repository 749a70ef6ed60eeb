"""The files of CURVE keys: who may read them, and what becomes of those that are none."""

import os
import re
import stat

import pytest

from kvclient.contract import keys
from kvclient.contract.errors import DataStoreError, KeyExistsError, KeyNotFoundError


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def test_a_new_key_is_its_owner_s_alone():
    """Directory and secret, whatever the umask."""
    before = os.umask(0)
    try:
        pair = keys.new("laptop")
    finally:
        os.umask(before)

    assert pair == keys.own("laptop") == keys.own(str(keys.secret_path("laptop")))
    assert 0o600 == stat.S_IMODE(keys.secret_path("laptop").stat().st_mode)
    assert 0o700 == stat.S_IMODE(keys.directory().stat().st_mode)
    assert ["laptop"] == keys.names()


def test_none_is_replaced():
    """The error says where it is."""
    pair = keys.new("laptop")

    with pytest.raises(KeyExistsError, match=re.escape(str(keys.secret_path("laptop")))):
        keys.new("laptop")
    assert pair == keys.own("laptop")


def test_the_daemon_s_key_is_made_once():
    """And is not listed among those of clients."""
    assert keys.server() == keys.server() == keys.own("server")
    assert [] == keys.names()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_secret_that_others_may_read(mode):
    """It is refused with the command that mends it."""
    keys.new("laptop")
    path = keys.secret_path("laptop")
    path.chmod(mode)

    with pytest.raises(DataStoreError, match=re.escape(f"'chmod 600 {path}'")):
        keys.own("laptop")


def test_there_is_none():
    """The error says how to make one."""
    with pytest.raises(DataStoreError, match="'kvctl keys new NAME' makes one"):
        keys.own("laptop")


@pytest.mark.parametrize(
    "text", ["", "nonsense", "public-key = 'too short'", "\x00\xff", 'public-key = "' + "~" * 40 + '"']
)
def test_a_file_that_is_no_key(text):
    """It is named."""
    keys.new("laptop")
    path = keys.secret_path("laptop")
    path.write_text(text)

    with pytest.raises(DataStoreError, match=re.escape(str(path))):
        keys.own("laptop")


def test_a_public_half_in_the_place_of_a_secret():
    """The error says which file is needed."""
    public = keys.new("laptop").public.decode()
    keys.secret_path("laptop").write_text(f'curve\n    public-key = "{public}"\n')

    with pytest.raises(DataStoreError, match="has no secret key"):
        keys.own("laptop")


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "@x", "a b", "ü", "x" * 65])
def test_names_that_are_none(name):
    """They could name other files."""
    with pytest.raises(DataStoreError, match="A key's name has"):
        keys.new(name)


def test_allowing_and_revoking():
    """A name stands for one key, and a key has one name."""
    one, other = keys.new("one").public, keys.new("other").public
    keys.allow("one", one)
    keys.allow("one", one)
    assert {one: "one"} == keys.allowed()

    with pytest.raises(KeyExistsError, match="by the name 'one'"):
        keys.allow("another", one)
    with pytest.raises(KeyExistsError, match="stands for another key"):
        keys.allow("one", other)
    keys.revoke("one")
    assert {} == keys.allowed()
    with pytest.raises(KeyNotFoundError):
        keys.revoke("one")


@pytest.mark.parametrize("text", ["", "x" * 39, "x" * 41, "x" * 39 + "~"])
def test_public_keys_that_are_none(text):
    """The error says what one looks like."""
    with pytest.raises(DataStoreError, match="40 characters of Z85"):
        keys.public_key(text)
