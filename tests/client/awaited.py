"""`AsyncClient` for tests that were written for `Client`: each call runs an event loop of its own until it is done."""

import asyncio

from kvclient import AsyncClient


class Awaited:
    def __init__(self, *arguments, **options):
        self._runner = asyncio.Runner()
        self._store = AsyncClient(*arguments, **options)

    def __getattr__(self, name):
        method = getattr(self._store, name)
        return lambda *arguments, **options: self._runner.run(method(*arguments, **options))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._runner.run(self._store.close())
        self._runner.close()
