"""kvclient: the client of kvd, a key-value store for the processes of one machine.

>>> from kvclient import Client
>>> store = Client()
>>> store.create("key1", {"name": "value1"}, ttl=5)
1
"""

from typing import TYPE_CHECKING, Any

from kvclient.contract.errors import *  # noqa: F403
from kvclient.contract.errors import __all__ as _errors
from kvclient.contract.records import Entry, Event, Owner

if TYPE_CHECKING:
    from kvclient.client.asynchronous import AsyncClient
    from kvclient.client.blocking import Client

__all__ = [*_errors, "AsyncClient", "Client", "Entry", "Event", "Owner"]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    # On first use: asyncio takes longer than all else that a short script needs, and kvctl is to come to where it
    # handles Ctrl-C before it imports anything that takes time.
    if name == "Client":
        from kvclient.client.blocking import Client

        return Client
    if name == "AsyncClient":
        from kvclient.client.asynchronous import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    # What is not imported yet is completed by editors and notebooks all the same.
    return sorted({*globals(), *__all__})
