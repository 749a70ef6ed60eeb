"""What `kvctl lock` does. Apart from its command, so that `kvctl lock NAME -- COMMAND` needs no Typer."""

import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence

from kvclient.cli.options import Options
from kvclient.client.autostart import listening, start_daemon
from kvclient.contract.endpoint import Target
from kvclient.contract.errors import DataStoreError, InvalidKeyError, KeyExistsError
from kvclient.recipes.line import Holder, named
from kvclient.recipes.lock import Lock
from kvclient.screen.console import complain

_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
"""As of sh, env and flock where the command cannot be run."""


def run(options: Options, name: str, command: Sequence[str], *, wait: float | None = None, shared: int = 1) -> int:
    """Get the lock and become the command; return only if that has no such file, or cannot be executed.

    Raises `KeyExistsError` if others hold the lock for more than `wait` seconds.
    """
    if not name:
        raise InvalidKeyError("A lock's name cannot be empty.")
    _start_apart(options)
    lock = Lock(options.client(), name, shared, command=shlex.join(command))
    if not lock.acquire(wait, on_wait=lambda holders: _tell(name, holders, wait)):
        holders = lock.holders()
        _refuse_own(name, holders)
        waited = f" Waited {wait:g} s." if wait else ""
        who = f"is held by {named(holders)}" if holders else "was held by others until just now"
        raise KeyExistsError(f"Lock {name!r} {who}.{waited} Wait longer with --wait SECONDS.")
    return _become(command, lock.revision)


def _start_apart(options: Options) -> None:
    """Start a daemon if none runs, from a process that ends: the command must not come to have a child it never had."""
    target = Target(options.store, options.endpoint)
    if not target.autostart or target.socket is None or listening(target.socket):
        return
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    try:
        for seconds in start_daemon(target, target.socket, time.monotonic() + options.timeout):
            time.sleep(seconds)
    except DataStoreError:
        pass  # the first request finds out, and says it
    finally:
        os._exit(0)


def _tell(name: str, holders: list[Holder], wait: float | None) -> None:
    """Tell a person what the command waits for. Raises `KeyExistsError` if it is itself."""
    _refuse_own(name, holders)
    if wait != 0 and sys.stderr.isatty():
        complain(f"kvctl: Waiting for lock {name!r}, held by {named(holders)}.")


def _refuse_own(name: str, holders: Sequence[Holder]) -> None:
    """Raise `KeyExistsError` if this process, before it became kvctl, has the lock already."""
    if any(holder.pid == os.getpid() for holder in holders):
        raise KeyExistsError(
            f"Lock {name!r} is held by this very process (pid {os.getpid()}), which would wait for itself."
        )


def _become(command: Sequence[str], revision: int | None) -> int:
    sys.stderr.flush()
    # Python ignores these, and a command would inherit that.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvpe(command[0], list(command), {**os.environ, "KVD_LOCK_REVISION": str(revision)})
    except FileNotFoundError:
        complain(f"kvctl: There is no command {command[0]!r}.")
        return _NOT_FOUND
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        complain(f"kvctl: {command[0]!r} cannot be run: {why}.")
        return _NOT_EXECUTABLE
