"""The index: key → where its value lies, revision, expiry. Values stay on disk. (Bitcask calls this the keydir.)

An entry is packed into one bytes object: with keys of 11 characters it takes 150 bytes a key, where a tuple of numbers
would take twice that. The few that have an owner have it beside. Behind an entry's numbers stands what its line takes
besides the value, in two bytes that cost nothing: objects of up to 64 bytes are equally large.
"""

import struct
from collections.abc import Collection, Iterable, Iterator, Sequence

from kvd.backend.asking import Owner
from kvd.backend.file.engine.format import AFTER_VALUE, Row, entry_bytes, parse_owner
from kvd.backend.file.engine.interface import NEVER, Entry, Put, Removal

_packed = struct.Struct("<QIQd")
_unpack = _packed.unpack_from
_packed_with_extra = struct.Struct("<QIQdH")
_pack, _unpack_with_extra = _packed_with_extra.pack, _packed_with_extra.unpack
_MOST_EXTRA = (1 << 16) - 1
"""Bytes of a line besides its value that can be noted; 0 is noted for more, which takes a key of thousands of bytes."""


def pack(entry: Entry) -> bytes:
    """Return an entry in few bytes."""
    return _packed.pack(*entry)


def unpack(packed: bytes) -> Entry:
    """Return the entry of `pack`."""
    return Entry._make(_packed.unpack(packed))


class Index:
    """Entries by key, and the bytes that they take in the file. Addresses are whatever the caller gives."""

    def __init__(self) -> None:
        self._entries: dict[str, bytes] = {}
        self._owners: dict[str, Owner] = {}
        self.live_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: str) -> Entry | None:
        """Return the key's entry, or None."""
        packed = self._entries.get(key)
        return None if packed is None else Entry._make(_unpack(packed))

    def holds_any(self, keys: Collection[str]) -> bool:
        """Tell whether any of the keys has an entry."""
        return not self._entries.keys().isdisjoint(keys)

    def owner(self, key: str) -> Owner | None:
        """Return the owner of the key's entry, or None."""
        return self._owners.get(key)

    def owners(self) -> Iterator[tuple[str, Owner]]:
        """Yield key and owner of every entry that has one."""
        yield from self._owners.items()

    def change(self, changes: Sequence[tuple[str, Put | Removal]], lines: Sequence[tuple[int, int]], base: int) -> None:
        """Apply a commit's changes, given the end and the bytes of each line. An address is an offset plus `base`."""
        entries, pack, after = self._entries, _pack, AFTER_VALUE - base
        for (key, change), (line_end, size) in zip(changes, lines, strict=True):
            if key in entries:
                self._discount(key)
                if len(change) == 2:  # a removal; `isinstance` takes twice as long
                    del entries[key]
                    continue
            elif len(change) == 2:
                continue
            value, revision, expires_at, owner = change
            length = len(value)
            extra = size - length
            if extra > _MOST_EXTRA:
                extra = 0
            entries[key] = pack(line_end - after - length, length, revision, expires_at, extra)
            self.live_bytes += size
            if owner is not None:
                self._owners[key] = owner

    def fill(self, rows: Iterable[Row]) -> None:
        """Take over the entries of a file, in their order."""
        entries, pack = self._entries, _pack
        for key, address, length, revision, expires_at, owner, size in rows:
            if key in entries:
                self._discount(key)
                if not revision:
                    del entries[key]
            if revision:
                extra = size - length
                entries[key] = pack(address, length, revision, expires_at, extra if extra <= _MOST_EXTRA else 0)
                self.live_bytes += size
                if owner is not None:
                    self._owners[key] = parse_owner(owner)

    def remove(self, key: str) -> Entry | None:
        """Forget the key and return its entry, if it is there."""
        entry = self.find(key)
        if entry is not None:
            self._discount(key)
            del self._entries[key]
        return entry

    def _discount(self, key: str) -> None:
        """Forget what an entry that is there takes, and its owner.

        Not the entry: replaced in its place, it leaves the dict as it is. Taken out and put in anew, it would have the
        dict grow, and a million keys move at once, which takes 100 ms.
        """
        *numbers, extra = _unpack_with_extra(self._entries[key])
        owner = self._owners.pop(key, None) if self._owners else None
        self.live_bytes -= numbers[1] + extra if extra else entry_bytes(key, Entry._make(numbers), owner)

    def move(self, key: str, address: int) -> None:
        """Set a new address for a key that is there."""
        _, *others = _unpack_with_extra(self._entries[key])
        self._entries[key] = _pack(address, *others)

    def keys(self) -> list[str]:
        """Return the keys as they are now."""
        return list(self._entries)

    def expiring(self) -> Iterator[tuple[float, str]]:
        """Yield `expires_at` and key of every entry that has one."""
        for key, packed in self._entries.items():
            expires_at = _unpack(packed)[3]
            if expires_at != NEVER:
                yield expires_at, key
