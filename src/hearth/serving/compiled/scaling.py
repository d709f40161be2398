"""The fitted scaler in scikit-learn's own operations and their order, so that the results are the same to the last bit."""

from collections.abc import Callable
from functools import partial

import numpy as np
from sklearn.preprocessing import MinMaxScaler, StandardScaler

Scale = Callable[[np.ndarray, np.ndarray], None]
"""Writes the scaled numbers of the first array into the second."""


class CannotCompile(Exception):
    """A part of a pipeline has no compiled form."""


def scaling(scaler: object) -> Scale:
    """Return the operations of a scaler.

    Raises:
        CannotCompile: it is another one than those of Hearth.
    """
    if isinstance(scaler, StandardScaler):
        return partial(_standardise, scaler.mean_, scaler.scale_)
    if isinstance(scaler, MinMaxScaler) and not scaler.clip:
        return partial(_stretch, scaler.scale_, scaler.min_)
    raise CannotCompile(f"{scaler} has no compiled form")


def _standardise(mean: np.ndarray, scale: np.ndarray, numbers: np.ndarray, out: np.ndarray) -> None:
    np.subtract(numbers, mean, out=out)
    out /= scale


def _stretch(scale: np.ndarray, minimum: np.ndarray, numbers: np.ndarray, out: np.ndarray) -> None:
    np.multiply(numbers, scale, out=out)
    out += minimum


def leave(numbers: np.ndarray, out: np.ndarray) -> None:
    """Scale nothing."""
    out[:] = numbers
