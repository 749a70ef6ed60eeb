"""Watchers are told everything, once, in order and with the right value before, whatever happens to the daemon."""

import itertools
import json
from functools import partial

import pytest
from broken import Front
from broken_watches import Doubling, Dropping, Misremembering, Reordering
from killing import work_through_kills
from watching import WRITERS, Watcher, write_or_watch

from processes import wait_until
from watch_checker import Checker
from wire_line import WireLine

WATCHERS = 2


def at_rest(daemon, changing):
    """Wait until nothing changes by itself any more, as these counters tell, and return what there is."""

    def settled():
        stats = json.loads(daemon.ask(b'{"op":"stats"}'))["stats"]
        return not any(stats[name] for name in changing)

    wait_until(settled)
    entries = []
    with WireLine(daemon.endpoint) as line:
        more = True
        while more:
            after = entries[-1]["key"] if entries else ""
            page = line.ask({"op": "list", "values": True, "after": after})
            entries += page["entries"]
            more = page["more"]
    return {entry["key"]: entry["value"] for entry in entries}


def check(daemon, done, changing=("expiring", "ephemeral")):
    """Return what is wrong with what the watchers were told, and the gaps that they were told of."""
    written, watched = done[:WRITERS], done[WRITERS:]
    contents = at_rest(daemon, changing)
    problems, gone = [], []
    unseen = set(itertools.chain.from_iterable(writer.unseen for writer in written))
    ttls = {revision: ttl for writer in written for revision, ttl in writer.ttls.items()}
    changes = list(itertools.chain.from_iterable(writer.changes for writer in written))
    for record, told, revision in watched:
        with WireLine(daemon.endpoint) as line:
            resumed = Watcher(line)
            resumed.revision = revision
            while resumed.look(0.0):
                pass
        checker = Checker(0, unseen, ttls)
        checker.follow([*record, *resumed.record])
        checker.compare(changes)
        checker.compare_end(contents)
        assert checker.told, "nothing was told"
        problems += checker.problems
        gone += told + resumed.gone
    return problems, gone


@pytest.mark.timeout(1200)
def test_watchers_miss_nothing_through_kills(start_daemon, long):
    """4 writers change keys in every way there is, with expiry, ephemeral keys, large clears, compactions and SIGKILLs
    in between: two watchers that resume are told each change once, in order, with the value before it. Only what a
    compaction took, while the daemon died, may be missing, and then they are told so.
    """
    daemon = start_daemon()
    kills = 20 if long else 5

    done = work_through_kills(
        daemon, write_or_watch, processes=WRITERS + WATCHERS, kills=kills, changes=8000 if long else 3000
    )
    problems, gone = check(daemon, done)

    assert [] == problems[:10]
    assert all("no longer all" in message for message in gone)
    assert len(gone) <= WATCHERS * (kills // 2)  # every other kill is behind the beginning of a compaction
    assert 0 == daemon.stop()
    assert 0 == daemon.check().returncode


@pytest.mark.parametrize("behaviour", [Dropping, Doubling, Reordering, Misremembering])
def test_a_broken_server_is_caught(start_daemon, behaviour):
    """The same writers and watchers at a server that tells wrong now and then leave a record that cannot be."""
    daemon = start_daemon()
    with Front(daemon, behaviour()) as broken:
        done = work_through_kills(
            broken, partial(write_or_watch, wait=0.0), processes=WRITERS + WATCHERS, kills=0, changes=1500
        )

    # Ephemeral keys are bound to this process, which stands in front.
    assert check(daemon, done, changing=["expiring"])[0]
