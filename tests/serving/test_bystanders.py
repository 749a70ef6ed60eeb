"""Who waits for a fast disk: the loop, where all who are there write; a thread, where somebody only reads."""

import pytest
from loop import Loop, Peer

from stores import create, request

READING = request("read", key="key0")


@pytest.fixture
def commits_beside(directory):
    """Returns a function: it sends operations, each as one of the peers, and tells whether a thread waits for the disk
    with the changes among them.
    """
    loop = Loop(directory / "store.json", sync="always")
    peers = [Peer() for _ in range(3)]
    numbers = iter(range(100))

    def commits_beside(*asked):
        for peer, what in asked:
            loop.ask_as(peers[peer], create(f"key{next(numbers)}", 1) if what == "change" else READING)
        loop.committer.write_seconds = 0.0  # as on a fast disk
        loop.backend.work(stopping=False)
        beside = loop.backend.busy
        while loop.backend.busy:
            loop.work()
        return beside

    assert not commits_beside((0, "change"))
    yield commits_beside
    loop.close()


def test_one_that_only_reads_does_not_wait(commits_beside):
    """While another writes: from its fourth read on."""
    assert not commits_beside(*[(1, "read"), (0, "read")] * 3, (0, "change"))
    assert commits_beside((1, "read"), (0, "change"))


def test_one_that_is_alone_waits_itself(commits_beside):
    """It waits for its own changes anyway."""
    assert not commits_beside(*[(0, "read")] * 10, (0, "change"))


def test_who_reads_between_changes_of_its_own_writes(commits_beside):
    """Workers of a queue do, each of which looks for its next job."""
    for _ in range(10):
        assert not commits_beside((0, "read"), (1, "read"), (0, "change"))
        assert not commits_beside((0, "read"), (1, "read"), (1, "change"))


def test_who_goes_on_to_read_does_not(commits_beside):
    """A change long ago does not make a writer."""
    assert not commits_beside((1, "change"))
    assert commits_beside(*[(0, "read"), (1, "read")] * 4, (0, "change"))
