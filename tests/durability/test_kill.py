"""SIGKILL at random moments, while several processes write."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from writer import assert_nothing_is_lost, end, read_journal

from kvd.backend.file.engine.check import check
from processes import environment, wait_until
from stores import assert_sound, contents

WRITER = Path(__file__).with_name("writer.py")


def start_writers(directory, endpoint, count):
    """Start writers; return their processes and their journals."""
    journals = [directory / f"journal-{number}" for number in range(count)]
    return [
        subprocess.Popen(
            [sys.executable, WRITER, endpoint, f"w{number}", str(number), journal], env=environment(directory)
        )
        for number, journal in enumerate(journals)
    ], journals


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("sync", ["always", "never"])
def test_nothing_acknowledged_is_lost_when_the_daemon_is_killed(directory, start_daemon, sync, long):
    """After SIGKILL the file is sound or has a torn tail, and holds all that was acknowledged; the writers, who repeat
    what was not answered, never meet their own success as a conflict.
    """
    rounds = 300 if long else 5
    seed = random.randrange(1 << 32)
    print("seed", seed)
    chance = random.Random(seed)
    settings = {"sync": sync, "compact_min_bytes": "100000", "compact_share": "0.2"}
    daemon = start_daemon(**settings)
    writers, journals = start_writers(directory, daemon.endpoint, 3)
    try:
        for _ in range(rounds if sync == "always" else rounds // 4):
            answered = sum(journal.stat().st_size for journal in journals if journal.exists())
            wait_until(lambda: sum(j.stat().st_size for j in journals if j.exists()) > answered + 20_000)  # noqa: B023
            time.sleep(chance.random() * 0.2)  # the moment, which nothing waits for
            daemon.kill()

            report = check(daemon.file)
            assert [] == report.suspicious
            assert all(gap.unacknowledged for gap in report.gaps)
            daemon.start()
        daemon.kill()
    finally:
        end(writers)

    found = contents(daemon.file)
    assert_sound(daemon.file)
    told = [read_journal(journal) for journal in journals]
    for one in told:
        assert_nothing_is_lost(one, found)
    assert found.keys() <= {key for one in told for key in [*one.there, *(one.pending[1] if one.pending else ())]}
    assert sum(one.answered for one in told) > 20
