"""kvclient: the client of kvd, a key-value store for the processes of one machine.

>>> from kvclient import Client
>>> store = Client()
>>> store.create("key1", {"name": "value1"}, ttl=5)
"""

from typing import TYPE_CHECKING, Any

from kvclient.client import Client
from kvclient.errors import *  # noqa: F403
from kvclient.errors import __all__ as _errors

if TYPE_CHECKING:
    from kvclient.async_client import AsyncClient

__all__ = [*_errors, "AsyncClient", "Client"]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    # Importing asyncio takes longer than all else that a short script needs.
    if name == "AsyncClient":
        from kvclient.async_client import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
