"""Tests of shares that may be asked after every answer: however often one looks, a version within its bound is stopped at `level` at most.

A test bets that the share of events is a multiple of its bound. What the bets have won is a martingale that a version at its bound moves
by chance alone, so the chance that it ever passes 1/level is at most level (Ville's inequality). Bets are on several multiples at once: a
share a little above the bound is found late, one far above it after a few answers.
"""

import math
from dataclasses import dataclass

_MULTIPLES = (1.5, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0)
_MOST = 0.95  # no bet is on more than this share, or where the bound is near it, than halfway from there to 1


@dataclass(frozen=True)
class ErrorTest:
    """Whether a share of events is above a bound, 0 < bound < 1."""

    bound: float
    level: float

    def log_evidence(self, events: int, of: int) -> float:
        """Return the logarithm of what the bets have won, on average over the multiples."""
        most = max(_MOST, (1 + self.bound) / 2)
        shares = [min(most, multiple * self.bound) for multiple in _MULTIPLES]
        logs = [events * math.log(share / self.bound) + (of - events) * math.log((1 - share) / (1 - self.bound)) for share in shares]
        highest = max(logs)
        return highest + math.log(sum(math.exp(value - highest) for value in logs) / len(logs))

    def is_beyond(self, events: int, of: int) -> bool:
        """Whether the share is above the bound."""
        return self.log_evidence(events, of) >= -math.log(self.level)


def upper_place(total: int, q: float, z: float = 2.0) -> float:
    """Return the place among sorted values, 1 to total, that a quantile of their distribution is below: z standard deviations above it."""
    return min(float(total), q * total + z * math.sqrt(total * q * (1 - q)))
