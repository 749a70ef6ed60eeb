"""Writers of all kinds and watchers that resume, each in a process of its own, for `killing.work_through_kills`."""

import itertools
import random
from pathlib import Path
from typing import Any

from watch_checker import ANY, Change, Gap
from wire_line import WireLine

WRITERS = 4
CLEARED_LATER = 1000
"""A clear of more keys has a revision of its own and removes them afterwards."""
_SHARED = [f"key{number}" for number in range(12)]
_NUMBERS = ["number1", "number2"]
_TTLS = [None, None, None, 0.02, 0.1, 0.5]


class Written:
    """What a writer did, as far as it was acknowledged."""

    def __init__(self) -> None:
        self.changes: list[Change] = []
        self.unseen: list[int] = []
        self.ttls: dict[int, float] = {}

    def put(self, revision: int, key: str, value: Any, ttl: float | None) -> None:
        self.changes.append(Change(revision, key, value))
        if ttl is not None:
            self.ttls[revision] = ttl


class Writer:
    """Does one random thing after the other to keys that all writers share, and to some of its own."""

    def __init__(self, line: WireLine, number: int) -> None:
        self.written = Written()
        self._line = line
        self._number = number
        self._chance = random.Random(number)
        self._turns = itertools.count(1)

    def _ask(self, turn: int, **request: Any) -> dict[str, Any] | None:
        reply = self._line.ask({**request, "id": f"writer{self._number}:{turn}"})
        if reply["ok"]:
            return reply
        assert reply["error"] in ("KeyExistsError", "KeyNotFoundError", "RevisionMismatchError"), reply
        return None

    def act(self) -> None:
        """Do something."""
        turn, chance = next(self._turns), self._chance
        actions = ["put"] * 6 + ["create", "update", "delete", "pop", "increment", "expire"] * 3
        actions += ["batch", "batch_create", "delete_many", "clear"]
        if chance.random() < 0.01:
            self._clear_many(turn)
            return
        getattr(self, f"_{chance.choice(actions)}")(turn, chance.choice(_SHARED))

    def _value(self, turn: int) -> Any:
        value = 1_000_000 * self._number + turn
        return self._chance.choice([value, {"of": value}, None])

    def _store(self, op: str, turn: int, key: str) -> None:
        value, ttl = self._value(turn), self._chance.choice(_TTLS)
        fields = {} if ttl is None else {"ttl": ttl}
        if ttl is None and self._chance.random() < 0.1:
            fields["ephemeral"] = True
        if reply := self._ask(turn, op=op, key=key, value=value, **fields):
            self.written.put(reply["revision"], key, value, ttl)

    def _put(self, turn: int, key: str) -> None:
        self._store("put", turn, key)

    def _create(self, turn: int, key: str) -> None:
        self._store("create", turn, key)

    def _update(self, turn: int, key: str) -> None:
        self._store("update", turn, key)

    def _delete(self, turn: int, key: str) -> None:
        if reply := self._ask(turn, op="delete", key=key):
            self.written.changes.append(Change(reply["revision"], key, None))

    def _pop(self, turn: int, key: str) -> None:
        if reply := self._ask(turn, op="pop", key=key):
            self.written.changes.append(Change(reply["revision"], key, None))

    def _increment(self, turn: int, _: str) -> None:
        key = self._chance.choice(_NUMBERS)
        if reply := self._ask(turn, op="increment", key=key):
            self.written.put(reply["revision"], key, reply["value"], None)

    def _expire(self, turn: int, key: str) -> None:
        ttl = self._chance.choice(_TTLS)
        if reply := self._ask(turn, op="expire", key=key, ttl=ttl):
            self.written.put(reply["revision"], key, ANY, ttl)

    def _batch(self, turn: int, _: str) -> None:
        first, second = self._chance.sample(_SHARED, 2)
        value = self._value(turn)
        operations = [
            {"op": "put", "key": first, "value": value},
            {"op": "increment", "key": _NUMBERS[0], "by": 2},
            {"op": "pop", "key": first},
            {"op": "put", "key": second, "value": value, "ttl": 0.1},
        ]
        if reply := self._ask(turn, op="batch", operations=operations):
            put, counted, popped, lasting = reply["results"]
            assert value == popped["value"]
            self.written.put(put["revision"], first, value, None)
            self.written.put(counted["revision"], _NUMBERS[0], counted["value"], None)
            self.written.changes.append(Change(popped["revision"], first, None))
            self.written.put(lasting["revision"], second, value, 0.1)

    def _batch_create(self, turn: int, _: str) -> None:
        ttl = self._chance.choice(_TTLS)
        items = {f"own{self._number}:{turn}.{each}": each for each in range(5)}
        if reply := self._ask(turn, op="batch_create", items=items, **({} if ttl is None else {"ttl": ttl})):
            for key, value in items.items():
                self.written.put(reply["revision"], key, value, ttl)

    def _delete_many(self, turn: int, _: str) -> None:
        if reply := self._ask(turn, op="delete_many", keys=self._chance.sample(_SHARED, 3)):
            first = reply["revision"] - len(reply["deleted"]) + 1
            for revision, key in enumerate(reply["deleted"], first):
                self.written.changes.append(Change(revision, key, None))

    def _clear(self, turn: int, _: str) -> None:
        self._ask(turn, op="clear", prefix=f"own{self._number}:")

    def _clear_many(self, turn: int) -> None:
        """Clear so many keys that their removals come later, and make some of them again at once."""
        keys = [f"many{self._number}:{each}" for each in range(CLEARED_LATER + 200)]
        if reply := self._ask(turn, op="batch_create", items=dict.fromkeys(keys, turn)):
            for key in keys:
                self.written.put(reply["revision"], key, turn, None)
        if reply := self._ask(next(self._turns), op="clear", prefix=f"many{self._number}:"):
            assert len(keys) <= reply["deleted"]
            self.written.unseen.append(reply["revision"])
        for key in self._chance.sample(keys, 3):
            turn = next(self._turns)
            if reply := self._ask(turn, op="create", key=key, value=turn):
                self.written.put(reply["revision"], key, turn, None)
        if reply := self._ask(next(self._turns), op="clear", prefix=f"many{self._number}:"):
            assert 3 == reply["deleted"]
            self.written.unseen.append(reply["revision"])  # or not: that depends on how much of the first is done


