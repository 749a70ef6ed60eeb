"""Clients at work in processes of their own while the daemon is killed and started again."""

import json
import multiprocessing
import random
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from processes import Daemon, wait_until


def revision(daemon: Daemon) -> int:
    """Return how many changes the store has seen."""
    return json.loads(daemon.ask(b'{"op":"status"}'))["status"]["revision"]


def work_through_kills(
    daemon: Daemon, work: Callable[[str, int, Path], Any], *, processes: int, kills: int, changes: int = 400
) -> list[Any]:
    """Return what `work(endpoint, number, until)` returned in each process; it is to end when `until` exists.

    In the meantime the daemon is killed with SIGKILL and started again so many times, each time after up to so many
    changes, and every other time with a compaction on its way. It all ends after as many `changes`.
    """
    chance = random.Random(0)
    until = daemon.directory / "enough"
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        working = [pool.submit(work, daemon.endpoint, number, until) for number in range(processes)]

        def has_reached(number: int) -> bool:
            for done in working:
                if done.done():  # too early, so with an error
                    done.result()
            return revision(daemon) >= number

        try:
            for turn in range(kills):
                wanted = revision(daemon) + chance.randint(processes, changes)
                wait_until(lambda wanted=wanted: has_reached(wanted))
                if turn % 2:
                    daemon.ask(b'{"op":"compact"}')
                daemon.kill()
                daemon.start()
            wanted = revision(daemon) + changes
            wait_until(lambda: has_reached(wanted))
        finally:
            until.touch()
        return [done.result() for done in working]
