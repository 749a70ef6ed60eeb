"""Peers that send the largest requests there are, without pause, and a client beside them that only reads."""

import json
import multiprocessing
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from processes import Daemon, wait_until
from wire_line import WireLine

MEMBERS = 10_000
MIB = 1 << 20
PEERS = 4


def _puts(peer: int, values: list[bytes]) -> bytes:
    members = b",".join(b'{"op":"put","key":"big%d:%d","value":%s}' % (peer, n, v) for n, v in enumerate(values))
    return b'{"op":"batch","operations":[%s]}' % members


def _filled(part: bytes, opening: bytes, closing: bytes, size: int = MIB) -> bytes:
    """Return a value of nearly `size` bytes, of `part` again and again."""
    separator = b"," if opening == b"[" else b""
    count = (size - 2) // (len(part) + len(separator))
    return opening + separator.join([part] * count) + closing


def small_puts(peer: int) -> bytes:
    return _puts(peer, [b"%d" % n for n in range(MEMBERS)])


def full_puts(peer: int) -> bytes:
    return _puts(peer, [b'"%s"' % (b"x" * 1600)] * MEMBERS)


def increments(peer: int) -> bytes:
    members = b",".join(b'{"op":"increment","key":"count%d:%d"}' % (peer, n) for n in range(MEMBERS))
    return b'{"op":"batch","operations":[%s]}' % members


def brackets(peer: int) -> bytes:
    return _puts(peer, [_filled(b"[]", b"[", b"]")] * 15)


def numbers(peer: int) -> bytes:
    return _puts(peer, [_filled(b"1234567.25e3", b"[", b"]")] * 15)


def escapes(peer: int) -> bytes:
    return _puts(peer, [_filled(b'\\n\\"\\\\', b'"', b'"')] * 15)


def unicode_escapes(peer: int) -> bytes:
    return _puts(peer, [_filled(b"\\u00e9", b'"', b'"', 6 * MIB // 6)] * 15)


def reads(peer: int) -> bytes:
    return b'{"op":"read_many","keys":%s}' % json.dumps([f"big{peer}:{n}" for n in range(MEMBERS)]).encode()


def deletions(peer: int) -> bytes:
    return b'{"op":"delete_many","keys":%s}' % json.dumps([f"big{peer}:{n}" for n in range(MEMBERS)]).encode()


def creations(peer: int) -> bytes:
    """Refused from the second time on, with an error that names all keys."""
    items = b",".join(b'"new%d:%d":%d' % (peer, n, n) for n in range(MEMBERS))
    return b'{"op":"batch_create","items":{%s}}' % items


def too_large(peer: int) -> bytes:
    return b'{"op":"put","key":"key%d","value":"%s"}' % (peer, b"x" * (17 * MIB))


def too_many(peer: int) -> bytes:
    return b'{"op":"delete_many","keys":[%s]}' % b",".join([b'"a%d"' % peer] * (3 * MIB))


SHAPES: dict[str, Callable[[int], bytes]] = {
    "10,000 small puts": small_puts,
    "10,000 puts, 16 MiB": full_puts,
    "10,000 increments": increments,
    "15 MiB of [[],[],…]": brackets,
    "15 MiB of numbers": numbers,
    "15 MiB of escapes": escapes,
    "15 MiB of \\u escapes": unicode_escapes,
    "read_many of 10,000": reads,
    "delete_many of 10,000": deletions,
    "batch_create, refused": creations,
    "a frame too large": too_large,
    "3 million keys": too_many,
}


def send_until(endpoint: str, name: str, peer: int, enough: Any, sent: Any) -> None:
    """Send the requests of a shape without pause until it is enough."""
    body = SHAPES[name](peer)
    with WireLine(endpoint, patience=120) as line:
        while not enough.is_set():
            line.send(body)
            line.receive()
            with sent.get_lock():
                sent.value += 1


class Measured(NamedTuple):
    """What it was like beside the peers."""

    requests: int
    """Large requests that were answered."""
    seconds: list[float]
    """How long each read took, in order."""
    peak: int
    """Bytes of memory over those at rest, at most."""

    def quantile(self, share: float) -> float:
        return self.seconds[min(len(self.seconds) - 1, int(share * len(self.seconds)))]


def measure(daemon: Daemon, name: str, seconds: float, *, peers: int = PEERS, requests: int = 1) -> Measured:
    """Read one key while peers send requests of a shape, for so many seconds and so many requests at least."""
    spawn = multiprocessing.get_context("spawn")
    enough, sent = spawn.Event(), spawn.Value("q", 0)
    daemon.ask(b'{"op":"put","key":"canary","value":[1]}')
    rest = daemon.resident()
    peak, taken, over = rest, [], threading.Event()
    senders = [
        spawn.Process(target=send_until, args=(daemon.endpoint, name, peer, enough, sent)) for peer in range(peers)
    ]

    def look() -> None:
        nonlocal peak
        while not over.wait(0.01):
            peak = max(peak, daemon.resident())

    looker = threading.Thread(target=look)
    looker.start()
    try:
        for sender in senders:
            sender.start()
        wait_until(lambda: sent.value > 0, seconds=120)
        ends = time.monotonic() + seconds
        with WireLine(daemon.endpoint, patience=120) as line:
            while time.monotonic() < ends or sent.value < requests:
                started = time.perf_counter()
                line.send(b'{"op":"read","key":"canary"}')
                reply = line.receive()
                taken.append(time.perf_counter() - started)
                assert b'{"ok":true,"value":[1],' == reply[:23], reply
    finally:
        enough.set()
        for sender in senders:
            sender.join(60)
            sender.kill()
            sender.join()
        over.set()
        looker.join()
    return Measured(sent.value, sorted(taken), peak - rest)
