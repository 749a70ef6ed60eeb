"""How long something took, counted by duration: what Prometheus calls a histogram."""

from bisect import bisect_left, bisect_right
from typing import Any

BOUNDS = (*(digit * 10.0**exponent for exponent in range(-5, 1) for digit in (1, 2, 5)), 10.0)
"""Seconds that the counts lie between, 10 µs to 10 s. In steps of 1, 2 and 5 a share of requests is told within a
factor of 2.5 at worst, in 20 numbers a histogram, each of which a person can read."""


class Histogram:
    """Durations, in seconds."""

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0
        self.fresh: list[float] = []
        """What was noted and is not counted yet."""
        self.note = self.fresh.append
        """Take a duration, from any thread, in a fifth of the time that counting it takes. `fold` counts them all."""

    def add(self, seconds: float, times: int) -> None:
        """Count a duration at once, as that of several."""
        self._counts[bisect_left(BOUNDS, seconds)] += times
        self._seconds += seconds * times

    def fold(self) -> None:
        """Count what was noted."""
        if not self.fresh:
            return
        noted = self.fresh[:]
        del self.fresh[: len(noted)]  # another thread may have noted more
        noted.sort()
        self._seconds += sum(noted)
        below = 0
        for number, bound in enumerate(BOUNDS):
            upto = bisect_right(noted, bound)
            self._counts[number] += upto - below
            below = upto
        self._counts[-1] += len(noted) - below

    def fields(self) -> dict[str, Any]:
        """Return what the statistics tell: the sum of the durations, and how many lie up to each bound and above."""
        self.fold()
        return {"seconds": round(self._seconds, 6), "counts": self._counts.copy()}
