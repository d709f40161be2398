"""Calibration: from what a model gives to probabilities that come true as often as they say. scikit-learn's methods, in its own classes.

A calibrated model is scikit-learn's `CalibratedClassifierCV`, as its `fit` with `ensemble=False` leaves it: one model, fitted on all rows,
and calibrators that were fitted on values of models that had not seen the rows. It is put together here because the rows' values are there
already, from folds in which the features are fitted too.

Values have shape (rows, classes), or (rows, 1) for two classes: decision values if the model has them, else probabilities, of which the
one column is that of the second class. This is what scikit-learn's calibrators take.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from scipy.special import expit
from sklearn.base import ClassifierMixin, clone
from sklearn.calibration import CalibratedClassifierCV, _CalibratedClassifier, _SigmoidCalibration, _TemperatureScaling
from sklearn.isotonic import IsotonicRegression
from sklearn.utils.extmath import softmax

Method = Literal["isotonic", "sigmoid", "temperature"]
METHODS: tuple[Method, ...] = get_args(Method)
TRUSTED_TYPES = (
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.calibration._TemperatureScaling",
)
_TINY = 1e-12  # scikit-learn adds it to a probability before its logarithm
_BINARY = 2
_ROUNDING = 1e-5  # a probability above 1 by no more than this is 1


def gives_probabilities(model: object) -> bool:
    """Whether the values of a model are probabilities; else they are decision values."""
    return not hasattr(model, "decision_function")


def values_of(model: Any, X: np.ndarray) -> np.ndarray:  # noqa: ANN401 - scikit-learn's estimators have no common type
    """Return the values of a fitted model for features of shape (rows, features)."""
    if gives_probabilities(model):
        return one_column_for_two(np.asarray(model.predict_proba(X), dtype=np.float64))
    values = np.asarray(model.decision_function(X), dtype=np.float64)
    return values.reshape(len(values), -1)


def codes_of(values: np.ndarray, *, are_probabilities: bool) -> np.ndarray:
    """Return the class that each row's values speak for."""
    if values.shape[1] > 1:
        return np.asarray(values.argmax(axis=1))
    return np.asarray(values[:, 0] > (0.5 if are_probabilities else 0.0), dtype=np.intp)


def one_column_for_two(probabilities: np.ndarray) -> np.ndarray:
    """Return probabilities of shape (rows, classes) as values."""
    return probabilities[:, 1:] if probabilities.shape[1] == _BINARY else probabilities


def as_probabilities(values: np.ndarray) -> np.ndarray:
    """Return values that are probabilities in shape (rows, classes)."""
    return np.concatenate([1 - values, values], axis=1) if values.shape[1] == 1 else values


def fit_calibrators(
    method: Method, values: np.ndarray, truth: np.ndarray, *, are_probabilities: bool, weights: np.ndarray | None = None
) -> list[Any]:
    """Fit calibrators on values of rows that the model was not fitted on; `truth` has the codes of the rows' classes.

    `weights`, shape (rows,), says how much each row counts.

    Isotonic regression says 0 or 1 wherever the rows of an end are of one class, and one mistake there costs any log loss. Here it says at
    least 1 / (rows + 2), the estimate of Laplace's rule of succession, and at most 1 less this.

    Raises:
        ValueError: isotonic regression cannot be fitted, because all values of a class are equal.
    """
    if method == "temperature":
        given = as_probabilities(values) if are_probabilities else values
        return [_TemperatureScaling().fit(given, truth, weights)]
    calibrators: list[Any] = []
    for code, column in _columns(values):
        if method == "sigmoid":
            calibrators.append(_SigmoidCalibration().fit(column, truth == code, weights))
            continue
        if column.min() == column.max():
            raise ValueError(f"all values of class {code} are equal")
        floor = 1 / (len(column) + 2)
        calibrators.append(IsotonicRegression(y_min=floor, y_max=1 - floor, out_of_bounds="clip").fit(column, truth == code, weights))
    return calibrators


def calibrate(method: Method, calibrators: Sequence[Any], values: np.ndarray, *, are_probabilities: bool) -> np.ndarray:
    """Return probabilities of shape (rows, classes): those of scikit-learn to the last bit, without its checks of every call."""
    if method == "temperature":
        given = as_probabilities(values) if are_probabilities else values
        logits = np.log(given + _TINY) if are_probabilities else np.concatenate([-given, given], axis=1) if given.shape[1] == 1 else given
        probabilities = np.asarray(softmax(calibrators[0].beta_ * logits, copy=False))
    else:
        one = _interpolate if method == "isotonic" else _squash
        columns = np.stack([one(calibrator, values[:, place]) for place, calibrator in enumerate(calibrators)], axis=1)
        if columns.shape[1] == 1:
            probabilities = np.concatenate([1.0 - columns, columns], axis=1)
        else:
            total = np.sum(columns, axis=1)[:, np.newaxis]
            probabilities = np.divide(columns, total, out=np.full_like(columns, 1 / columns.shape[1]), where=total != 0)
    probabilities[(probabilities > 1.0) & (probabilities <= 1.0 + _ROUNDING)] = 1.0
    return probabilities


def calibrated(model: ClassifierMixin, method: Method, calibrators: Sequence[Any]) -> CalibratedClassifierCV:
    """Return a fitted model with its calibrators, as scikit-learn's own class."""
    classes = np.asarray(model.classes_)
    whole = CalibratedClassifierCV(clone(model), method=method, ensemble=False)
    whole.classes_ = classes
    whole.n_features_in_ = model.n_features_in_
    whole.calibrated_classifiers_ = [_CalibratedClassifier(model, list(calibrators), classes=classes, method=method)]
    return whole


def _columns(values: np.ndarray) -> list[tuple[int, np.ndarray]]:
    """Return the values by class; of two classes only those of the second."""
    return [(1, values[:, 0])] if values.shape[1] == 1 else [(code, values[:, code]) for code in range(values.shape[1])]


def _interpolate(calibrator: IsotonicRegression, values: np.ndarray) -> np.ndarray:
    clipped = np.clip(values, calibrator.X_min_, calibrator.X_max_)
    return np.asarray(np.interp(clipped, calibrator.X_thresholds_, calibrator.y_thresholds_))


def _squash(calibrator: Any, values: np.ndarray) -> np.ndarray:  # noqa: ANN401 - a private class of scikit-learn
    return np.asarray(expit(-(calibrator.a_ * values + calibrator.b_)))
