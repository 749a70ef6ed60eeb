"""What a process does to a data file while it is shot at, with a journal of each step before it is tried and after.

python scenario.py SCENARIO FILE JOURNAL
"""

import json
import os
import sys
from pathlib import Path

from kvclient.contract.errors import DataStoreError
from kvd.backend.file.engine import tail
from kvd.backend.file.engine.interface import EngineFailure
from kvd.backend.file.engine.repair import repair
from stores import Opened


class Journal:
    def __init__(self, path):
        self.fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def note(self, *what):
        os.write(self.fd, json.dumps(what).encode() + b"\n")

    def attempt(self, change, call):
        """Carry out a change: keys with their values, None for a key that goes."""
        self.note("ask", change)
        try:
            call()
        except DataStoreError as error:
            self.note("refused", str(error))
        else:
            self.note("done")


def commit(path, journal):
    """Commits of one and of several keys, one that makes the file grow, and the end."""
    tail._LEAST_EXTENT_BYTES = 65536  # so that it grows more than once
    store = Opened(path, max_file_bytes=1_000_000)
    journal.attempt({"one": 1}, lambda: store.create("one", 1))
    journal.attempt({"two": 2, "three": 3}, lambda: store.batch({"two": 2, "three": 3}))
    journal.attempt({"base1": None}, lambda: store.delete("base1"))
    journal.attempt(
        {"large": "x" * 70_000, "other": "y" * 300_000},
        lambda: store.batch({"large": "x" * 70_000, "other": "y" * 300_000}),
    )
    journal.attempt({"last": 4}, lambda: store.create("last", 4))
    store.close()


def compaction(path, journal):
    """A compaction with commits before, between and after its steps."""
    store = Opened(path)
    steps = store.store.compact()
    number = 0
    try:
        for job in steps:
            number += 1
            if job is None or not job.alone:
                key = f"during{number}"
                journal.attempt({key: number}, lambda: store.create(key, number))  # noqa: B023
            if job is not None:
                job.run()
    except OSError as error:
        steps.close()
        journal.note("given up", str(error))
    journal.attempt({"after": 5}, lambda: store.create("after", 5))
    journal.attempt({"base2": None}, lambda: store.delete("base2"))
    store.close()


def recovery(path, journal):
    """The opening of a file with a torn tail, and a commit behind it."""
    commit(path, journal)


def mending(path, journal):
    """The repair of a damaged file."""
    repair(path)
    journal.note("repaired")


def conversion(path, journal):
    """The opening of a plain JSON file."""
    commit(path, journal)


def takeover(path, journal):
    """The opening of a file that somebody edited."""
    commit(path, journal)


def prepare(path, *, torn=False, broken=False, edited=False):
    """Prepare a file. With `torn` a commit is cut, with `broken` the first is damaged, with `edited` still JSON."""
    with Opened(path) as store:
        for number in range(3):
            store.create(f"base{number}", "x" * 50)
    data = path.read_bytes()
    if torn:
        path.write_bytes(data[:-2] + b',"":{"crc":"00000000","bytes":  200,"revision":4},"torn":{"revi')
    if broken:
        path.write_bytes(data.replace(b'"base0"', b"'bXse0'"))
    if edited:
        path.write_bytes(data.replace(b'"value":"x', b'"value":"edited x', 1))


if __name__ == "__main__":
    what, file, log = sys.argv[1:]
    lines = Journal(log)
    try:
        globals()[what](Path(file), lines)
    except (DataStoreError, EngineFailure, OSError) as error:
        lines.note("ended", str(error))
        sys.exit(3)
