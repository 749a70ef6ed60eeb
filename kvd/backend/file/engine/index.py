"""The index: key → where its value lies, revision, expiry. Values stay on disk. (Bitcask calls this the keydir.)

An entry is packed into one bytes object: with keys of 11 characters it takes 150 bytes a key, where a tuple of numbers
would take twice that.
"""

import struct
from collections.abc import Collection, Iterable, Iterator

from kvd.backend.file.engine.format import Row, entry_bytes
from kvd.backend.file.engine.interface import NEVER, Entry

_packed = struct.Struct("<QIQd")
_pack = _packed.pack


class Index:
    """Entries by key, and the bytes that they take in the file. Addresses are whatever the caller gives."""

    def __init__(self) -> None:
        self._entries: dict[str, bytes] = {}
        self.live_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: str) -> Entry | None:
        """Return the key's entry, or None."""
        packed = self._entries.get(key)
        return None if packed is None else Entry._make(_packed.unpack(packed))

    def holds_any(self, keys: Collection[str]) -> bool:
        """Tell whether any of the keys has an entry."""
        return not self._entries.keys().isdisjoint(keys)

    def put(self, key: str, address: int, length: int, revision: int, expires_at: float, size: int) -> None:
        """Set the key's entry, which takes `size` bytes in the file."""
        if key in self._entries:
            self.remove(key)
        self._entries[key] = _pack(address, length, revision, expires_at)
        self.live_bytes += size

    def fill(self, rows: Iterable[Row]) -> None:
        """Take over the entries of a file, in their order."""
        entries, pack = self._entries, _pack
        for key, address, length, revision, expires_at, size in rows:
            if key in entries:
                self.remove(key)
            if revision:
                entries[key] = pack(address, length, revision, expires_at)
                self.live_bytes += size

    def remove(self, key: str) -> Entry | None:
        """Forget the key and return its entry, if it is there."""
        packed = self._entries.pop(key, None)
        if packed is None:
            return None
        entry = Entry._make(_packed.unpack(packed))
        self.live_bytes -= entry_bytes(key, entry)
        return entry

    def move(self, key: str, entry: Entry) -> None:
        """Set a new address for a key that is there."""
        self._entries[key] = _pack(*entry)

    def keys(self) -> list[str]:
        """Return the keys as they are now."""
        return list(self._entries)

    def expiring(self) -> Iterator[tuple[float, str]]:
        """Yield `expires_at` and key of every entry that has one."""
        for key, packed in self._entries.items():
            expires_at = _packed.unpack(packed)[3]
            if expires_at != NEVER:
                yield expires_at, key
