"""A namespace: a store of the same methods whose keys all begin with a prefix that is neither given nor told."""

from typing import Any, TypeVar

from kvclient.contract import calls
from kvclient.contract.async_face import AsyncFace
from kvclient.contract.calls import Call
from kvclient.contract.errors import DataStoreError
from kvclient.contract.face import Face
from kvclient.contract.prefixed import strip, under
from kvclient.contract.rules import check_key
from kvclient.recipes.async_face import AsyncRecipes
from kvclient.recipes.face import Recipes
from kvclient.recipes.steps import Steps, ask, run, run_async

T = TypeVar("T")


class Namespace(Recipes):
    """What `store.prefix("app:")` returns: the keys of `store` that begin with a prefix, by what follows it.

    It has all methods of a store, recipes included, and nothing of its own: what is written through it is in the store
    under the whole key, for everybody. It is closed with the store. `status`, `stats`, `ping` and `compact` are about
    the whole store.

    >>> app = store.prefix("app:")
    >>> app.put("key1", 1)
    42
    >>> list(app.list()), list(store.list())
    (['key1'], ['app:key1'])
    """

    def __init__(self, store: Face, prefix: str) -> None:
        """Raises `InvalidKeyError` for what no key can begin with."""
        self._store = store
        self._prefix = _checked(prefix)

    def prefix(self, prefix: str) -> "Namespace":
        """Return the namespace of those keys in it that begin with `prefix`."""
        return Namespace(self._store, self._prefix + _checked(prefix))

    def __repr__(self) -> str:
        return f"<Namespace {self._prefix!r} of {self._store!r}>"

    def _call(self, call: Call[T]) -> T:
        return run(self._store._call, _carried_out(self._prefix, call))  # noqa: SLF001


class AsyncNamespace(AsyncRecipes):
    """What `store.prefix("app:")` of an `AsyncClient` returns. See `Namespace`."""

    def __init__(self, store: AsyncFace, prefix: str) -> None:
        """Raises `InvalidKeyError` for what no key can begin with."""
        self._store = store
        self._prefix = _checked(prefix)

    def prefix(self, prefix: str) -> "AsyncNamespace":
        """Return the namespace of those keys in it that begin with `prefix`."""
        return AsyncNamespace(self._store, self._prefix + _checked(prefix))

    def __repr__(self) -> str:
        return f"<AsyncNamespace {self._prefix!r} of {self._store!r}>"

    async def _call(self, call: Call[T]) -> T:
        return await run_async(self._store._call, _carried_out(self._prefix, call))  # noqa: SLF001


_COUNT_ALL = calls.count().request


def _carried_out(prefix: str, call: Call[T]) -> Steps[T]:
    """Ask for a call under the prefix, and tell of its keys, in errors as well, without it."""
    try:
        answer: Any = yield from ask(under(prefix, call))
        # The key that is the prefix itself has no name here, and so it is not counted.
        if call.request == _COUNT_ALL and prefix and answer and (yield from ask(calls.exists(prefix))):
            answer -= 1
    except DataStoreError as error:
        strip(error, prefix)
        raise
    return answer  # type: ignore[no-any-return]


def _checked(prefix: str) -> str:
    return prefix if prefix == "" else check_key(prefix)
