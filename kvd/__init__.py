"""kvd: a key-value store for the processes of one machine, in one JSON file. This package is the daemon.

Programs use `kvclient`, or `LocalDataStore` to work on a data file without a daemon.
"""

from typing import TYPE_CHECKING, Any

from kvclient.contract.errors import *  # noqa: F403  # the errors are one set, wherever they are imported from
from kvclient.contract.errors import __all__ as _errors
from kvclient.contract.records import Entry, Event, Owner
from kvd.version import VERSION

if TYPE_CHECKING:
    from kvd.local import LocalDataStore

__all__ = [*_errors, "Entry", "Event", "LocalDataStore", "Owner"]  # noqa: PLE0604
__version__ = VERSION


def __getattr__(name: str) -> Any:
    # Imported on first use: `kvd schema` and the like need none of it.
    if name == "LocalDataStore":
        from kvd.local import LocalDataStore

        return LocalDataStore
    raise AttributeError(f"module 'kvd' has no attribute {name!r}")


def __dir__() -> list[str]:
    # What is not imported yet is completed by editors and notebooks all the same.
    return sorted({*globals(), *__all__})
