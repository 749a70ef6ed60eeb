"""Computing a value once on the machine, however many processes ask at once.

The value of a call lies at the call's key (`call_key`), as `{"value": …, "took": seconds}`. Who finds none claims the
key with `#computing` behind it, looks once more, computes, and then, in one commit, stores the value and gives up the
claim. Everybody else waits for the end of the claim (`claim`), which the daemon tells: because the value is there, or
because the one who computed raised, was interrupted or died. Then one of those who waited computes.

The rule that makes it once: nobody computes without the claim, and who has it has looked after he got it. A value is
stored only while its claim is there; `forget` takes both away, so what is being computed then is not kept.
"""

import json
import logging
import math
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from kvclient.contract import calls
from kvclient.contract.errors import (
    DaemonUnavailableError,
    DataStoreError,
    InvalidValueError,
    KeyNotFoundError,
    RevisionMismatchError,
)
from kvclient.contract.rules import encode_value
from kvclient.recipes import claim
from kvclient.recipes.claim import Beside, Claim
from kvclient.recipes.steps import Steps, Work, ask

_log = logging.getLogger(__name__)

_COMPUTING = "#computing"

Together = Callable[[str, Steps[None]], Steps[None]]
"""Makes of the steps to wait for a key those of one who may wait for it together with others."""


class _Found(NamedTuple):
    """A value in the store."""

    value: Any
    revision: int
    expires_at: float | None
    took: float
    """Seconds."""


class Failed(NamedTuple):
    """A computation that raised. It is returned: raised in a generator, a StopIteration becomes another error."""

    error: BaseException


class _Mark:
    """A computation that is under way in this context, and those that it is a part of."""

    def __init__(self, recipe: "Computing", key: str, within: "_Mark | None") -> None:
        self.recipe, self.key, self.within = recipe, key, within
        self.over = False

    def includes(self, recipe: "Computing", key: str) -> bool:
        mark: _Mark | None = self
        while mark is not None and ((mark.recipe, mark.key) != (recipe, key) or mark.over):
            mark = mark.within
        return mark is not None


# Threads have a context of their own, and a task that is started within a computation inherits the mark, which may be
# over by then.
_under_way: ContextVar[_Mark | None] = ContextVar("under_way", default=None)


