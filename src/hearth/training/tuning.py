"""Tune a family by cross-validation on the train set. The test set is not used here."""

import logging
from collections.abc import Callable, Mapping

import numpy as np
import optuna
import pandas as pd
from threadpoolctl import threadpool_limits

from hearth.contracts import Contract
from hearth.modelling.evaluation import metric
from hearth.modelling.families import Family, Param
from hearth.modelling.trials import TrialResult, TuningResult
from hearth.training.fitting import fit
from hearth.training.folds import FOLDS, Fold, make_folds, weighable

__all__ = ["fit", "tune"]

_LOGGER = logging.getLogger(__name__)
_STARTUP_TRIALS = 3  # trials that are never pruned: the median needs a few


def tune(  # noqa: PLR0913 - all but the data are named
    contract: Contract,
    X: pd.DataFrame,
    y: pd.Series,
    family: Family,
    *,
    trials: int,
    seed: int,
    folds: int = FOLDS,
    jobs: int = 1,
    row_weights: np.ndarray | None = None,
    on_trial: Callable[[TrialResult], None] = lambda _: None,
) -> TuningResult:
    """Search the family's parameters with Optuna; the first trial has the family's defaults. A trial that fails is left out.

    Features are fitted on the fitting part of each fold only. They do not depend on the parameters, so each fold's are made once for all
    trials. Above `family.tuning_rows` rows a stratified sample stands for all. The same arguments give the same result, unless several
    `jobs` (threads) run trials at the same time: then a trial depends on those that have ended before it. `row_weights`, shape (rows,),
    says how much each row counts, in the fit and in the metric.

    Raises:
        UntrainableData: a class has fewer rows than there are folds.
        Exception: every trial failed; this is the error of the first.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # each trial is logged once, below
    results: list[TrialResult] = []
    failures: list[Exception] = []
    with threadpool_limits(limits=1):  # trainings run side by side: one core each
        X, y, row_weights = weighable(family, X, y, row_weights)
        parts = make_folds(contract, X, y, family, folds=folds, seed=seed, row_weights=row_weights)
        fewest_rows = min(len(fold.X_fit) for fold in parts)

        def objective(trial: optuna.Trial) -> float:
            params = family.limited(family.suggest(trial), fewest_rows)
            scores: list[float] = []
            for step, fold in enumerate(parts):
                try:
                    scores.append(_fold_score(contract, family, params, seed, fold))
                except Exception as error:  # libraries raise anything for parameters that do not fit the data
                    failures.append(error)
                    _LOGGER.warning("trial %d failed (%s: %s) %s", trial.number, type(error).__name__, error, dict(params))
                    raise _TrialFailed from error
                trial.report(float(np.mean(scores)), step)
                if len(scores) < folds and trial.should_prune():
                    break
            result = TrialResult(trial.number, params, tuple(scores), pruned=len(scores) < folds)
            results.append(result)
            _LOGGER.info("trial %d: %s %.4f%s %s", result.number, contract.metric, result.score, " (pruned)" * result.pruned, dict(params))
            on_trial(result)
            if result.pruned:
                raise optuna.TrialPruned
            return result.score

        study = optuna.create_study(
            direction="maximize",
            sampler=optuna.samplers.TPESampler(seed=seed),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_STARTUP_TRIALS, n_warmup_steps=1),  # one fold alone is luck
        )
        study.enqueue_trial(dict(family.defaults))
        study.optimize(objective, n_trials=trials, n_jobs=jobs, catch=(_TrialFailed,))
    if not results:
        raise failures[0]
    best = max((result for result in results if not result.pruned), key=lambda result: (result.score, -result.number))
    return TuningResult(best.params, best.score, tuple(sorted(results, key=lambda result: result.number)))


class _TrialFailed(Exception):
    """A trial raised an error; the search goes on."""


def _fold_score(contract: Contract, family: Family, params: Mapping[str, Param], seed: int, fold: Fold) -> float:
    model = family.build_for_tuning(params, seed)
    model.fit(fold.X_fit, fold.y_fit, **fold.weights)
    return metric(contract, fold.y_held_out, model.predict(fold.X_held_out), fold.held_out_weights)
