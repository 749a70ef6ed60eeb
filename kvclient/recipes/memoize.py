"""Functions whose results are kept in the store: computed once on the machine, however many processes ask at once.

`computing` does that, and `call_key` makes a key of a call; here is what a decorated function has.
"""

import functools
import inspect
import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Any, Concatenate, Generic, NamedTuple, ParamSpec, Self, TypeVar, overload

from kvclient.contract import calls
from kvclient.contract.calls import Call
from kvclient.contract.rules import check_ttl
from kvclient.recipes.call_key import CallKeys
from kvclient.recipes.computing import Computing, Failed
from kvclient.recipes.steps import Steps, run

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")


class Options(NamedTuple):
    """What a function is memoized with. See `Recipes.memoize`."""

    ttl: float | None = None
    prefix: str = "memo:"
    ignore: str | int | Collection[str | int] = ()
    key: Callable[..., Any] | None = None
    early: float = 0.0
    as_: Any = None

    def check(self) -> None:
        """Raise `InvalidTTLError` for a `ttl`, `ValueError` for an `early` that cannot be."""
        check_ttl(self.ttl)
        if isinstance(self.early, bool) or not isinstance(self.early, int | float) or not 0 <= self.early < math.inf:
            raise ValueError(f"early= is a finite number from 0 on, mostly 1, not {self.early!r}.")
        if self.early and self.ttl is None:
            raise ValueError("early= needs a ttl=: what never expires is never computed early.")


class Memo(ABC, Generic[P, R]):
    """What functions and async functions that are memoized have in common."""

    def __init__(self, function: Callable[..., Any], options: Options) -> None:
        functools.update_wrapper(self, function)  # type: ignore[arg-type]  # first, as it copies the function's attributes
        self._keys = CallKeys(function, options.prefix, options.ignore, options.key)
        self._recipe = Computing(self._keys.name, options.ttl, options.early, options.as_, self._beside, self._together)
        self._function = function
        self._first: tuple[Any, ...] = ()
        """The instance, where the function is a method."""

    @abstractmethod
    def _beside(self, steps: Steps[None]) -> None:
        """Have steps taken that nobody waits for."""

    def _together(self, _key: str, steps: Steps[None]) -> Steps[None]:
        """Take the steps that wait for a key. Each thread has a connection to do so."""
        return steps

    def key(self, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Return the key at which the value of this call is kept. It need not exist.

        Raises `TypeError` for arguments that the function does not take or that cannot be part of a key.
        """
        return self._keys.of(self._first + args, kwargs)

    def _compute(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Callable[[], Any]:
        return functools.partial(self._function, *self._first, *args, **kwargs)

    def _bound_to(self, instance: object) -> Self:
        bound = object.__new__(type(self))
        bound.__dict__.update(self.__dict__, _first=(instance,))
        return bound

    def __repr__(self) -> str:
        return f"<memoized {self._function!r}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Pickle it as functions are, by name, so that multiprocessing can be given one."""
        if self._first:
            return getattr, (self._first[0], self._function.__name__)
        return self._function.__qualname__


class Memoized(Memo[P, R]):
    """A function whose results are kept in the store. Called as the function is. See `Recipes.memoize`.

    A call, and each method, raises what a call to the store raises, such as `DaemonUnavailableError`.
    """

    def __init__(self, call: Callable[[Call[Any]], Any], function: Callable[P, R], options: Options) -> None:
        """Memoize `function`, with `call` to ask the store."""
        if inspect.iscoroutinefunction(function) or _yields(function):
            raise TypeError(refusal(function, "AsyncClient.memoize is for async functions."))
        super().__init__(function, options)
        self._call = call

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Return the kept value of this call; compute it if there is none, or wait while somebody else does.

        Raises what the function raises, if it was this call that computed; nothing is kept then. Raises `TypeError` for
        arguments that cannot be part of a key, `InvalidValueError` and `ValueTooLargeError` for a result that cannot be
        stored, and `RuntimeError` where the function asks for the very value that it is computing.
        """
        return self._outcome(self._recipe.get(self.key(*args, **kwargs), self._compute(args, kwargs)))

    def refresh(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Compute the value of this call anew, store it and return it. Others get the old one until it is there.

        Waits first while somebody else computes it. If the function raises, the old value stays.

        >>> rate.refresh("EUR")
        """
        return self._outcome(self._recipe.refresh(self.key(*args, **kwargs), self._compute(args, kwargs)))

    def forget(self, /, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Delete the value of this call, and tell whether there was one. Atomic.

        A computation that is under way returns its result to its caller and does not store it; who waits for it
        computes anew.

        >>> rate.forget("EUR")
        """
        return run(self._call, self._recipe.forget(self.key(*args, **kwargs)))

    def forget_all(self) -> None:
        """Delete the values of all calls, as `forget`. Atomic. Those with another `prefix` stay.

        >>> rate.forget_all()
        """
        self._call(calls.clear(self._keys.prefix))

    def _outcome(self, steps: Steps[Any]) -> R:
        outcome = run(self._call, steps)
        if isinstance(outcome, Failed):
            raise outcome.error
        value: R = outcome
        return value

    def _beside(self, steps: Steps[None]) -> None:
        with suppress(RuntimeError):  # the process is about to end, and the claim with it
            threading.Thread(target=run, args=(self._call, steps), name="kvd-let-go", daemon=True).start()

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(
        self: "Memoized[Concatenate[Any, Q], R]", instance: object, owner: type | None = None
    ) -> "Memoized[Q, R]": ...
    def __get__(self, instance: object | None, owner: type | None = None) -> Any:
        return self if instance is None else self._bound_to(instance)


def memoizing(kind: Callable[..., Any], call: Any, function: Callable[..., Any] | None, options: Options) -> Any:
    """Return what `@store.memoize` makes of a function, or with options the decorator that makes it."""
    options.check()
    return kind(call, function, options) if function is not None else lambda found: kind(call, found, options)


def _yields(function: Callable[..., Any]) -> bool:
    return inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function)


def refusal(function: Callable[..., Any], otherwise: str) -> str:
    """Say why a function cannot be memoized: because it yields, or for the reason `otherwise`."""
    name = getattr(function, "__qualname__", type(function).__name__)
    if _yields(function):
        return f"{name}() yields its values one by one, which cannot be kept: return a list."
    return f"{name}() is {'an async' if inspect.iscoroutinefunction(function) else 'no async'} function: {otherwise}"
