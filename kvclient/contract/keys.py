"""The CURVE keys of a network endpoint, as files: whose secret is where, and who may connect.

All are in the user's settings directory, `~/.config/kvd/keys`, in the format of `zmq.auth`: `NAME.key_secret` has a
pair of keys and mode 0600, and `allowed/NAME.key` is the public key of somebody who may connect to this user's daemons.
The daemons' own pair is called `server`. CURVE is specified in https://rfc.zeromq.org/spec/26/.
"""

import contextlib
import os
import re
import tempfile
from pathlib import Path
from typing import NamedTuple

from kvclient.contract.errors import DataStoreError, KeyExistsError, KeyNotFoundError
from kvclient.contract.places import config_path

SERVER = "server"
"""The name of the daemons' own pair."""
_SECRET, _PUBLIC = ".key_secret", ".key"
_name = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._@-]{0,63}")
# 32 bytes in Z85, https://rfc.zeromq.org/spec/32/.
_public_key = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")


class Pair(NamedTuple):
    """A public key and its secret, in Z85."""

    public: bytes
    secret: bytes

    def __repr__(self) -> str:
        return f"Pair({self.public!r}, …)"


def directory() -> Path:
    """Return where the secrets are."""
    return config_path().parent / "keys"


def allowed_directory() -> Path:
    """Return where the public keys are of those who may connect."""
    return directory() / "allowed"


def public_key(text: str) -> bytes:
    """Return a public key that a person gave. Raises `DataStoreError` if it is none."""
    if not _public_key.fullmatch(text):
        raise DataStoreError(f"A public key is 40 characters of Z85, as 'kvctl keys list' shows it, and not {text!r}.")
    return text.encode()


def new(name: str) -> Pair:
    """Make a pair of keys, and return it. Raises `KeyExistsError` rather than replace one."""
    from zmq.auth import create_certificates, load_certificate

    path = secret_path(_checked(name))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:  # mode 0700, so nobody sees it before its chmod
            _, made = create_certificates(scratch, name)
            os.chmod(made, 0o600)
            public, secret = load_certificate(made)
            os.link(made, path)
    except FileExistsError:
        raise KeyExistsError(
            f"There is a key {name!r}: {path}. Remove the file first if it is to be replaced."
        ) from None
    except OSError as error:
        raise DataStoreError(f"The key cannot be written to {path.parent}: {error.strerror}.") from None
    assert secret is not None
    return Pair(public, secret)


def server() -> Pair:
    """Return the pair of this user's daemons, which is made when it is first asked for."""
    if not secret_path(SERVER).exists():
        with contextlib.suppress(KeyExistsError):  # another process was faster
            return new(SERVER)
    return own(SERVER)


def own(name: str) -> Pair:
    """Return the pair with a name, or in the file at a path.

    Raises `DataStoreError` if there is none, or others may read the secret.
    """
    path = Path(name).expanduser() if "/" in name or name.endswith(_SECRET) else secret_path(_checked(name))
    try:
        mode = path.stat().st_mode
        if mode & 0o077:
            raise DataStoreError(f"Others may read or write the secret key {path}: 'chmod 600 {path}'.")
        public, secret = _load(path)
    except FileNotFoundError:
        raise DataStoreError(f"There is no key {name!r} ({path}): 'kvctl keys new NAME' makes one.") from None
    except OSError as error:
        raise DataStoreError(f"The key {path} cannot be read: {error.strerror}.") from None
    if secret is None:
        raise DataStoreError(f"{path} has no secret key: it is the file {path.stem}{_SECRET} that is needed.")
    return Pair(public, secret)


def names() -> list[str]:
    """Return the names of all pairs but the daemons' own, in order."""
    return sorted(path.name.removesuffix(_SECRET) for path in directory().glob(f"*{_SECRET}") if path.stem != SERVER)


def allow(name: str, public: bytes) -> None:
    """Let the owner of a key connect to this user's daemons, from now on.

    Raises `KeyExistsError` if the name stands for another key.
    """
    path = _allowed_path(name)
    there = allowed()
    if there.get(public, name) != name:
        raise KeyExistsError(f"This key is allowed already, by the name {there[public]!r}.")
    if name in there.values() and public not in there:
        raise KeyExistsError(f"The name {name!r} stands for another key: 'kvctl keys revoke {name}' takes it away.")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent.parent, delete=False, encoding="ascii") as scratch:
            scratch.write(f'metadata\ncurve\n    public-key = "{public.decode()}"\n')
        os.replace(scratch.name, path)
    except OSError as error:
        raise DataStoreError(f"The key cannot be written to {path.parent}: {error.strerror}.") from None


def revoke(name: str) -> None:
    """Let the owner of a key connect no more, and end the connections there are. Raises `KeyNotFoundError`."""
    try:
        _allowed_path(name).unlink()
    except FileNotFoundError:
        raise KeyNotFoundError(f"No key {name!r} is allowed; 'kvctl keys list' shows which are.") from None
    except OSError as error:
        raise DataStoreError(f"The key {name!r} cannot be revoked: {error.strerror}.") from None


def allowed() -> dict[bytes, str]:
    """Return the public keys of those who may connect, each with its name. Raises `DataStoreError`."""
    found: dict[bytes, str] = {}
    for path in sorted(allowed_directory().glob(f"*{_PUBLIC}")):
        try:
            found[_load(path)[0]] = path.name.removesuffix(_PUBLIC)
        except FileNotFoundError:  # just revoked
            continue
        except OSError as error:
            raise DataStoreError(f"The key {path} cannot be read: {error.strerror}.") from None
    return found


def _load(path: Path) -> tuple[bytes, bytes | None]:
    """Return what a file has. Raises `OSError`, and `DataStoreError` for one that is none of a key."""
    from zmq.auth import load_certificate

    path.stat()  # for its error: load_certificate's has no number
    try:
        public, secret = load_certificate(path)
        for key in filter(None, (public, secret)):
            public_key(key.decode("ascii"))
    except (ValueError, DataStoreError):
        raise DataStoreError(f"{path} is no file of a CURVE key, as 'kvctl keys new' writes it.") from None
    return public, secret


def _checked(name: str) -> str:
    if not _name.fullmatch(name):
        raise DataStoreError(
            "A key's name has up to 64 letters, digits, '.', '_', '-' and '@', and neither '.' nor '@' in front: "
            f"{name!r}"
        )
    return name


def secret_path(name: str) -> Path:
    """Return the file of a pair."""
    return directory() / f"{name}{_SECRET}"


def _allowed_path(name: str) -> Path:
    return allowed_directory() / f"{_checked(name)}{_PUBLIC}"
