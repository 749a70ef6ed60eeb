"""Batches of thousands of operations: they are decided in steps, between which others are served."""

import pytest

from kvclient.contract.errors import StoreCorruptError
from kvd.backend.file.store.operations.batch import LONG
from stores import create, request


def increments(*keys, **fields):
    """Return a batch that counts each of the keys."""
    return request("batch", operations=[{"op": "increment", "key": key} for key in keys], **fields)


MANY = [f"key{number}" for number in range(3 * LONG)]


def test_others_read_between_the_steps(loop):
    """They see what was there before, and all of it at once when the batch is done."""
    loop.ask(increments(*MANY))
    loop.work_off()
    (batch,) = loop.ask(increments(*MANY))
    seen = []
    while not batch.replies:
        loop.work()
        seen += loop.send(request("read_many", keys=[MANY[0], MANY[-1]]))

    assert len(seen) > 1
    assert {(1, 1), (2, 2)} == {tuple(entry["value"] for entry in reply["entries"]) for reply in seen}
    assert len(MANY) == len(batch.replies[0]["results"])


def test_other_changes_come_behind_it(loop):
    """In their order, with the revisions that they would have had anyway."""
    batch, later = loop.ask(increments(*MANY), create("later", 1))
    loop.work()
    (last,) = loop.ask(create("last", 1))
    loop.work_off()

    revisions = [peer.replies[0]["revision"] for peer in (batch, later, last)]
    assert [len(MANY), len(MANY) + 1, len(MANY) + 2] == revisions


def test_several_share_a_commit(loop):
    """As short ones do."""
    loop.ask(*[increments(f"a{peer}", *MANY) for peer in range(3)])
    loop.work_off()

    assert 1 == loop.committer.statistics()["commits"]


def test_a_refused_one_leaves_nothing(loop):
    """The error says which operation it was, and the next request in its group is not touched by it."""
    loop.send(create(MANY[-1], "text"))
    refused, done = loop.ask(increments(*MANY), create("other", 1))
    loop.work_off()

    assert ("InvalidValueError", len(MANY) - 1) == (refused.replies[0]["error"], refused.replies[0]["index"])
    assert {"ok": True, "revision": 2} == done.replies[0]
    assert [{"ok": True, "count": 2}] == loop.send(request("count"))


def test_a_repetition_is_not_carried_out(loop):
    """Not in the same group either."""
    once, again, later = loop.ask(increments(*MANY, id="a:1"), increments(*MANY, id="a:1"), create("later", 1))
    loop.work_off()

    assert once.replies == again.replies
    assert {"ok": True, "revision": len(MANY) + 1} == later.replies[0]


def test_what_is_due_meanwhile_waits(loop, clock):
    """A key that expires between the steps is swept behind the batch."""
    loop.send(create("brief", 1, ttl=5))
    (batch,) = loop.ask(increments(*MANY))
    loop.work()
    clock.now += 10
    loop.work_off()

    assert batch.replies[0]["ok"]
    assert len(MANY) == len(loop.store.keys)


def test_a_file_that_others_wrote_to_refuses_it(loop):
    """Found out between two steps, and nothing of it is written."""
    batch, later = loop.ask(increments(*MANY), create("later", 1))
    loop.work()
    loop.backend._health.interfered(StoreCorruptError("somebody was here"))
    loop.work_off()

    assert ["StoreCorruptError"] * 2 == [peer.replies[0]["error"] for peer in (batch, later)]
    assert 0 == len(loop.store.keys)


def test_the_end_waits_for_it(loop):
    """What was received is answered before the daemon stops."""
    (batch,) = loop.ask(increments(*MANY))
    loop.work(stopping=True)
    assert loop.backend.unfinished
    while loop.backend.unfinished:
        loop.work(stopping=True)

    assert batch.replies[0]["ok"]


@pytest.mark.parametrize("interrupted", [MemoryError, KeyboardInterrupt])
def test_one_that_breaks_off_holds_nobody_up(loop, monkeypatch, interrupted):
    """Where there is no memory it is refused; where Ctrl-C ends it, in a LocalDataStore, it is tried again."""
    batch, later = loop.ask(increments(*MANY), create("later", 1))
    loop.work()

    def fail(*_):
        raise interrupted

    with monkeypatch.context() as patch:
        patch.setattr("kvd.backend.file.store.view.View.put", fail)
        if interrupted is KeyboardInterrupt:
            with pytest.raises(KeyboardInterrupt):
                loop.work()
        else:
            loop.work()
    loop.work_off()

    answers = [peer.replies[0]["ok"] for peer in (batch, later)]
    assert [interrupted is KeyboardInterrupt] * 2 == answers
