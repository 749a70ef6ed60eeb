"""The bounds of what a store takes: the settings of the same names."""

from typing import NamedTuple


class Limits(NamedTuple):
    """See docs/settings.md."""

    max_key_length: int = 256
    max_value_bytes: int = 1 << 20
    max_request_bytes: int = 16 << 20
    max_batch: int = 10_000
    max_file_bytes: int = 1 << 30


class CompactWhen(NamedTuple):
    """When a compaction is worth its cost; the settings of the same names."""

    compact_share: float = 0.5
    compact_min_bytes: int = 16 << 20