class Computing:
    """What is done to get, renew and forget the values of one function, as steps."""

    def __init__(
        self, name: str, ttl: float | None, early: float, as_: Any, beside: Beside, together: Together
    ) -> None:
        self._name = name
        self._ttl = ttl
        self._early = early
        self._as = as_
        self._beside = beside
        self._together = together

    def get(self, key: str, compute: Callable[[], Any]) -> Steps[Any]:
        """Return the value, computed if there is none; a `Failed` if that raised."""
        found = yield from self._look(key)
        while found is None or self._is_due(found):
            mine = yield from claim.take(key + _COMPUTING, self._beside)
            if mine is not None:
                return (yield from self._renew(key, mine, found, compute))
            if found is not None:
                break  # somebody computes it early; until then the old one is good
            yield from self._wait(key)
            found = yield from self._find(key)
        return found.value

    def refresh(self, key: str, compute: Callable[[], Any]) -> Steps[Any]:
        """Compute the value, when nobody else does; a `Failed` if that raised."""
        while (mine := (yield from claim.take(key + _COMPUTING, self._beside))) is None:
            yield from self._wait(key)
        return (yield from self._compute(key, mine, compute))

    def forget(self, key: str) -> Steps[bool]:
        """Delete the value, and have one that is being computed not stored."""
        deleted = yield from ask(calls.delete_many([key, key + _COMPUTING]))
        return key in deleted

    def _renew(self, key: str, mine: Claim, old: _Found | None, compute: Callable[[], Any]) -> Steps[Any]:
        """Return what somebody has computed between the look at the old value and the claim, else compute."""
        try:
            latest = yield from self._find(key)
        except BaseException as error:
            yield from claim.abandon(mine, error, self._beside)
            raise
        if latest is not None and (old is None or latest.revision != old.revision):
            yield from claim.let_go(mine, self._beside)
            return latest.value
        outcome = yield from self._compute(key, mine, compute)
        if latest is not None and isinstance(outcome, Failed) and isinstance(outcome.error, Exception):
            _log.warning(
                "%s() raised when it was computed early; its value is kept until it expires",
                self._name,
                exc_info=outcome.error,
            )
            return latest.value
        return outcome

    def _compute(self, key: str, mine: Claim, compute: Callable[[], Any]) -> Steps[Any]:
        try:
            started = time.monotonic()
            with self._under_way(key):
                result = yield Work(compute)
            took = time.monotonic() - started
            plain, value = self._storable(result, key)
            yield from self._store(key, mine, plain, took)
        except BaseException as error:
            yield from claim.abandon(mine, error, self._beside)
            if isinstance(error, GeneratorExit):
                raise
            return Failed(error)
        return value

    def _store(self, key: str, mine: Claim, plain: Any, took: float) -> Steps[None]:
        """Store the value and give up the claim; nothing if that is gone, because the value was to be forgotten."""
        put = {"op": "put", "key": key, "value": {"value": plain, "took": round(took, 6)}, "ttl": self._ttl}
        try:
            yield from ask(calls.batch([put, {"op": "delete", "key": mine.key, "if_revision": mine.revision}]))
        except RevisionMismatchError:
            return
        except DataStoreError as error:
            if error.index is None:
                raise
            raise type(error)(f"What {self._name}() returned cannot be stored. {error.message}", error.keys) from None

    def _wait(self, key: str) -> Steps[None]:
        mark = _under_way.get()
        if mark is not None and mark.includes(self, key):
            raise RuntimeError(f"{self._name}() asks for the very value that it is computing, key {key!r}.")
        yield from self._together(key, claim.wait(key + _COMPUTING))

    def _look(self, key: str) -> Steps[_Found | None]:
        try:
            return (yield from self._find(key))
        except DaemonUnavailableError:
            return None  # a read starts no daemon for a store that is not there yet; the claim does, or raises the same

    def _find(self, key: str) -> Steps[_Found | None]:
        """Return the value. What is none of ours, or does not fit any more, will be replaced."""
        try:
            entry = yield from ask(calls.entry(key))
        except KeyNotFoundError:
            return None
        stored = entry.value
        if not isinstance(stored, dict) or "value" not in stored or not isinstance(stored.get("took"), int | float):
            return None
        try:
            value = self._typed(stored["value"], key)
        except InvalidValueError:
            return None
        return _Found(value, entry.revision, entry.expires_at, stored["took"])

    def _is_due(self, found: _Found) -> bool:
        """Tell whether to compute a value early: by chance, the likelier the nearer its end and the longer it takes."""
        if not self._early or found.expires_at is None:
            return False
        ahead = -found.took * self._early * math.log(1.0 - random.random())
        return time.time() + ahead >= found.expires_at

    def _storable(self, result: Any, key: str) -> tuple[Any, Any]:
        """Return a result as JSON, and as everybody will get it: also who computed it gets a list for a tuple."""
        try:
            plain = json.loads(encode_value(result))
            return plain, self._typed(plain, key)
        except InvalidValueError as error:
            raise InvalidValueError(f"What {self._name}() returned cannot be stored. {error.message}") from None

    def _typed(self, plain: Any, key: str) -> Any:
        if self._as is None:
            return plain
        from kvclient.contract.typed import check  # imports pydantic

        return check(plain, self._as, key)

    @contextmanager
    def _under_way(self, key: str) -> Iterator[None]:
        before = _under_way.get()
        mark = _Mark(self, key, before)
        _under_way.set(mark)
        try:
            yield
        finally:
            mark.over = True
            _under_way.set(before)
