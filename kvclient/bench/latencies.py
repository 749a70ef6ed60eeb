"""How long operations took, in memory that does not grow with their number."""

from collections import Counter
from collections.abc import Iterable

_BITS = 8
"""Leading bits of a time that are kept: percentiles are right to within one in 128."""


class Latencies:
    """Counts times, in nanoseconds, in buckets that widen with the times."""

    def __init__(self) -> None:
        self.count = 0
        self.most = 0
        self.buckets: Counter[int] = Counter()

    def add(self, nanoseconds: int) -> None:
        """Count one time."""
        self.count += 1
        self.most = max(self.most, nanoseconds)
        shift = max(0, nanoseconds.bit_length() - _BITS)
        self.buckets[nanoseconds >> shift << shift] += 1

    @classmethod
    def merged(cls, parts: Iterable["Latencies"]) -> "Latencies":
        """Return the times of several clients as one."""
        whole = cls()
        for part in parts:
            whole.count += part.count
            whole.most = max(whole.most, part.most)
            whole.buckets += part.buckets
        return whole

    def percentile(self, percent: float) -> int:
        """Return the time in nanoseconds that so many percent of the operations did not exceed; 0 of none."""
        left = self.count * percent / 100
        for bucket in sorted(self.buckets):
            left -= self.buckets[bucket]
            if left <= 0:
                return bucket
        return self.most
