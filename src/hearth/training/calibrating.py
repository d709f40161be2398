"""Fit the pipeline that is registered: calibrated where that helps, with the thresholds of its sets. The test set is not used here.

Models of the final parameters are fitted on the fitting part of each fold. What they give for the rows held out says which calibration
helps, fits it, and gives the thresholds.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, cast

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from hearth.contracts import Contract
from hearth.data.row_sample import sample_frame
from hearth.data.stored_train import StoredTrain
from hearth.logs import about
from hearth.modelling import calibration as methods
from hearth.modelling.calibration import METHODS, Method
from hearth.modelling.evaluation import calibration_error, metric, reliability
from hearth.modelling.families import Family, Param
from hearth.modelling.prediction_sets import fit_sets
from hearth.modelling.trust import Trust
from hearth.training.fitting import fit
from hearth.training.folds import FOLDS, make_folds, weighable
from hearth.training.stored_fitting import SAMPLE_ROWS, fit_stored

_LOGGER = logging.getLogger(__name__)
_NOISE = 2.0  # standard errors that a gain of log loss must have
_MOST_METRIC_LOST = 0.002
_MOST_ERROR_GAINED = 0.005
_LEAST = 1e-15  # below it a probability costs no more log loss, as in scikit-learn


@dataclass(frozen=True)
class Held:
    """What models gave for train rows that they were not fitted on: `outputs` are the values of `hearth.modelling.calibration`.

    `fold` and `truth` have shape (rows,); `own` has the models' own probabilities, (rows, classes), None if they have none.
    `weights`, shape (rows,), says how much each row counts; None if all count the same.
    """

    fold: np.ndarray
    truth: np.ndarray
    outputs: np.ndarray
    are_probabilities: bool
    own: np.ndarray | None
    weights: np.ndarray | None = None

    @classmethod
    def of_probabilities(cls, fold: np.ndarray, truth: np.ndarray, probabilities: np.ndarray) -> Self:
        """Make them from probabilities, (rows, classes), whatever the models may give beside these."""
        outputs = methods.one_column_for_two(probabilities)
        return cls(fold, truth, outputs, are_probabilities=True, own=probabilities)


@dataclass(frozen=True)
class Tried:
    """A calibration, None for the model's own probabilities, and what it gives the rows of each fold when it is fitted on the others.

    `probabilities` have shape (rows, classes), `losses` (rows,); `metric` is the contract's.
    """

    method: Method | None
    probabilities: np.ndarray
    losses: np.ndarray
    metric: float
    calibration_error: float

    @property
    def name(self) -> str:
        """The method as contracts name it."""
        return self.method or "none"

    @property
    def log_loss(self) -> float:
        """Mean of the rows."""
        return float(self.losses.mean())


@dataclass(frozen=True)
class Fitted:
    """The pipeline of a version, the calibration in it, and what it knows of its limits."""

    pipeline: Pipeline
    calibration: Tried
    trust: Trust


def fit_calibrated(  # noqa: PLR0913 - all but the data are named
    contract: Contract,
    X: pd.DataFrame,
    y: pd.Series,
    family: Family,
    *,
    params: Mapping[str, Param],
    seed: int,
    row_weights: np.ndarray | None = None,
    stored: StoredTrain | None = None,
) -> Fitted:
    """Fit on all rows, with the calibration that the contract names or that helps most, and compute the thresholds of the sets.

    With `stored` these rows are a sample of those, which the model is fitted on; the sample serves for imputing, scaling and calibrating.

    Raises:
        UntrainableData: a class has fewer rows than there are folds.
    """
    uncalibrated = contract.calibration != "none"
    X, y, row_weights = weighable(family, X, y, row_weights)
    if stored is not None:
        places = sample_frame(contract, X, y.to_numpy(), SAMPLE_ROWS)
        X, y = X.iloc[places].reset_index(drop=True), y.iloc[places].reset_index(drop=True)
        row_weights = None if row_weights is None else row_weights[places]
    held = hold_out(contract, X, y, family, params=params, seed=seed, uncalibrated=uncalibrated, row_weights=row_weights)
    chosen = choose(contract, held)
    if stored is None:
        pipeline = fit(contract, X, y, family, params=params, seed=seed, uncalibrated=uncalibrated, row_weights=row_weights)
    else:
        pipeline = fit_stored(contract, X, y, stored, family, params=params, seed=seed, uncalibrated=uncalibrated)
    if chosen.method is not None:
        calibrators = methods.fit_calibrators(
            chosen.method, held.outputs, held.truth, are_probabilities=held.are_probabilities, weights=held.weights
        )
        model = methods.calibrated(pipeline["model"], chosen.method, calibrators)
        pipeline = Pipeline([("features", pipeline["features"]), ("model", model)])
    sets = fit_sets(held.truth, chosen.probabilities, contract.sets.level, held.weights)
    _LOGGER.info("%s: calibration %s, out of fold log loss %.4f", contract.name, chosen.name, chosen.log_loss, extra=about(contract.name))
    return Fitted(pipeline, chosen, Trust(sets=sets))


def hold_out(  # noqa: PLR0913 - all but the data are named
    contract: Contract,
    X: pd.DataFrame,
    y: pd.Series,
    family: Family,
    *,
    params: Mapping[str, Param],
    seed: int,
    uncalibrated: bool = True,
    row_weights: np.ndarray | None = None,
) -> Held:
    """Fit a model on the fitting part of each fold of all rows, and return what it gives for the rows held out.

    A family that brings a calibration goes without it, unless `uncalibrated` is false.
    """
    values, own = [], []
    with threadpool_limits(limits=1):
        parts = make_folds(contract, X, y, family, folds=FOLDS, seed=seed, most_rows=len(X), row_weights=row_weights)
        for part in parts:
            model = family.final(params, seed, len(part.X_fit), uncalibrated=uncalibrated)
            model.fit(part.X_fit, part.y_fit, **part.weights)
            values.append(methods.values_of(model, part.X_held_out))
            if hasattr(model, "predict_proba"):
                own.append(np.asarray(model.predict_proba(part.X_held_out), dtype=np.float64))
    return Held(
        np.concatenate([np.full(len(part.held_out), number) for number, part in enumerate(parts)]),
        np.concatenate([part.y_held_out for part in parts]),
        np.concatenate(values),
        methods.gives_probabilities(model),
        np.concatenate(own) if own else None,
        np.concatenate([part.held_out_weights for part in parts if part.held_out_weights is not None]) if row_weights is not None else None,
    )


def choose(contract: Contract, held: Held) -> Tried:
    """Return the calibration that the contract names; with `auto` the one that helps most.

    That is the one of the lowest log loss among those that lose at most 0.002 of the contract's metric, and whose calibration error is at
    most 0.005 above that of the model's own probabilities. These stay unless the gain is more than noise: two standard errors of the
    differences by row. A model without probabilities of its own gets a calibration whatever it is worth.
    """
    own = None if held.own is None else _judged(contract, held, None, held.own)
    if contract.calibration not in {"auto", "none"}:
        return _try(contract, held, cast("Method", contract.calibration))
    if own is not None and contract.calibration == "none":
        return own
    tried = [_try(contract, held, method) for method in METHODS if method != "isotonic" or _can_be_isotonic(held)]
    codes = methods.codes_of(held.outputs, are_probabilities=held.are_probabilities)
    least_metric = metric(contract, held.truth, codes, held.weights) - _MOST_METRIC_LOST
    most_error = 1.0 if own is None else own.calibration_error + _MOST_ERROR_GAINED
    able = [each for each in tried if each.metric >= least_metric and each.calibration_error <= most_error]
    best = min(able or tried, key=lambda each: each.log_loss)
    return own if own is not None and not (able and _is_better(best, own)) else best


def _try(contract: Contract, held: Held, method: Method) -> Tried:
    """Fit a calibration on all folds but one, for the rows of that one."""
    probabilities = np.empty((len(held.truth), len(contract.target.classes)))
    for number in np.unique(held.fold):
        here = held.fold == number
        weights = None if held.weights is None else held.weights[~here]
        calibrators = methods.fit_calibrators(
            method, held.outputs[~here], held.truth[~here], are_probabilities=held.are_probabilities, weights=weights
        )
        probabilities[here] = methods.calibrate(method, calibrators, held.outputs[here], are_probabilities=held.are_probabilities)
    return _judged(contract, held, method, probabilities)


def _can_be_isotonic(held: Held) -> bool:
    """Whether each class has different values in the other folds of every fold."""
    return all((np.ptp(held.outputs[held.fold != number], axis=0) > 0).all() for number in np.unique(held.fold))


def _judged(contract: Contract, held: Held, method: Method | None, probabilities: np.ndarray) -> Tried:
    truth = held.truth
    losses = -np.log(np.clip(probabilities[np.arange(len(truth)), truth], _LEAST, 1.0))
    if held.weights is not None:
        losses = losses * held.weights / held.weights.mean()
    score = metric(contract, truth, probabilities.argmax(axis=1), held.weights)
    return Tried(method, probabilities, losses, score, calibration_error(reliability(truth, probabilities)))


def _is_better(one: Tried, other: Tried) -> bool:
    gains = other.losses - one.losses
    return bool(gains.mean() > _NOISE * gains.std(ddof=1) / np.sqrt(len(gains)))
