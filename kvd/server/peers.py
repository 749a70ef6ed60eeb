"""Who is connected, over whatever transport: what the daemon knows of each, and how it is answered."""

import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator

from kvclient.contract.errors import DataStoreError
from kvd.backend.asking import Owner
from kvd.processes import Identity, peer_process, process_named_by
from kvd.replies import refusal
from kvd.server.rights import AccessList, Rights

log = logging.getLogger(__name__)

_UNKNOWN = Rights("a peer that is not known yet")


class Peer(ABC):
    """A peer, from its greeting to its end. It has one request under way at a time; see `kvd.backend.asking.Asker`."""

    def __init__(self, peers: "Peers", identity: Identity | None) -> None:
        self._peers = peers
        self.identity = identity
        """None where the kernel cannot tell, as over TCP."""
        self.key: str | None = None
        """The name of the key that the peer has proved to own; None where there is no encryption."""
        self.rights: Rights | None = _UNKNOWN
        """What the peer may do; None: everything. Known from `Peers.add` on."""
        self.author: str | None = None
        """What the audit calls the peer; None if it does not know it."""
        self.waiting = False
        """Whether a request of the peer is under way."""
        self.reads = 0

    def allow(self, rights: Rights | None) -> None:
        """Let the peer do what `rights` say from its next request on; None: everything."""
        self.rights = rights

    @property
    def is_denied(self) -> bool:
        """Whether the peer has no right to anything."""
        return self.rights is not None and self.rights.none

    def denial(self) -> DataStoreError | None:
        """Return what a peer that has no right to anything is told, whatever it asks for; None for any other."""
        return self.rights.denial() if self.rights is not None and self.rights.none else None

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

    def __init__(
        self,
        when_gone: Callable[[Peer], None] = lambda _: None,
        access: AccessList | None = None,
        when_come: Callable[[Peer], None] | None = None,
    ) -> None:
        """`when_come` is called with every peer that is added, `when_gone` with each that is there no more. `access`
        tells what each may do.
        """
        self._when_come = when_come
        self._peers: set[Peer] = set()
        self._access = access or AccessList()
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
        """Count a peer among them, and find out what it may do: its identity and key are known by now."""
        self._peers.add(peer)
        peer.allow(self._access.rights_of(peer.identity, peer.key))
        if self._when_come is not None:
            self._when_come(peer)

    def give_rights(self, access: AccessList) -> list[Peer]:
        """Have all that are connected, and all to come, do what `access` says; return those whose rights changed."""
        self._access = access
        changed = []
        for peer in list(self._peers):  # one may be disconnected for having none
            rights = access.rights_of(peer.identity, peer.key)
            if rights != peer.rights:
                peer.allow(rights)
                changed.append(peer)
        return changed

    def remove(self, peer: Peer) -> None:
        """Forget a peer that is gone; one that was never added is forgotten as well."""
        self._peers.discard(peer)
        self._when_gone(peer)
