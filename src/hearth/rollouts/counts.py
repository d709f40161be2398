"""What a version did while a rollout ran: answers, errors, and a histogram of the time that scoring took."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np

_SHORTEST_SECONDS = 2e-5
_PER_DOUBLING = 4  # buckets: neighbours differ by 19 %
BUCKETS = 88  # the last begins at about 60 s

UPPER_SECONDS = tuple(_SHORTEST_SECONDS * 2 ** (place / _PER_DOUBLING) for place in range(BUCKETS))
"""The upper bound of each bucket; the last one has none."""


def bucket_of(seconds: float) -> int:
    """Return the bucket of a time."""
    if seconds <= _SHORTEST_SECONDS:
        return 0
    return min(BUCKETS - 1, math.ceil(_PER_DOUBLING * math.log2(seconds / _SHORTEST_SECONDS)))


@dataclass
class Counts:
    """Counts since the start of a rollout. `latencies` has an item for each bucket."""

    answers: int = 0
    errors: int = 0
    latencies: list[int] = field(default_factory=lambda: [0] * BUCKETS)

    def copy(self) -> "Counts":
        return Counts(self.answers, self.errors, list(self.latencies))

    @property
    def error_share(self) -> float:
        """Failed answers among all, 0 to 1; 0 before the first."""
        return self.errors / self.answers if self.answers else 0.0

    @property
    def timed(self) -> int:
        """The number of times in the histogram."""
        return sum(self.latencies)

    def quantile(self, q: float) -> float | None:
        """Return the upper bound in seconds of the bucket that holds a quantile; None without any time."""
        total = self.timed
        if not total:
            return None
        place = int(np.searchsorted(np.cumsum(self.latencies), max(1.0, q * total)))
        return UPPER_SECONDS[min(place, BUCKETS - 1)]

    def slower_than(self, seconds: float) -> int:
        """Return how many times lie in buckets above the one of `seconds`."""
        return sum(self.latencies[bucket_of(seconds) + 1 :])

    @classmethod
    def total(cls, parts: Iterable["Counts"]) -> Self:
        """Return the sum of the counts of several processes."""
        whole = cls()
        for part in parts:
            whole.answers += part.answers
            whole.errors += part.errors
            whole.latencies = [a + b for a, b in zip(whole.latencies, part.latencies, strict=True)]
        return whole

    @classmethod
    def of(cls, answers: int, errors: int, latencies: Sequence[int]) -> Self:
        """Return stored counts; a histogram of another release that has other buckets is left out."""
        return cls(answers, errors, list(latencies) if len(latencies) == BUCKETS else [0] * BUCKETS)
