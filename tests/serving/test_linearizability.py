"""All clients together see one store that does one thing at a time, also while it is killed again and again."""

import itertools

import pytest
from broken import Forgetful, Front, Repeating, Stale
from history import record_until
from killing import work_through_kills
from linearizability import unexplained

PROCESSES = 8


@pytest.mark.timeout(600)
def test_history_through_kills_is_linearizable(start_daemon, long):
    """What 8 processes saw of a few keys could have come from one operation at a time, between its call and its
    return, across SIGKILLs and compactions.
    """
    daemon = start_daemon()

    histories = work_through_kills(daemon, record_until, processes=PROCESSES, kills=20 if long else 5)

    assert [] == unexplained(itertools.chain.from_iterable(histories))


@pytest.mark.parametrize("behaviour", [Stale, Forgetful, Repeating])
def test_broken_server_is_caught(start_daemon, behaviour):
    """The same recording of a server that answers wrongly now and then is not linearizable."""
    with Front(start_daemon(), behaviour()) as broken:
        histories = work_through_kills(broken, record_until, processes=PROCESSES, kills=0, changes=500)

    assert unexplained(itertools.chain.from_iterable(histories))
