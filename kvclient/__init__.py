"""kvclient: the client of kvd, a key-value store for the processes of one machine.

>>> from kvclient import Client
>>> store = Client()
>>> store.create("key1", {"name": "value1"}, ttl=5)
"""

from kvclient.client import Client
from kvclient.errors import *  # noqa: F403
from kvclient.errors import __all__ as _errors

__all__ = [*_errors, "Client"]  # noqa: PLE0604
