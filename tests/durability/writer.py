"""A process that writes to a daemon without pause, and what it was told of each write.

    python writer.py ENDPOINT NAME SEED JOURNAL

Each line of the journal is written before a request is sent, with what it asks, or after its reply came, with what that
was. So a request without a reply may or may not have been carried out, and all others are known. The writer is
ended by a signal, at any moment, or by a daemon whose disk has failed.
"""

import json
import random
import sys
from pathlib import Path
from typing import NamedTuple


def main(endpoint, name, seed, journal):
    from kvclient import Client, DataStoreError, KeyExistsError, KeyNotFoundError, StoreFullError

    chance = random.Random(int(seed))
    client = Client(endpoint, timeout=60)
    mine = []
    number = 0
    with Path(journal).open("a", buffering=1) as lines:

        def do(what, items, ask):
            lines.write(json.dumps(["ask", what, items]) + "\n")
            try:
                ask()
                lines.write('["done"]\n')
            except StoreFullError:
                lines.write('["refused"]\n')

        while True:
            try:
                kind = chance.random()
                number += 1
                key = f"{name}-{number}"
                if kind < 0.4 or not mine:
                    value = {"n": number, "text": "x" * chance.choice([1, 10, 300, 5000])}
                    do("create", {key: value}, lambda: client.create(key, value))  # noqa: B023
                    mine.append(key)
                elif kind < 0.55:
                    do("expiring", {key: number}, lambda: client.create(key, number, ttl=0.05))  # noqa: B023
                elif kind < 0.8:
                    items = {f"{key}.{part}": [number, part] for part in range(chance.randint(2, 20))}
                    do("batch", items, lambda: client.batch_create(items))  # noqa: B023
                    mine.extend(items)
                else:
                    victim = mine.pop(chance.randrange(len(mine)))
                    do("delete", {victim: None}, lambda: client.delete(victim))  # noqa: B023
            except (KeyExistsError, KeyNotFoundError) as error:
                lines.write(json.dumps(["wrong", str(error)]) + "\n")
                raise
            except DataStoreError:
                return


class Told(NamedTuple):
    """What a journal says must be in the file: `there`, and `pending`, the request whose reply never came."""

    there: dict
    gone: set
    pending: list
    answered: int
    batches: list
    """The keys of each batch of which no key was deleted."""


def read_journal(path):
    """Return what a journal tells."""
    there, gone, asked, answered = {}, set(), None, 0
    batches, deleted = [], set()
    for line in path.read_text().splitlines():
        kind, *content = json.loads(line)
        if kind == "ask":
            assert asked is None, "a writer asks one thing at a time"
            asked = content
            continue
        assert kind in {"done", "refused"}, line
        what, items = asked
        if what == "batch":
            batches.append(set(items))
        if what == "delete":
            deleted |= items.keys()
        asked = None
        answered += 1
        if kind == "refused":
            gone |= items.keys() if what != "delete" else set()
        elif what in {"create", "batch"}:
            there |= items
        else:
            gone |= items.keys()
            for key in items:
                there.pop(key, None)
    if asked and asked[0] == "delete":
        deleted |= asked[1].keys()
    return Told(there, gone, asked, answered, [keys for keys in batches if not keys & deleted])


def end(writers):
    """End writers, none of which may have met its own success, or its own deletion, as an error."""
    ended = [writer.poll() for writer in writers]
    for writer in writers:
        writer.kill()
        writer.wait()
    assert {None, 0}.issuperset(ended)


def assert_nothing_is_lost(told, found):
    """Compare what a writer was told with what is in the file, as key → value, expired keys left out."""
    pending = dict(told.pending[1]) if told.pending else {}
    for key, value in told.there.items():
        if key not in pending:
            assert key in found, f"acknowledged and missing: {key}"
            assert value == found[key]
    back = {key: found[key] for key in told.gone & found.keys()}
    assert {} == back, f"deleted or expired, and back: {back}"
    if told.pending and told.pending[0] == "batch":
        assert len(pending.keys() & found.keys()) in {0, len(pending)}, "half a batch"


if __name__ == "__main__":
    main(*sys.argv[1:])
