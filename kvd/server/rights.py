"""Who may do what: the rights of a peer, found once, when it connects or the settings are read anew.

The owner of the daemon and root may do everything, and so may whoever connects to a plain TCP port where nothing is
said of rights: their `Peer.rights` is None, and a request of theirs is looked at no further. Everybody else has the
`Rights` that the `[[access]]` tables give, which may be none.

A refusal names the key and the right. It is given before the store is asked, so it tells nothing of what is there.
"""

import os
from collections.abc import Iterable
from typing import Any, NamedTuple, assert_never

from kvclient.contract.errors import AccessDeniedError
from kvclient.contract.operations import OPERATIONS
from kvclient.contract.operations.declaration import Right
from kvclient.contract.rules import shorten
from kvd.access import Access
from kvd.processes import Identity, unit_of, users_are_told_apart

_ROOT = 0
_ADVICE = "The owner of the daemon can allow it by an [[access]] table in the settings (docs/rights.md)."
_DOING = {"read": "read", "write": "changed"}
_OWNERS = [op for op, model in OPERATIONS.items() if "own" in model.needs]


class Rights(NamedTuple):
    """What a peer may do that is not the owner."""

    who: str
    """What an error calls the peer, such as `uid 1001`."""
    read: tuple[str, ...] = ()
    """The prefixes of the keys that it may read; none covers another. See `shortest`."""
    write: tuple[str, ...] = ()

    @property
    def own(self) -> tuple[str, ...]:
        """What only the owner may do is not a matter of prefixes."""
        return ()

    @property
    def none(self) -> bool:
        """Whether there is no right at all."""
        return not self.read and not self.write

    def apply_to(self, request: Any) -> None:
        """Let a request pass, or raise `AccessDeniedError`.

        A `prefix` to read that reaches further than the rights becomes the tuple of what is within: see
        `kvd.backend.Backend`. And `id` becomes one that nobody else has, so that nobody is told what came of another's
        request.
        """
        self._narrow(request)
        if self.none:
            raise self.denial()
        if request.id is not None:
            request.id = f"{self.who}/{request.id}"

    def _narrow(self, request: Any) -> None:
        declared = request.declared
        match declared.concerns:
            case "key":
                self._check(declared.needs, request.key)
            case "keys" | "items" as members:
                for key in getattr(request, members):
                    self._check(declared.needs, key)
            case "operations":
                for index, member in enumerate(request.operations):
                    self._check(member.declared.needs, member.key, index)
            case "prefix":
                request.prefix = self._within(declared.needs, request.prefix)
            case "nothing":
                if "own" in declared.needs:
                    raise AccessDeniedError(
                        f"Only the owner of the daemon may ask for {', '.join(_OWNERS[:-1])} and {_OWNERS[-1]}: "
                        f"{request.op} was refused to {self.who}. No [[access]] table can allow it (docs/rights.md)."
                    )
            case never:
                assert_never(never)

    def _check(self, needs: Iterable[Right], key: str, index: int | None = None) -> None:
        for right in needs:
            if not key.startswith(getattr(self, right)):
                error = self._denied(f"Key {_quoted(key)} may not be", right)
                error.keys, error.index = (key,), index
                raise error

    def denial(self) -> AccessDeniedError:
        """Return what a peer is told that has no right at all."""
        return self._denied("Nothing may be", "read")

    def _within(self, needs: tuple[Right, ...], prefix: str) -> str | tuple[str, ...]:
        """Return the part of a prefix that may be read, in the order of the keys; a change is of the whole or none."""
        if all(prefix.startswith(getattr(self, right)) for right in needs):
            return prefix
        if needs != ("read",):
            raise self._denied(f"Some of {_beginning_with(prefix)} may not be", needs[0])
        within = tuple(each for each in self.read if each.startswith(prefix))
        if not within:
            raise self._denied(f"None of {_beginning_with(prefix)} may be", "read")
        return within

    def _denied(self, what: str, right: Right) -> AccessDeniedError:
        return AccessDeniedError(f"{what} {_DOING[right]} by {self.who}: the right '{right}' is not given. {_ADVICE}")


def shortest(prefixes: Iterable[str]) -> tuple[str, ...]:
    """Return the prefixes without those that others of them cover, in the order of the keys."""
    kept: list[str] = []
    for prefix in sorted(prefixes):
        if not kept or not prefix.startswith(kept[-1]):
            kept.append(prefix)
    return tuple(kept)


class AccessList:
    """The tables in force, and what they give to whom."""

    def __init__(self, tables: tuple[Access, ...] = ()) -> None:
        self.tables = tables
        self._owner = os.geteuid()
        self._told_apart = users_are_told_apart()

    def rights_of(self, identity: Identity | None, key: str | None) -> Rights | None:
        """Return what a peer may do, by what the kernel tells of it and the key that it has proved.

        None: everything.
        """
        if key is not None:
            return _given(f"key {key}", [table for table in self.tables if table.key == key])
        if identity is None:  # a plain TCP port
            return Rights("a peer without a key") if self.tables else None
        if identity.uid in (self._owner, _ROOT):
            return None
        if not self._told_apart(identity.uid):
            return Rights(f"another user (seen as uid {identity.uid} in the daemon's user namespace)")
        return _given(f"uid {identity.uid}", self._matching(identity))

    def _matching(self, identity: Identity) -> list[Access]:
        unit = unit_of(identity) if any(table.unit for table in self.tables) else None
        groups = {gid for gid in (identity.gid, *identity.groups) if self._told_apart(gid)}
        return [
            table
            for table in self.tables
            if table.uid == identity.uid or table.gid in groups or (unit is not None and table.unit == unit)
        ]


def _given(who: str, tables: list[Access]) -> Rights:
    return Rights(
        who,
        shortest(prefix for table in tables for prefix in table.read),
        shortest(prefix for table in tables for prefix in table.write),
    )


def _beginning_with(prefix: str) -> str:
    return f"the keys that begin with {_quoted(prefix)}" if prefix else "the keys"


def _quoted(text: str) -> str:
    return repr(shorten(text))
