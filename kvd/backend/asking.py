"""Who asks, as a backend needs to know it."""

from typing import NamedTuple, Protocol

from kvclient.contract.errors import DataStoreError


class Owner(NamedTuple):
    """The process that an ephemeral key lives as long as."""

    pid: int
    started: int
    """Its start time as the kernel counts it: field 22 of /proc/PID/stat (proc(5)), in clock ticks since the boot."""
    boot: str
    """The boot that both are meaningful in: /proc/sys/kernel/random/boot_id."""
    uid: int


class Asker(Protocol):
    """Whoever sent a request, and waits for the reply."""

    reads: int
    """For the backend to count: reads since the last change."""

    def reply(self, body: bytes) -> None:
        """Answer the request that is under way."""
        ...

    def refuse(self, error: DataStoreError) -> None:
        """Tell that the request under way is refused, and why."""
        ...

    def owner(self, ephemeral: bool | int) -> Owner:
        """Return the process to bind a key to: the asker itself (True), or the one with a pid.

        Raises `InvalidValueError` where the kernel cannot tell who that is, or it is another user's.
        """
        ...


def prefixes_of(prefix: str | tuple[str, ...]) -> tuple[str, ...]:
    """Return what the keys that a request to read concerns begin with: see `kvd.backend.Backend.read`."""
    return (prefix,) if isinstance(prefix, str) else prefix
