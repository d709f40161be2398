"""Tune a family by cross-validation on the train set, in this process. The test set is not used here."""

from collections.abc import Callable

import numpy as np
import optuna
import pandas as pd

from hearth.contracts import Contract
from hearth.modelling.families import Family
from hearth.modelling.trials import TrialResult, TuningResult
from hearth.training.fitting import fit
from hearth.training.folds import FOLDS
from hearth.training.objective import CrossValidation, TrialFailed, best_of, make_pruner, make_sampler

__all__ = ["fit", "tune"]


def tune(  # noqa: PLR0913 - all but the data are named
    contract: Contract,
    X: pd.DataFrame,
    y: pd.Series,
    family: Family,
    *,
    trials: int,
    seed: int,
    folds: int = FOLDS,
    row_weights: np.ndarray | None = None,
    on_trial: Callable[[TrialResult], None] = lambda _: None,
) -> TuningResult:
    """Search the family's parameters with Optuna; the first trial has the family's defaults. A trial that fails is left out.

    Features are fitted on the fitting part of each fold only. They do not depend on the parameters, so each fold's are made once for all
    trials. Above `family.tuning_rows` rows a stratified sample stands for all. The same arguments give the same result. `row_weights`,
    shape (rows,), says how much each row counts, in the fit and in the metric.

    Raises:
        UntrainableData: a class has fewer rows than there are folds.
        Exception: every trial failed; this is the error of the first.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # each trial is logged once, by the objective
    results: list[TrialResult] = []
    failures: list[BaseException] = []
    run = CrossValidation.prepare(contract, X, y, family, seed=seed, folds=folds, row_weights=row_weights)

    def objective(trial: optuna.Trial) -> float:
        try:
            result = run(trial, trial.number)
        except TrialFailed as error:
            failures.append(error.__cause__ or error)
            raise
        results.append(result)
        on_trial(result)
        if result.pruned:
            raise optuna.TrialPruned
        return result.score

    study = optuna.create_study(direction="maximize", sampler=make_sampler(seed), pruner=make_pruner())
    study.enqueue_trial(dict(family.defaults))
    study.optimize(objective, n_trials=trials, catch=(TrialFailed,))
    if not results:
        raise failures[0]
    return best_of(results)
