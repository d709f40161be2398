"""The fitted feature transformer as a few numpy operations on columns: the same results as scikit-learn, without its cost per call."""

from collections.abc import Callable, Sequence

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - makes IterativeImputer importable
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from hearth.contracts.record_parser import Columns
from hearth.serving.compiled.imputer_table import NO_IMPUTER, Regression, imputer_table
from hearth.serving.compiled.scaling import CannotCompile, Scale, leave, scaling

Numbers = Callable[[np.ndarray], np.ndarray]
"""Fills missing numbers; returns its argument if none is missing."""


class _Sequence:
    """The iterative imputer: an initial value for each column, then its fitted regressions, in their order.

    The products are added by BLAS, as scikit-learn has them, so that the results are the same to the last bit. `table` is for models that
    compare numbers with thresholds only: they are imputed in machine code.
    """

    def __init__(self, imputer: IterativeImputer) -> None:
        if imputer.sample_posterior or imputer.add_indicator:
            raise CannotCompile(f"{imputer} has no compiled form")
        self._fill = _statistics(imputer.initial_imputer_)
        self._regressions: list[Regression] = []
        for triplet in imputer.imputation_sequence_:
            column = int(triplet.feat_idx)
            model = triplet.estimator
            low, high = float(imputer._min_value[column]), float(imputer._max_value[column])  # noqa: SLF001 - fitted bounds have no public name
            others = np.asarray(triplet.neighbor_feat_idx)
            self._regressions.append(Regression(column, others, np.asarray(model.coef_), float(model.intercept_), low, high))
        self.table = imputer_table(self._fill, self._regressions)

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        """Replay the sequence on rows with missing numbers; regressions of complete columns are left out."""
        missing = np.isnan(numbers)
        if not missing.any():
            return numbers
        rows = np.flatnonzero(missing.any(axis=1))
        holes = missing[rows]
        part = np.where(holes, self._fill, numbers[rows])
        incomplete = np.asarray(holes.any(axis=0))
        for step in self._regressions:
            if incomplete[step.column]:
                here = holes[:, step.column]
                guess = part[np.ix_(here, step.others)] @ step.weights + step.intercept
                part[here, step.column] = np.clip(guess, step.low, step.high)
        filled = numbers.copy()
        filled[rows] = part
        return filled


class _Fixed:
    """One value for each column."""

    def __init__(self, imputer: SimpleImputer) -> None:
        self._fill = _statistics(imputer)
        self.table = imputer_table(self._fill, [])

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        missing = np.isnan(numbers)
        return np.where(missing, self._fill, numbers) if missing.any() else numbers


class _Neighbours:
    """The mean of the nearest train rows, by scikit-learn itself, and only for rows with missing numbers.

    That costs milliseconds a row, most of it the distances to all train rows, so a compiled form would save little, and it might choose
    others among equally near rows.
    """

    def __init__(self, imputer: KNNImputer) -> None:
        if imputer.add_indicator or len(imputer.get_feature_names_out()) != imputer.n_features_in_:
            raise CannotCompile(f"{imputer} has no compiled form")
        self._imputer = imputer

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        rows = np.flatnonzero(np.isnan(numbers).any(axis=1))
        if not len(rows):
            return numbers
        filled = numbers.copy()
        filled[rows] = self._imputer.transform(numbers[rows])
        return filled


class _Codes:
    """The one-hot encoder: the number of columns of each feature, and the code of a missing value."""

    def __init__(self, part: object) -> None:
        fill: list[object] | None = None
        if isinstance(part, Pipeline) and [name for name, _ in part.steps] == ["impute", "encode"]:
            if not isinstance(part["impute"], SimpleImputer) or part["impute"].add_indicator:
                raise CannotCompile(f"{part['impute']} has no compiled form")
            fill, part = part["impute"].statistics_.tolist(), part["encode"]
        if not isinstance(part, OneHotEncoder) or part.drop != "first" or part.sparse_output:
            raise CannotCompile(f"{part} has no compiled form")
        levels = [categories.tolist() for categories in part.categories_]
        self.widths = [len(categories) - 1 for categories in levels]
        self._counts = np.array([len(categories) for categories in levels])
        self._fill = None if fill is None else np.array([categories.index(value) for categories, value in zip(levels, fill, strict=True)])

    def __call__(self, codes: np.ndarray) -> np.ndarray:
        """Return the codes with those of missing values replaced, if a missing value is no category of its own."""
        return codes if self._fill is None else np.where(codes == self._counts, self._fill, codes)


