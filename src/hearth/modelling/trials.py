"""The outcome of a search for parameters, as it is kept and shown; the search itself is in `hearth.training`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hearth.modelling.families import Param

STUDY_PLANNED = "planned"  # the attribute of a search in the database of searches that says since when it is there


@dataclass(frozen=True)
class TrialResult:
    """A trial: its parameters and the metric of each fold; a pruned trial has run only some of the folds."""

    number: int
    params: Mapping[str, Param]
    fold_scores: tuple[float, ...]
    pruned: bool

    @property
    def score(self) -> float:
        """Mean metric of its folds."""
        return float(np.mean(self.fold_scores))


@dataclass(frozen=True)
class TuningResult:
    """The best trial's parameters and cross-validated metric, and all trials in order."""

    params: Mapping[str, Param]
    score: float
    trials: tuple[TrialResult, ...]
