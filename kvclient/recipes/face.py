"""The recipes as methods of a store: what `Client` and `LocalDataStore` have beside the operations.

Each is imported when it is first used: a script that reads one key pays for none of them.
"""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from kvclient.contract.face import Face

if TYPE_CHECKING:
    from kvclient.recipes.lock import Lock
    from kvclient.recipes.mapping import StoreMapping
    from kvclient.recipes.memoize import Memoized
    from kvclient.recipes.namespace import Namespace
    from kvclient.recipes.queue import Queue

T = TypeVar("T")
P = ParamSpec("P")
R = TypeVar("R")


class Recipes(Face):
    """A key-value store with what is built on its operations."""

    def lock(self, name: str, *, wait: float | None = None, shared: int = 1, reentrant: bool = False) -> "Lock":
        """Return the lock called `name`, for `with`: held by this process, and free the instant that it ends.

        `with` waits `wait` seconds for it and then raises `LockHeldError`; None: as long as it takes; 0: not at all.
        First come, first served. Up to `shared` may hold it at a time. With `reentrant` the thread that holds it gets
        it again. What is promised and what is not: see `kvclient.recipes.lock`. Raises `InvalidKeyError` for what can
        be no name, `ValueError` for a number that cannot be.

        >>> with store.lock("nightly", wait=60) as lock:
        ...     print(lock.revision)
        42
        """
        from kvclient.recipes.lock import Lock

        return Lock(self, name, shared, wait=wait, reentrant=reentrant)

    def semaphore(self, name: str, n: int, *, wait: float | None = None) -> "Lock":
        """Return a semaphore, which up to `n` hold at a time: `lock(name, shared=n)`. Waits and raises as `lock`.

        >>> with store.semaphore("gpu", 2), store.semaphore("gpu", 2) as second:
        ...     print(second.locked())
        True
        """
        return self.lock(name, wait=wait, shared=n)

    def queue(self, name: str, *, max_deaths: int | None = 3) -> "Queue":
        """Return the queue of jobs called `name`, for workers in any process.

        A job has one worker at a time; the job of one that dies is free again at once, in its place. After
        `max_deaths` attempts (None: no limit) it is a dead letter. See `kvclient.recipes.queue`. Raises
        `InvalidKeyError` for what can be no name, `ValueError` for a number that cannot be.

        >>> jobs = store.queue("thumbnails")
        >>> job_id = jobs.put({"image": "cat.png"})
        >>> with jobs.job() as job:
        ...     print("shrinking", job.value["image"])
        shrinking cat.png
        """
        from kvclient.recipes.queue import Queue

        return Queue(self, name, max_deaths=max_deaths)

    @overload
    def mapping(self, prefix: str = "") -> "StoreMapping[Any]": ...
    @overload
    def mapping(self, prefix: str = "", *, as_: type[T]) -> "StoreMapping[T]": ...
    @overload
    def mapping(self, prefix: str = "", *, as_: Any) -> "StoreMapping[Any]": ...
    def mapping(self, prefix: str = "", *, as_: Any = None) -> "StoreMapping[Any]":
        """Return the keys that begin with `prefix` as a dict that all processes share, without the prefix.

        With `as_`, values come as objects of that type; see `read`. See `kvclient.recipes.mapping` for what is atomic.
        Raises `InvalidKeyError` for what no key can begin with.

        >>> config = store.mapping("config:")
        >>> config["colour"] = "red"
        >>> config | {"size": 3}
        {'colour': 'red', 'size': 3}
        """
        from kvclient.recipes.mapping import StoreMapping

        return StoreMapping(self, prefix, as_)

    def prefix(self, prefix: str) -> "Namespace":
        """Return a store of the same methods for the keys that begin with `prefix`, which are named without it.

        Its locks, queues and what else is built on keys are others than those of the store itself. The whole key has to
        keep to `max_key_length`: `KeyTooLongError` names it. The key that is `prefix` itself has no name in it: it is
        not listed or counted, but `clear()` removes it, too. Raises `InvalidKeyError` for what no key can begin with.

        >>> app = store.prefix("app:")
        >>> app.put("key1", 1)
        42
        >>> store.read("app:key1")
        1
        """
        from kvclient.recipes.namespace import Namespace

        return Namespace(self, prefix)

    @overload
    def memoize(self, function: Callable[P, R], /) -> "Memoized[P, R]": ...
    @overload
    def memoize(
        self,
        function: None = None,
        /,
        *,
        ttl: float | None = None,
        prefix: str = "memo:",
        ignore: str | int | Collection[str | int] = (),
        key: Callable[..., Any] | None = None,
        early: float = 0.0,
        as_: Any = None,
    ) -> "Callable[[Callable[P, R]], Memoized[P, R]]": ...
    def memoize(
        self,
        function: Callable[..., Any] | None = None,
        /,
        *,
        ttl: float | None = None,
        prefix: str = "memo:",
        ignore: str | int | Collection[str | int] = (),
        key: Callable[..., Any] | None = None,
        early: float = 0.0,
        as_: Any = None,
    ) -> Any:
        """Decorate a function so that its results are kept here: computed once on the machine, for all processes.

        Whoever asks while it is computed waits, and gets the value the moment it is there. If the one who computes
        raises or dies, one of those who wait computes, at once. Exceptions are not kept; None is. Arguments and
        results are JSON; every caller gets the result as JSON gives it back, a list for a tuple.

        `ttl`: seconds for which a value is good, from when it is there; None: for ever. `prefix`: what its keys begin
        with. `ignore`: arguments that make no difference to the result, by name or position, such as
        `ignore=("self",)`. `key`: instead of the arguments, what this function of them returns tells calls apart.
        `as_`: the type of the result, as for `read`.

        `early`: with 1, a value is computed anew some time before it expires, by one of those who ask for it, while the
        others still get the old one, so that nobody waits. The chance rises towards the end, and begins the sooner the
        longer the last computation took; a number above 1 has it begin sooner still. This is XFetch: A. Vattani,
        F. Chierichetti, K. Lowenstein, Optimal Probabilistic Cache Stampede Prevention, PVLDB 8(8), 2015. If the
        function raises then, the old value is returned, and a warning logged.

        The function gets `refresh`, `forget` and `key`, which take its arguments, and `forget_all`; see
        `kvclient.recipes.memoize.Memoized`. Raises `TypeError` or `ValueError` for what cannot be memoized so.

        >>> @store.memoize(ttl=60)
        ... def rate(currency: str) -> float:
        ...     return ask_the_bank(currency)
        """
        from kvclient.recipes.memoize import Memoized, Options, memoizing

        return memoizing(Memoized, self._call, function, Options(ttl, prefix, ignore, key, early, as_))
