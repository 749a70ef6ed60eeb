"""The peers, one module each."""

from peers.disk import Disk
from peers.diskcache import Diskcache
from peers.echo import Echo
from peers.kvd import CurveKvd, Kvd, LibzmqKvd, LocalKvd, PlainKvd
from peers.memcached import Memcached
from peers.peer import Peer
from peers.redis import Redis, TlsRedis
from peers.sqlite import Sqlite


def all_peers() -> list[Peer]:
    """Return one of each, in the order of the tables."""
    return [
        Kvd("always"),
        Redis("always"),
        Sqlite("FULL"),
        Disk(),
        Kvd("interval"),
        Redis("everysec"),
        Sqlite("NORMAL"),
        Diskcache(),
        Memcached(),
        PlainKvd(),
        Echo(),
        LibzmqKvd(),
        LocalKvd(),
        CurveKvd(),
        TlsRedis(),
    ]
