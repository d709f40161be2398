"""How often a challenger agrees with the champion."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ChallengeReport:
    """The predictions of one challenger compared with those of one champion, for the same records.

    `champion_classes` and `challenger_classes` count the predictions of each by class. `skipped` counts records that the challenger did
    not score, by reason: behind (it was too slow), failed.
    """

    dataset: str
    champion_version: str
    challenger_version: str
    compared: int
    agreed: int
    champion_classes: Mapping[str, int]
    challenger_classes: Mapping[str, int]
    skipped: Mapping[str, int]

    @property
    def agreement(self) -> float | None:
        """The share of compared records with the same prediction, 0 to 1; None if there are none."""
        return self.agreed / self.compared if self.compared else None


class Tally:
    """Counts for one champion and one challenger. Not thread-safe."""

    def __init__(self, dataset: str, versions: tuple[str, str], classes: tuple[str, ...]) -> None:
        """`versions` are those of the champion and the challenger."""
        self._dataset, self._versions, self._classes = dataset, versions, classes
        self._pairs = np.zeros((len(classes), len(classes)), dtype=np.int64)  # records by champion's and challenger's class
        self._skipped: Counter[str] = Counter()

    def add(self, champion_codes: np.ndarray | int, challenger_codes: np.ndarray | int, records: int = 1) -> None:
        """Count class codes, shape (n,), for the same records; each pair of codes stands for `records` records."""
        np.add.at(self._pairs, (np.asarray(champion_codes), np.asarray(challenger_codes)), records)

    def skip(self, reason: str, records: int) -> None:
        """Count records that the challenger did not score."""
        self._skipped[reason] += records

    def report(self) -> ChallengeReport:
        """Return the counts so far."""
        pairs = self._pairs
        return ChallengeReport(
            self._dataset,
            *self._versions,
            compared=int(pairs.sum()),
            agreed=int(pairs.trace()),
            champion_classes=dict(zip(self._classes, pairs.sum(axis=1).tolist(), strict=True)),
            challenger_classes=dict(zip(self._classes, pairs.sum(axis=0).tolist(), strict=True)),
            skipped=dict(self._skipped),
        )
