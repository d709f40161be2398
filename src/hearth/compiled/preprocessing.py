"""The fitted feature transformer as a few numpy operations on columns: the same numbers as scikit-learn, without its cost per call."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - makes IterativeImputer importable
from sklearn.impute import IterativeImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from hearth.contracts.columns import Columns

Scale = Callable[[np.ndarray, np.ndarray], None]
"""Writes the scaled numbers of the first array into the second."""


class CannotCompile(Exception):
    """A part of a pipeline has no compiled form."""


@dataclass(frozen=True)
class _Regression:
    """One step of the imputer's sequence: the missing values of a column from a linear model of the others, clipped to what was seen."""

    column: int
    others: np.ndarray
    weights: np.ndarray
    intercept: float
    low: float
    high: float


def _steps(numbers: Pipeline) -> tuple[IterativeImputer, object]:
    if not isinstance(numbers, Pipeline) or [name for name, _ in numbers.steps] != ["impute", "scale"]:
        raise CannotCompile(f"the numbers go through {numbers}, expected an imputer and a scaler")
    if not isinstance(numbers["impute"], IterativeImputer):
        raise CannotCompile(f"{numbers['impute']} has no compiled form")
    return numbers["impute"], numbers["scale"]


def _scaling(scaler: object) -> Scale:
    """Return the scaler's operations in scikit-learn's order, so that the results are the same to the last bit."""
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


def _leave(numbers: np.ndarray, out: np.ndarray) -> None:
    out[:] = numbers


class CompiledFeatures:
    """Callable: columns in, (n, m) float64 out, in the column order of the transformer."""

    def __init__(self, transformer: ColumnTransformer) -> None:
        parts = {name: part for name, part, _ in transformer.transformers_ if part != "drop"}
        numbers, categories = parts.pop("numbers", None), parts.pop("categories", None)
        if parts:
            raise CannotCompile(f"the transformer has unknown parts: {', '.join(parts)}")
        self._fill = np.empty(0)
        self._sequence: list[_Regression] = []
        self._scale: Scale = _leave
        if numbers is not None:
            imputer, scaler = _steps(numbers)
            self._read_imputer(imputer)
            self._scale = _scaling(scaler)
        self._widths = [] if categories is None else self._read_categories(categories)

    def __call__(self, columns: Columns) -> np.ndarray:
        """Impute, scale and encode."""
        numbers = columns.numbers
        missing: np.ndarray = np.isnan(numbers)
        if missing.any():
            numbers = self._impute(numbers, missing)
        width = numbers.shape[1]
        out = np.zeros((len(numbers), width + sum(self._widths)))
        self._scale(numbers, out[:, :width])
        rows = np.arange(len(numbers))
        start = width
        for position, extra in enumerate(self._widths):
            code = columns.codes[:, position]
            if extra == 1:
                out[:, start] = code  # 0 or 1 already
            else:
                some = code > 0
                out[rows[some], start + code[some] - 1] = 1.0
            start += extra
        return out

    def _impute(self, numbers: np.ndarray, missing: np.ndarray) -> np.ndarray:
        """Replay the fitted sequence on the rows that miss something; steps for columns that nobody misses change nothing."""
        rows = np.flatnonzero(missing.any(axis=1))
        holes = missing[rows]
        part = np.where(holes, self._fill, numbers[rows])
        wanted = np.asarray(holes.any(axis=0))
        for step in self._sequence:
            if wanted[step.column]:
                here = holes[:, step.column]
                guess = part[np.ix_(here, step.others)] @ step.weights + step.intercept
                part[here, step.column] = np.clip(guess, step.low, step.high)
        filled = numbers.copy()
        filled[rows] = part
        return filled

    def _read_imputer(self, imputer: IterativeImputer) -> None:
        if imputer.sample_posterior or imputer.add_indicator:
            raise CannotCompile(f"{imputer} has no compiled form")
        self._fill = np.asarray(imputer.initial_imputer_.statistics_, dtype=np.float64)
        if np.isnan(self._fill).any():
            raise CannotCompile("a column was missing in all rows when the imputer was fitted")
        for triplet in imputer.imputation_sequence_:
            column = int(triplet.feat_idx)
            model = triplet.estimator
            low, high = float(imputer._min_value[column]), float(imputer._max_value[column])  # noqa: SLF001 - fitted bounds have no public name
            self._sequence.append(
                _Regression(column, np.asarray(triplet.neighbor_feat_idx), np.asarray(model.coef_), float(model.intercept_), low, high)
            )

    @staticmethod
    def _read_categories(encoder: OneHotEncoder) -> list[int]:
        """Return how many columns each categorical feature becomes."""
        if encoder.drop != "first" or encoder.sparse_output:
            raise CannotCompile(f"{encoder} has no compiled form")
        return [len(categories) - 1 for categories in encoder.categories_]
