"""The errors as classes: what they are kinds of, what they carry, and that both packages have them."""

import copy
import pickle

import pytest

import kvclient
import kvclient.contract.errors
import kvd

KINDS = {
    "AccessDeniedError": (PermissionError,),
    "KeyExistsError": (),
    "KeyNotFoundError": (KeyError,),
    "KeyTooLongError": (ValueError,),
    "LockHeldError": (TimeoutError,),
    "InvalidKeyError": (ValueError,),
    "ValueTooLargeError": (ValueError,),
    "InvalidValueError": (ValueError,),
    "InvalidTTLError": (ValueError,),
    "BatchTooLargeError": (),
    "RevisionGoneError": (),
    "RevisionMismatchError": (),
    "StoreFullError": (),
    "StoreLockedError": (),
    "StoreCorruptError": (),
    "TooManyWatchersError": (),
    "RequestError": (),
    "DaemonUnavailableError": (ConnectionError,),
    "RequestTimeoutError": (TimeoutError,),
}


@pytest.mark.parametrize("name", KINDS)
def test_each_error_is_a_data_store_error_and_what_one_would_expect(name):
    """Each class is importable from both packages, and also of the built-in kind that fits it."""
    error = getattr(kvclient, name)

    assert error is getattr(kvd, name)
    for kind in (KeyError, ValueError, ConnectionError, TimeoutError, PermissionError):
        assert (kind in KINDS[name]) == issubclass(error, kind)
    assert issubclass(error, kvclient.DataStoreError)
    assert error is kvclient.contract.errors.by_name(name)


def test_no_error_is_left_out():
    """The list above is all there are."""
    assert {*KINDS, "DataStoreError"} == set(kvclient.contract.errors.__all__)


@pytest.mark.parametrize("name", [*KINDS, "DataStoreError"])
def test_errors_survive_pickling(name):
    """An error that crosses processes keeps its class, its message, its keys and its index."""
    error = getattr(kvclient, name)("What happened.", ["key1", "key2"], 3)

    for twin in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(error) is type(twin)
        assert "What happened." == str(twin) == twin.message
        assert (("key1", "key2"), 3) == (twin.keys, twin.index)


@pytest.mark.parametrize("name", ["FutureError", "Exception", "os", "by_name", "__doc__", ""])
def test_an_error_unknown_here_is_a_data_store_error(name):
    """A newer daemon may know more errors than this client."""
    assert kvclient.DataStoreError is kvclient.contract.errors.by_name(name)
