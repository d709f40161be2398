"""What one trial of a search does, and how a search samples and prunes: the same in one process and in several."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
import pandas as pd
from threadpoolctl import threadpool_limits

from hearth.contracts import Contract
from hearth.modelling.evaluation import metric
from hearth.modelling.families import Family, Param
from hearth.modelling.trials import TrialResult, TuningResult
from hearth.training.folds import FOLDS, Fold, make_folds, weighable

_LOGGER = logging.getLogger(__name__)
_STARTUP_TRIALS = 3  # trials that are never pruned: the median needs a few


class TrialFailed(Exception):
    """A trial raised an error, which is the cause of this one; the search goes on."""


Objective = Callable[[optuna.Trial, int], TrialResult]
"""Runs a trial, which the second argument numbers; raises TrialFailed."""


def make_sampler(seed: int) -> optuna.samplers.BaseSampler:
    """Return what suggests parameters."""
    return optuna.samplers.TPESampler(seed=seed)


def make_pruner() -> optuna.pruners.BasePruner:
    """Return what ends trials whose folds are worse than the median of others, in all processes."""
    return optuna.pruners.MedianPruner(n_startup_trials=_STARTUP_TRIALS, n_warmup_steps=1)  # one fold alone is luck


@dataclass(frozen=True)
class CrossValidation:
    """The objective of a search: the metric of the folds of the train set, one after the other until the pruner ends the trial."""

    contract: Contract
    family: Family
    folds: Sequence[Fold]
    seed: int

    @classmethod
    def prepare(  # noqa: PLR0913 - all but the data are named
        cls,
        contract: Contract,
        X: pd.DataFrame,
        y: pd.Series,
        family: Family,
        *,
        seed: int,
        folds: int = FOLDS,
        row_weights: np.ndarray | None = None,
    ) -> "CrossValidation":
        """Make the folds, each with its features. The same arguments make the same folds, in every process.

        Raises:
            UntrainableData: a class has fewer rows than there are folds.
        """
        with threadpool_limits(limits=1):
            X, y, row_weights = weighable(family, X, y, row_weights)
            return cls(contract, family, make_folds(contract, X, y, family, folds=folds, seed=seed, row_weights=row_weights), seed)

    def __call__(self, trial: optuna.Trial, number: int) -> TrialResult:
        """Run a trial on one core; its score is reported after each fold.

        Raises:
            TrialFailed: the parameters do not fit the data.
        """
        fewest_rows = min(len(fold.X_fit) for fold in self.folds)
        params = self.family.limited(self.family.suggest(trial), fewest_rows)
        scores: list[float] = []
        with threadpool_limits(limits=1):  # trainings run side by side: one core each
            for step, fold in enumerate(self.folds):
                try:
                    scores.append(self._fold_score(params, fold))
                except Exception as error:  # libraries raise anything for parameters that do not fit the data
                    _LOGGER.warning("trial %d failed (%s: %s) %s", number, type(error).__name__, error, dict(params))
                    raise TrialFailed from error
                trial.report(float(np.mean(scores)), step)
                if len(scores) < len(self.folds) and trial.should_prune():
                    break
        result = TrialResult(number, params, tuple(scores), pruned=len(scores) < len(self.folds))
        pruned = " (pruned)" * result.pruned
        _LOGGER.info("trial %d: %s %.4f%s %s", number, self.contract.metric, result.score, pruned, dict(params))
        return result

    def _fold_score(self, params: Mapping[str, Param], fold: Fold) -> float:
        model = self.family.build_for_tuning(params, self.seed)
        model.fit(fold.X_fit, fold.y_fit, **fold.weights)
        return metric(self.contract, fold.y_held_out, model.predict(fold.X_held_out), fold.held_out_weights)


def best_of(results: Sequence[TrialResult]) -> TuningResult:
    """Return the best of the trials that ran all folds, the first of equals, with all trials in order."""
    best = max((result for result in results if not result.pruned), key=lambda result: (result.score, -result.number))
    return TuningResult(best.params, best.score, tuple(sorted(results, key=lambda result: result.number)))
