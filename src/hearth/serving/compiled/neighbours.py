"""K nearest neighbours for many records at once: scikit-learn's probabilities, from a matrix product instead of a walk for each record.

Distances to all train rows come from a product of float32 matrices, for so few records at a time that they stay in the processor's cache.
They find the rows that can be among the nearest; of these few the distances are computed again, in scikit-learn's operations. Where rows
of several classes are equally near to the last place, scikit-learn's choice depends on how it searches: it answers those records itself.
"""

import numpy as np
from sklearn.neighbors import KNeighborsClassifier

from hearth.serving.compiled.neighbour_kernel import FAR, LAYERS, vote
from hearth.serving.compiled.scaling import CannotCompile

MOST_VALUES = 2_000_000  # of train rows times features: with more, scikit-learn's search in a tree is faster
_WEIGHTS = ("uniform", "distance")
_RECORDS = 32  # at a time; with 15,000 train rows 1.9 MB of distances
_FLOAT32_ERROR = 2.0**-23
_TIE = 1e-9  # squared distances that differ by less, relative to 1 and to themselves, count as equal


class CompiledNeighbours:
    """The compiled form of a fitted `KNeighborsClassifier`; raises CannotCompile if it has none."""

    def __init__(self, model: KNeighborsClassifier) -> None:
        rows = np.asarray(model._fit_X)  # noqa: SLF001 - the train rows have no public name
        if model.effective_metric_ != "euclidean" or model.weights not in _WEIGHTS or model.outputs_2d_:
            raise CannotCompile(f"{model} has no compiled form")
        if rows.dtype != np.float64 or rows.size > MOST_VALUES:
            raise CannotCompile(f"{rows.shape[0]:,} train rows of {rows.shape[1]} features are searched by scikit-learn")
        self._model = model
        self._rows = np.ascontiguousarray(rows)
        self._classes = np.asarray(model._y, dtype=np.intp)  # noqa: SLF001 - nor have their classes
        self._neighbours, self._by_distance = int(model.n_neighbors), model.weights == "distance"
        # Without a tree scikit-learn gives equal rows a distance near 0, which weights by distance turn into almost all of the vote
        self._zero_is_exact = model._fit_method != "brute"  # noqa: SLF001 - as above
        self._centre = rows.mean(axis=0)
        centred = rows - self._centre
        squares = np.einsum("ij,ij->i", centred, centred)
        self._largest = float(np.sqrt(squares.max()))
        filled = -len(rows) % LAYERS
        self._table = np.zeros((rows.shape[1] + 1, len(rows) + filled), np.float32)
        self._table[:-1, : len(rows)] = centred.T
        self._table[-1] = np.concatenate([squares, np.full(filled, FAR)])

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Return the probabilities (n, classes) for scaled features (n, p) without missing values."""
        X = np.ascontiguousarray(X, dtype=np.float64)
        out = np.zeros((len(X), len(self._model.classes_)))
        unsure = np.zeros(len(X), np.bool_)
        centred = X - self._centre
        reach = (np.sqrt(np.einsum("ij,ij->i", centred, centred)) + self._largest) ** 2
        # A sum of p + 1 products of rounded numbers, on both sides, and what counts as equal
        margins = 2 * (len(self._table) + 4) * _FLOAT32_ERROR * reach + _TIE * (1 + reach)
        with np.errstate(over="ignore", invalid="ignore"):  # of records so far away that scikit-learn answers them
            queries = np.column_stack([-2.0 * centred, np.ones(len(X))]).astype(np.float32)
            distances = np.empty((min(_RECORDS, len(X)), self._table.shape[1]), np.float32)
            for start in range(0, len(X), _RECORDS):
                part = slice(start, start + _RECORDS)
                found = np.matmul(queries[part], self._table, out=distances[: len(queries[part])])
                vote(
                    found,
                    margins[part],
                    X[part],
                    self._rows,
                    self._classes,
                    self._neighbours,
                    self._by_distance,
                    self._zero_is_exact,
                    _TIE,
                    out[part],
                    unsure[part],
                )
        if unsure.any():
            out[unsure] = self._model.predict_proba(X[unsure])
        return out