def _statistics(imputer: SimpleImputer) -> np.ndarray:
    fill = np.asarray(imputer.statistics_, dtype=np.float64)
    if imputer.add_indicator or np.isnan(fill).any():
        raise CannotCompile("a column was missing in all rows when the imputer was fitted")
    return fill


def _read_numbers(part: object) -> tuple[Numbers, Scale, bool]:
    """Return the imputer, the scaler, and whether the scaler comes first."""
    names = [name for name, _ in part.steps] if isinstance(part, Pipeline) else []
    if sorted(names) != ["impute", "scale"]:
        raise CannotCompile(f"the numbers go through {part}, expected an imputer and a scaler")
    kinds: dict[type, Callable[..., Numbers]] = {IterativeImputer: _Sequence, KNNImputer: _Neighbours, SimpleImputer: _Fixed}
    imputer = part["impute"]  # type: ignore[index]  # a pipeline, as its names say
    if type(imputer) not in kinds:
        raise CannotCompile(f"{imputer} has no compiled form")
    return kinds[type(imputer)](imputer), scaling(part["scale"]), names[0] == "scale"  # type: ignore[index]


class CompiledFeatures:
    """Callable: columns in, (n, m) float64 out, in the column order of the transformer: the numbers, then the encoded categories.

    Attributes:
        widths: number of columns of each categorical feature; code k sets the k-th of them, and code 0 none.
        scale: the scaler of the numbers.
        imputer: the table of the imputer that comes before the scaler; `NO_IMPUTER` if it has none, or comes behind.
    """

    def __init__(self, transformer: ColumnTransformer) -> None:
        parts = {name: part for name, part, _ in transformer.transformers_ if part != "drop"}
        numbers, categories = parts.pop("numbers", None), parts.pop("categories", None)
        if parts:
            raise CannotCompile(f"the transformer has unknown parts: {', '.join(parts)}")
        self._fill: Numbers = lambda numbers: numbers
        self.scale: Scale = leave
        self._scaled_first = False
        if numbers is not None:
            self._fill, self.scale, self._scaled_first = _read_numbers(numbers)
        self.imputer = self._fill.table if isinstance(self._fill, _Sequence | _Fixed) and not self._scaled_first else NO_IMPUTER
        self._codes = None if categories is None else _Codes(categories)
        self.widths: Sequence[int] = () if self._codes is None else self._codes.widths

    def numbers(self, columns: Columns) -> np.ndarray:
        """Return the numbers of the columns, (n, p) float64, imputed and scaled."""
        out = np.empty_like(columns.numbers)
        self._write_numbers(columns, out)
        return out

    def codes(self, columns: Columns) -> np.ndarray:
        """Return the codes of the columns, (n, c) intp, imputed; a missing value that is a category of its own keeps its code."""
        return columns.codes if self._codes is None else self._codes(columns.codes)

    def __call__(self, columns: Columns) -> np.ndarray:
        """Impute, scale and encode."""
        rows, width = columns.numbers.shape
        out = np.zeros((rows, width + sum(self.widths)))
        self._write_numbers(columns, out[:, :width])
        codes = self.codes(columns)
        start = width
        for position, extra in enumerate(self.widths):
            code = codes[:, position]
            if extra == 1:
                out[:, start] = code  # 0 or 1 already
            else:
                some = np.flatnonzero(code > 0)
                out[some, start + code[some] - 1] = 1.0
            start += extra
        return out

    def _write_numbers(self, columns: Columns, out: np.ndarray) -> None:
        if self._scaled_first:
            self.scale(columns.numbers, out)
            out[:] = self._fill(out)
        else:
            self.scale(self._fill(columns.numbers), out)
