"""What failed handshakes cost the others: `python tests/benchmarks/handshakes.py [HANDSHAKES [A_SECOND]]`.

A client over CURVE reads a key, undisturbed and while strangers, whose key the daemon does not know, begin handshakes
from processes of their own: by default as fast as they can. Prints the median and the 99th percentile of a read in
each, and what the daemon has of descriptors and memory before and after.

The strangers take processor time of this machine, which those of a network do not. So the same is done with handshakes
at another daemon: what is left between the two is what this daemon does about them. In rounds, in turn; the medians of
the rounds.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from kvclient import Client
from kvclient.contract import keys
from kvclient.contract.curve import Curve
from kvclient.contract.zmtp import Conversation, ProtocolError
from processes import Daemon

_STRANGERS = 2
_ROUNDS, _READS = 5, 2000


def fail(address: str, times: int, a_second: float) -> None:
    """Begin handshakes to their end, which is a refusal."""
    host, port = address.removeprefix("tcp://").split(":")
    server, own = keys.server().public, keys.own("stranger")
    print(flush=True)
    started = time.monotonic()
    for number in range(times):
        if a_second:
            time.sleep(max(0.0, started + number / a_second - time.monotonic()))
        conversation = Conversation(b"REQ", 1000, Curve(server, own))
        with socket.create_connection((host, int(port)), 30) as connection:
            try:
                while True:
                    outgoing, conversation.outgoing = conversation.outgoing, b""
                    connection.sendall(outgoing)
                    if not (data := connection.recv(4096)):
                        break
                    conversation.receive(data)
            except (ProtocolError, OSError):
                pass


def read(store: Client) -> float:
    """Return the seconds that a read took."""
    started = time.perf_counter()
    store.read("key1")
    return time.perf_counter() - started


def percentile(taken: list[float], share: float) -> float:
    """Return what so much of the reads was faster than, in microseconds."""
    return sorted(taken)[int(len(taken) * share)] * 1e6


def reads_during(store: Client, address: str, handshakes: int, a_second: float) -> list[float]:
    """Return the seconds of each read that was begun while strangers begin so many handshakes at an address."""
    each = [str(handshakes // _STRANGERS), str(a_second / _STRANGERS)]
    command = [sys.executable, __file__, "--fail", address, *each]
    strangers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(_STRANGERS)]
    for stranger in strangers:
        assert stranger.stdout is not None
        stranger.stdout.readline()  # it has started, and what that takes is over
    taken = []
    while all(stranger.poll() is None for stranger in strangers):
        taken.append(read(store))
    for stranger in strangers:
        stranger.communicate()
    return taken


def footprint(daemon: Daemon) -> str:
    """Return what the daemon has."""
    assert daemon.process is not None
    return f"{len(os.listdir(f'/proc/{daemon.process.pid}/fd'))} descriptors, {daemon.resident() >> 10} KiB"


def start(place: str) -> tuple[Daemon, str]:
    """Start a daemon with a network endpoint, and return it with that."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    access = json.dumps([{"key": "friend", "read": [""], "write": [""]}])
    return Daemon(Path(place), network=address, access=access).start(), address


def main() -> None:
    """Measure and print."""
    if sys.argv[1:2] == ["--fail"]:
        fail(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]))
        return
    handshakes = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    a_second = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0
    with tempfile.TemporaryDirectory(prefix="kvd-") as place, tempfile.TemporaryDirectory(prefix="kvd-") as beside:
        os.environ["HOME"] = place
        os.environ.pop("XDG_CONFIG_HOME", None)
        keys.allow("friend", keys.new("friend").public)
        keys.new("stranger")
        daemon, address = start(place)
        os.makedirs(f"{beside}/.config/kvd")
        os.symlink(f"{place}/.config/kvd/keys", f"{beside}/.config/kvd/keys")
        other, elsewhere = start(beside)
        rounds: dict[str, list[list[float]]] = {"undisturbed": [], "handshakes elsewhere": [], "handshakes here": []}
        with Client(address, server_key=keys.server().public.decode(), key="friend") as store:
            store.put("key1", 1)
            fail(address, 500, 0)
            time.sleep(2)
            before = footprint(daemon)
            for _ in range(_ROUNDS):
                rounds["undisturbed"].append([read(store) for _ in range(_READS)])
                for name, place_of_it in (("handshakes elsewhere", elsewhere), ("handshakes here", address)):
                    rounds[name].append(reads_during(store, place_of_it, handshakes // _ROUNDS, a_second))
            time.sleep(2)
            print("the daemon before and after:", before, "and", footprint(daemon))
        calm = statistics.median(percentile(taken, 0.99) for taken in rounds["undisturbed"])
        for name, each in rounds.items():
            half, most = (statistics.median(percentile(taken, share) for taken in each) for share in (0.5, 0.99))
            print(f"{name:<21} p50 {half:>6.0f} µs   p99 {most:>6.0f} µs   {most / calm:>5.2f} times undisturbed")
        for each in (daemon, other):
            each.kill()


if __name__ == "__main__":
    main()
