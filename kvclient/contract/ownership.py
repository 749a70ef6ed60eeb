"""Who can stand between a client and its daemon: owners and modes of directories, and who is at a socket's other end.

A path is safe if nobody but this user and root can put something else in the place of any part of it.
"""

import os
import socket
import stat
import struct
from pathlib import Path

from kvclient.contract.errors import AccessDeniedError

_ROOT = 0
_MOST_LINKS = 40
"""As many symbolic links as the kernel follows in a path."""


def make_private(directory: Path) -> None:
    """Make sure that `directory` is this user's alone; it is created, with those above it, or its mode tightened.

    Raises `AccessDeniedError` if it is another's, a symbolic link, or on a path that others can change.
    """
    _create(directory)
    check_safe(directory)
    if directory.is_symlink():
        raise AccessDeniedError(f"The directory {directory} of kvd's sockets is a symbolic link: remove it.")
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(fd)
        if found.st_uid != os.geteuid():
            raise _anothers(directory, found.st_uid)
        if found.st_mode & 0o077:
            os.fchmod(fd, 0o700)
    finally:
        os.close(fd)


def make_safe(directory: Path) -> None:
    """Create `directory`, with those above it, if it is missing, and `check_safe` it."""
    _create(directory)
    check_safe(directory)


def check_safe(directory: Path, also: int | None = None) -> None:
    """Raise `AccessDeniedError` if others than this user and root can write to `directory` or replace it.

    The user `also` may, except for having made an entry in a directory that everybody writes to.

    Each part of the path is looked at as the kernel walks it, links included. A part in a directory like /tmp, where
    everybody writes and nobody can remove what is another's, counts as safe if it belongs to this user or root.
    """
    at, found, links = Path("/"), os.lstat("/"), 0
    todo = list(reversed(directory.parts[1:]))
    while todo:
        name = todo.pop()
        if name == "..":  # `at` has no links in it
            at = at.parent
            found = os.lstat(at)
            continue
        part = at / name
        _check_directory(at, found, also)  # first, as another's may not even be looked into
        entry = os.lstat(part)
        _check_entry(at, found, part, entry)
        if stat.S_ISLNK(entry.st_mode):
            links += 1
            if links > _MOST_LINKS:
                raise AccessDeniedError(f"The path {directory} goes through too many symbolic links.")
            target = Path(os.readlink(part))
            todo.extend(reversed(target.parts[1:] if target.is_absolute() else target.parts))
            if target.is_absolute():
                at, found = Path("/"), os.lstat("/")
        else:
            at, found = part, entry
    if found.st_uid != also and not _is_trusted(found.st_uid):
        raise _anothers(directory, found.st_uid)
    if _others_write(found):
        raise AccessDeniedError(
            f"Other users can write to the directory {directory}, and so could put a socket of theirs in the place of "
            f"kvd's: 'chmod go-w {directory}', or choose another with the setting endpoint."
        )


def check_passable(directory: Path) -> None:
    """Raise `AccessDeniedError` if other users cannot pass `directory`, or one above it."""
    for part in (directory, *directory.parents):
        if not part.stat().st_mode & stat.S_IXOTH:
            raise AccessDeniedError(
                f"Other users cannot reach a shared socket in {directory}: 'chmod o+x {part}', or choose another "
                "directory with the setting endpoint."
            )


def check_peer(connected: socket.socket, path: Path, *, named: bool) -> None:
    """Raise `AccessDeniedError` unless this user or root listens at the other end of a Unix socket.

    If the endpoint was `named` by who uses it, another user may, where the socket's directory is theirs and nobody but
    they and root can change the path to it: then whoever named it meant them. What everybody can make, as in /tmp,
    shows no such thing.
    """
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, _ = struct.unpack("iII", credentials)
    if uid in (os.geteuid(), _ROOT) or (named and _belongs_to(uid, path.parent)):
        return
    raise AccessDeniedError(
        f"On ipc://{path} listens process {pid} of another user (uid {uid}), to whom nothing was sent. "
        "A daemon has to run as you or as root, or in a directory of its user's own that nobody else can replace; name "
        "yours with --endpoint or KVD_ENDPOINT."
    )


def _belongs_to(uid: int, directory: Path) -> bool:
    """Tell whether a directory is a user's, and only that user, this one and root can put another in its place."""
    try:
        check_safe(directory, also=uid)
        return directory.stat().st_uid == uid
    except OSError:  # an AccessDeniedError is one
        return False


def explain_refusal(directory: Path) -> None:
    """Raise `AccessDeniedError` if what is in `directory` was refused to this user because it is another's."""
    try:
        check_safe(directory)
    except AccessDeniedError:
        raise
    except OSError:
        return


def _create(directory: Path) -> None:
    """Create a directory and those above it, whatever the umask is, for this user alone."""
    missing = [path for path in (directory, *directory.parents) if not os.path.lexists(path)]
    for path in reversed(missing):
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:  # somebody else was faster; `check_safe` tells what it is
            continue
        except PermissionError:
            check_safe(directory)  # which can tell more of why
            raise


def _check_directory(directory: Path, found: os.stat_result, also: int | None) -> None:
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(f"{directory} is no directory")
    if found.st_uid != also and not _is_trusted(found.st_uid):
        raise _anothers(directory, found.st_uid)


def _check_entry(parent: Path, found: os.stat_result, part: Path, entry: os.stat_result) -> None:
    """Raise if others than this user and root can put something else in the place of `part` in `parent`."""
    if not _others_write(found):
        return
    if not found.st_mode & stat.S_ISVTX:
        raise AccessDeniedError(
            f"Other users can write to {parent}, so the path to kvd's socket is not safe: 'chmod go-w {parent}', or "
            "choose another with the setting endpoint."
        )
    if not _is_trusted(entry.st_uid):
        raise _anothers(part, entry.st_uid)


def _anothers(directory: Path, uid: int) -> AccessDeniedError:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    what_to_do = (
        f"XDG_RUNTIME_DIR={runtime} is another user's, as after 'su': unset it, or log in as yourself."
        if runtime and directory.is_relative_to(runtime)
        else "Choose another with the setting endpoint."
    )
    return AccessDeniedError(
        f"The directory {directory} belongs to another user (uid {uid}), who could read what you store there. "
        f"{what_to_do}"
    )


def _is_trusted(uid: int) -> bool:
    return uid in (os.geteuid(), _ROOT) or (_root_is_hidden() and uid == _overflow_uid())


def _root_is_hidden() -> bool:
    """Tell whether this is a user namespace without root, as in the sandbox of a user's service.

    What belongs to root then seems to belong to nobody, as does what belongs to others; of owners there is no more to
    see than whether they are this user. Modes count all the same.
    """
    with open("/proc/self/uid_map") as lines:
        return not any(line.split()[0] == "0" for line in lines)


def _overflow_uid() -> int:
    with open("/proc/sys/kernel/overflowuid") as file:
        return int(file.read())


def _others_write(found: os.stat_result) -> bool:
    if found.st_mode & stat.S_IWOTH:
        return True
    return bool(found.st_mode & stat.S_IWGRP) and not _is_private_group(found.st_gid)


def _is_private_group(gid: int) -> bool:
    """Tell whether a group has no member but this user, as where each user's group is named after them.

    Where that is so, the usual umask is 002, and a home directory is writable for the group.
    """
    import grp  # few have such directories, and a short script should start fast
    import pwd

    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(gid)
    except KeyError:
        return gid == _ROOT
    return gid == _ROOT or (
        gid == user.pw_gid and group.gr_name == user.pw_name and not set(group.gr_mem) - {user.pw_name}
    )
