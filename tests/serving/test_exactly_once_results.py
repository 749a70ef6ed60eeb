"""What came of a change is part of it: whoever asks again hears the first answer, however often the daemon dies."""

import itertools
import json
import random
from pathlib import Path
from typing import Any, Self

import pytest
from broken import Front, Repeating
from killing import work_through_kills

from wire_line import WireLine

PROCESSES = 6
JOBS = 15_000
"""More than are popped until all kills are over."""


class Twice:
    """Sends every request twice, each time over another connection, with ids of its own."""

    def __init__(self, endpoint: str, number: int) -> None:
        self._lines = WireLine(endpoint), WireLine(endpoint)
        self._number = number
        self._turns = itertools.count(1)
        self.differing: list[tuple[Any, Any, Any]] = []
        """Requests whose repetition got another answer."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for line in self._lines:
            line.close()

    def ask(self, **request: Any) -> dict[str, Any]:
        """Return the first answer."""
        request["id"] = f"worker{self._number}:{next(self._turns)}"
        first, again = (line.ask(request) for line in self._lines)
        if first != again:
            self.differing.append((request, first, again))
        return first


def increment_until(endpoint: str, number: int, until: Path) -> tuple[list[int], list[Any]]:
    """Count until the file exists; return the numbers that came of it."""
    counted = []
    with Twice(endpoint, number) as worker:
        while not until.exists():
            counted.append(worker.ask(op="increment", key="counter")["value"])
    return counted, worker.differing


def pop_until(endpoint: str, number: int, until: Path) -> tuple[list[dict[str, int]], list[Any]]:
    """Pop jobs, in an order of its own, until the file exists; return the values that came of it."""
    popped = []
    with Twice(endpoint, number) as worker:
        for job in random.Random(number).sample(range(JOBS), JOBS):
            if until.exists():
                break
            reply = worker.ask(op="pop", key=f"job:{job}")
            if reply["ok"]:
                popped.append(reply["value"])
            else:
                assert reply["error"] == "KeyNotFoundError"
    return popped, worker.differing


def pass_on_until(endpoint: str, number: int, until: Path) -> tuple[list[tuple[str, str, int]], list[Any]]:
    """Take the baton from whoever has it, in one batch with two other changes, until the file exists.

    Return from whom it was taken, by whom, and as which number in all.
    """
    passed = []
    with Twice(endpoint, number) as worker:
        for turn in itertools.count():
            if until.exists():
                break
            name = f"{number}.{turn}"
            operations = [
                {"op": "pop", "key": "baton"},
                {"op": "create", "key": "baton", "value": name},
                {"op": "increment", "key": "passed"},
            ]
            results = worker.ask(op="batch", operations=operations)["results"]
            passed.append((results[0]["value"], name, results[2]["value"]))
    return passed, worker.differing


def _work(daemon, work, long):
    """Return what all processes did through the kills, and which repetitions were answered differently."""
    done = work_through_kills(daemon, work, processes=PROCESSES, kills=20 if long else 5)
    return [each for results, _ in done for each in results], [each for _, differing in done for each in differing]


@pytest.mark.timeout(600)
def test_increment_counts_each_request_once_through_kills(start_daemon, long):
    """The counter is the number of distinct requests, each number was told to one of them, and its repetition was told
    the same, across SIGKILLs and compactions.
    """
    daemon = start_daemon()

    counted, differing = _work(daemon, increment_until, long)
    counter = json.loads(daemon.ask(b'{"op":"read","key":"counter"}'))

    assert [] == differing
    assert list(range(1, len(counted) + 1)) == sorted(counted)
    assert (len(counted), len(counted)) == (counter["value"], counter["revision"])
    assert 0 == daemon.stop()
    assert 0 == daemon.check().returncode


@pytest.mark.timeout(600)
def test_pop_gives_each_value_to_one_request_through_kills(start_daemon, long):
    """Each job went to one worker, whose repetition got it again, and what nobody got is still there."""
    daemon = start_daemon()
    thirds = [range(first, first + JOBS // 3) for first in range(0, JOBS, JOBS // 3)]
    with WireLine(daemon.endpoint) as line:
        for third in thirds:
            assert line.ask({"op": "batch_create", "items": {f"job:{job}": {"job": job} for job in third}})["ok"]

        popped, differing = _work(daemon, pop_until, long)
        left = line.ask({"op": "count", "prefix": "job:"})["count"]
        remaining = [
            entry["value"]["job"]
            for third in thirds
            for entry in line.ask({"op": "read_many", "keys": [f"job:{job}" for job in third]})["entries"]
        ]

    assert [] == differing
    assert left == len(remaining)
    assert list(range(JOBS)) == sorted([value["job"] for value in popped] + remaining)


@pytest.mark.timeout(600)
def test_batch_is_carried_out_once_through_kills(start_daemon, long):
    """A baton that each batch takes and gives itself went from hand to hand in one line, without a fork or a gap, and
    each repetition was told from whom.
    """
    daemon = start_daemon()
    daemon.ask(b'{"op":"create","key":"baton","value":"start"}')

    passed, differing = _work(daemon, pass_on_until, long)
    last = json.loads(daemon.ask(b'{"op":"read","key":"baton"}'))["value"]

    assert [] == differing
    in_order = sorted(passed, key=lambda step: step[2])
    assert list(range(1, len(passed) + 1)) == [number for _, _, number in in_order]
    assert ["start", *(to for _, to, _ in in_order)] == [*(source for source, _, _ in in_order), last]


def test_a_server_that_carries_out_twice_is_caught(start_daemon):
    """The same work at a server that does not know repetitions leaves answers that differ."""
    with Front(start_daemon(), Repeating()) as broken:
        done = work_through_kills(broken, increment_until, processes=2, kills=0, changes=100)

    assert any(differing for _, differing in done)
