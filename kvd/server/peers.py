"""Who is connected, over whatever transport: what the daemon knows of each, and how it is answered."""

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator

from kvclient.contract.errors import DataStoreError
from kvd.backend.asking import Owner
from kvd.processes import Identity, peer_process, process_named_by
from kvd.replies import refusal

log = logging.getLogger(__name__)


class Peer(ABC):
    """A peer, from its greeting to its end. It has one request under way at a time; see `kvd.backend.asking.Asker`."""

    def __init__(self, peers: "Peers", identity: Identity | None) -> None:
        self._peers = peers
        self.identity = identity
        """None where the kernel cannot tell, as over TCP."""
        self.waiting = False
        """Whether a request of the peer is under way."""
        self.reads = 0

    @abstractmethod
    def receive(self) -> bytes | None:
        """Receive, and return the request if one is whole now. Raises `DataStoreError` for a message that is none.

        After either nothing more is received until `reply`.
        """

    @abstractmethod
    def reply(self, body: bytes) -> None:
        """Answer the request that was received last. If the peer is gone, nobody hears it."""

    def refuse(self, error: DataStoreError) -> None:
        """Answer the request that was received last with an error."""
        name = type(error).__name__
        log.debug("refused: %s: %s", name, error)
        self._peers.errors[name] += 1
        self.reply(refusal(error))

    def owner(self, ephemeral: bool | int) -> Owner:  # the field of the request
        """Return the process to bind a key to; see `kvd.backend.asking.Asker`."""
        asker = peer_process(self.identity)
        return asker if ephemeral is True else process_named_by(asker, int(ephemeral))


class Peers:
    """All that are connected."""

    def __init__(self, when_gone: Callable[[Peer], None] = lambda _: None) -> None:
        """`when_gone` is called with every peer that is there no more."""
        self._peers: set[Peer] = set()
        self._when_gone = when_gone
        self.errors: Counter[str] = Counter()
        """How many requests were refused, by the error's name."""

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._peers)

    def __iter__(self) -> Iterator[Peer]:
        """Go through them."""
        return iter(self._peers)

    def add(self, peer: Peer) -> None:
        """Count a peer among them."""
        self._peers.add(peer)

    def remove(self, peer: Peer) -> None:
        """Forget a peer that is gone; one that was never added is forgotten as well."""
        self._peers.discard(peer)
        self._when_gone(peer)
