"""Processes as the kernel knows them: who they are, whether they live."""

import os
import socket
import struct
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from kvclient.contract.errors import InvalidValueError
from kvd.backend.asking import Owner

_SO_PEERGROUPS = 59  # asm-generic/socket.h
_ID_BYTES, _MOST_GROUPS = 4, 256  # as many as Python's getsockopt takes
_START_TIME = 22 - 3  # in what follows the name of the program in /proc/PID/stat, which begins with field 3


class Identity(NamedTuple):
    """Who opened a connection over a Unix socket, as the kernel tells it."""

    pid: int
    """0: a process of another pid namespace."""
    uid: int
    gid: int
    accepted: float
    """When the connection was accepted, in clock ticks since the boot."""
    groups: tuple[int, ...] = ()
    """The supplementary groups of another user's process, as far as the kernel tells them."""


@cache
def boot() -> str:
    """Return the id of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def started(pid: int) -> int | None:
    """Return when a process started, in clock ticks since the boot; None if there is none, or it has ended."""
    try:
        # The program's name may hold anything, parentheses and spaces included.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[_START_TIME])


def is_alive(owner: Owner) -> bool:
    """Tell whether a process still lives."""
    return owner.boot == boot() and started(owner.pid) == owner.started


def this_process() -> Owner:
    """Return the calling process."""
    return named_process(os.getpid(), os.getuid())


def named_process(pid: int, uid: int) -> Owner:
    """Return the process with a pid. Raises `InvalidValueError` if it does not live, or is not the user's."""
    start = started(pid) if pid > 0 else None
    try:
        owner = os.stat(f"/proc/{pid}").st_uid if start is not None else None
    except FileNotFoundError:
        owner = None
    if start is None or owner is None:
        raise InvalidValueError(f"A key cannot be bound to process {pid}: there is no such process.")
    if owner != uid:
        raise InvalidValueError(f"A key cannot be bound to process {pid}: it is another user's (uid {owner}).")
    if start != started(pid):
        raise InvalidValueError(f"A key cannot be bound to process {pid}: it has just ended.")
    return Owner(pid, start, boot(), uid)


def process_named_by(asker: Owner, pid: int) -> Owner:
    """Return the process that another one names by its pid. Raises `InvalidValueError` as `named_process`, and where
    the asker's pids are not this process's: in a pid namespace of its own.
    """
    try:
        status = Path(f"/proc/{asker.pid}/status").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        raise InvalidValueError(f"A key cannot be bound to process {pid}: who asked for it has ended.") from None
    numbers = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
    if len(numbers) > 1:  # its pid in each of the namespaces that it is in, from this one on
        raise InvalidValueError(
            f"A key cannot be bound to process {pid} from another pid namespace, where that is another process."
        )
    return named_process(pid, asker.uid)


def peer_process(peer: Identity | None) -> Owner:
    """Return the process that opened a connection; the connection itself may be closed.

    Raises `InvalidValueError` where the kernel cannot tell: over TCP (None), and across pid namespaces.
    """
    if peer is None:
        raise InvalidValueError("An ephemeral key needs a Unix socket: over TCP the kernel cannot tell who asks.")
    if peer.pid == 0:
        raise InvalidValueError(
            "An ephemeral key needs a process that the daemon can see; this one is in another pid namespace."
        )
    start = started(peer.pid)
    # A pid that was used again since belongs to a process that started later than the connection was made.
    if start is None or start > peer.accepted:
        raise InvalidValueError(f"A key cannot be bound to process {peer.pid}: it has ended.")
    return Owner(peer.pid, start, boot(), peer.uid)


def identity(accepted: socket.socket) -> Identity | None:
    """Return who opened a connection that was just accepted (unix(7), SO_PEERCRED); None over TCP."""
    if accepted.family != socket.AF_UNIX:
        return None
    found = accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, gid = struct.unpack("iII", found)
    groups = () if uid == os.geteuid() else _groups(accepted)
    return Identity(pid, uid, gid, ticks_since_boot(), groups)


def _groups(accepted: socket.socket) -> tuple[int, ...]:
    try:
        found = accepted.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_GROUPS * _ID_BYTES)
    except OSError:  # more of them, or an old kernel
        return ()
    return struct.unpack(f"{len(found) // _ID_BYTES}I", found)


def program(peer: Identity | None) -> str | None:
    """Return the name of a peer's program as the kernel has it (comm in proc(5)); None if it has ended or is unseen."""
    if peer is None or peer.pid == 0 or (start := started(peer.pid)) is None or start > peer.accepted:
        return None
    try:
        return Path(f"/proc/{peer.pid}/comm").read_text(errors="backslashreplace").rstrip("\n")
    except OSError:
        return None


def unit_of(peer: Identity) -> str | None:
    """Return the system unit that the process of a peer belongs to, such as `backup.service`; None if that is unknown.

    A user's units are in that user's hands, and so are their names: of a process in one it is `user@UID.service`.
    """
    start = started(peer.pid) if peer.pid > 0 else None
    if start is None or start > peer.accepted:
        return None
    try:
        groups = Path(f"/proc/{peer.pid}/cgroup").read_text(errors="replace")
        owner = os.stat(f"/proc/{peer.pid}").st_uid
    except OSError:
        return None
    if start != started(peer.pid) or owner != peer.uid:  # that was another process
        return None
    return unit_in(groups)


def unit_in(groups: str) -> str | None:
    """Return the system unit that /proc/PID/cgroup names (cgroups(7)): what comes first below the slices."""
    paths = {}
    for line in groups.splitlines():
        _, _, named = line.partition(":")
        hierarchy, _, path = named.partition(":")
        paths[hierarchy] = path
    path = paths.get("name=systemd", paths.get("", ""))
    for part in path.split("/")[1:]:
        if part == "..":
            return None
        if not part.endswith(".slice"):
            # The underscore is systemd's escape of a name that the kernel could take for a file of its own.
            return part.removeprefix("_") or None
    return None


def users_are_told_apart() -> Callable[[int], bool]:
    """Return what tells whether an id of a user or group stands for this one alone.

    In a user namespace, as a service's sandbox is, all that have no id in it appear as the same one.
    """
    mapped = [tuple(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    if mapped == [(0, 0, (1 << 32) - 1)]:
        return lambda _: True
    nobody = {int(Path(f"/proc/sys/kernel/overflow{kind}").read_text()) for kind in ("uid", "gid")}
    return lambda number: number not in nobody


def ticks_since_boot() -> float:
    """Return the time since the boot in clock ticks, as start times are told."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")
