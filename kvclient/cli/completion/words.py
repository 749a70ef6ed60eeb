"""The keys and stores that a shell offers while somebody types. Needs no Typer, and starts no daemon.

A person waits for this with each Tab, so it gives up early and says nothing of what is wrong.
"""

from itertools import islice

from kvclient.client.blocking import Client
from kvclient.client.stores import stores
from kvclient.contract.endpoint import Target
from kvclient.contract.errors import DataStoreError
from kvclient.contract.holder import running_holder
from kvclient.screen.text import shown

_MOST = 200
_SECONDS = 0.08
"""For an answer. Python starts in the rest of the 150 ms that a Tab may take."""


def run(kind: str, word: str, line: list[str]) -> int:
    """Print, one a line, the `keys` or `stores` that begin with `word`; `line` is what was typed so far."""
    try:
        found = stores() if kind == "stores" else _keys(word, _option(line, "--store"), _option(line, "--endpoint"))
    except (DataStoreError, ValueError):
        return 0
    for each in found:
        if each.startswith(word) and each == shown(each):
            print(each)
    return 0


def _keys(prefix: str, store: str | None, endpoint: str | None) -> list[str]:
    target = Target(store, endpoint, autostart=False)
    # Not by a look at the socket: where systemd listens, that would start the daemon.
    if target.has_default_endpoint and running_holder(target.data_file().resolve()) is None:
        return []
    with Client(endpoint, store=store, timeout=_SECONDS, autostart=False) as client:
        return list(islice(client.list(prefix, limit=_MOST), _MOST))


def _option(line: list[str], name: str) -> str | None:
    """Return the value that an option has on the line, None if it is not there."""
    for place, word in enumerate(line):
        if word == name and place + 1 < len(line):
            return line[place + 1] or None
        if word.startswith(f"{name}="):
            return word.partition("=")[2] or None
    return None