class Watcher:
    """Watches, and goes on from the last revision that it was told, whatever happens in between."""

    def __init__(self, line: WireLine, prefix: str = "", limit: int = 1000) -> None:
        self.record: list[dict[str, Any] | Gap] = []
        self.gone: list[str] = []
        """What the daemon said where changes were no longer kept."""
        self.revision = 0
        self._line = line
        self._watch = {"op": "watch", "prefix": prefix, "limit": limit}

    def look(self, wait: float) -> bool:
        """Ask for what came since, for `wait` seconds; tell whether there was something."""
        reply = self._line.ask({**self._watch, "after": self.revision, "wait": wait})
        if reply["ok"]:
            self.record += reply["events"]
            self.revision = reply["revision"]
            return bool(reply["events"])
        assert "RevisionGoneError" == reply["error"], reply
        self.gone.append(reply["message"])
        self.revision = self._line.ask({"op": "watch"})["revision"]
        self.record.append(Gap(self.revision))
        return True


def write_until(endpoint: str, number: int, until: Path) -> Written:
    """Write until the file exists."""
    with WireLine(endpoint) as line:
        writer = Writer(line, number)
        while not until.exists():
            writer.act()
        return writer.written


def watch_until(
    endpoint: str, number: int, until: Path, *, wait: float = 1.0
) -> tuple[list[dict[str, Any] | Gap], list[str], int]:
    """Watch until the file exists: with large replies, and with small ones."""
    with WireLine(endpoint) as line:
        watcher = Watcher(line, limit=3 if number % 2 else 1000)
        while not until.exists():
            watcher.look(wait)
        return watcher.record, watcher.gone, watcher.revision


def write_or_watch(endpoint: str, number: int, until: Path, *, wait: float = 1.0) -> Any:
    """Be one of the writers, or a watcher."""
    return write_until(endpoint, number, until) if number < WRITERS else watch_until(endpoint, number, until, wait=wait)
