"""Features that lie on disk as numbers, and LightGBM fitted on them: what memory holds is a byte a value, its bin.

Reads go through the file and not through a mapping of it, whose pages would count as memory of the process.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Self

import lightgbm
import numpy as np
from sklearn.base import ClassifierMixin

_VALUE = np.dtype("<f8")  # as a frame has them: rounded to float32 a value may fall on the other side of a split
_BLOCK = 1 << 14  # rows that are read for one


class StoredMatrix(lightgbm.Sequence):
    """A matrix of float64 in a file, row by row, which LightGBM reads in batches."""

    batch_size = 1 << 16

    def __init__(self, path: Path, columns: int) -> None:
        """Open a file that `write` has made.

        Args:
            path: The file.
            columns: How many values a row has.
        """
        self._path, self._columns = path, columns
        self._rows = path.stat().st_size // (columns * _VALUE.itemsize)
        self._block, self._start = np.empty((0, columns)), 0

    @classmethod
    def write(cls, path: Path, parts: Iterable[np.ndarray]) -> Self:
        """Write the rows of all parts, (rows, columns) each and at least one of them, into a file."""
        columns = 0
        with path.open("wb") as file:
            for part in parts:
                columns = part.shape[1]
                np.ascontiguousarray(part, _VALUE).tofile(file)
        return cls(path, columns)

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, index: int | slice | list[int]) -> np.ndarray:
        """Return a row, (columns,), or several, (rows, columns). Single rows are cheap where they rise."""
        if isinstance(index, slice):
            start, stop, step = index.indices(self._rows)
            return self._read(start, max(stop, start))[::step]
        if isinstance(index, list):
            return np.stack([self[row] for row in index])
        if not self._start <= index < self._start + len(self._block):
            self._start = int(index)
            self._block = self._read(self._start, min(self._start + _BLOCK, self._rows))
        row: np.ndarray = self._block[index - self._start]
        return row

    def _read(self, start: int, stop: int) -> np.ndarray:
        count = (stop - start) * self._columns
        values = np.fromfile(self._path, _VALUE, count=count, offset=start * self._columns * _VALUE.itemsize)
        return values.reshape(-1, self._columns)


def fit_lightgbm(model: ClassifierMixin, matrix: StoredMatrix, codes: np.ndarray, weights: np.ndarray | None) -> ClassifierMixin:
    """Fit a LightGBM classifier as its own `fit` does on the same rows in memory: the model is the same.

    Its `fit` takes no `Sequence`, so it sees a row of each class, which tells it all but the trees. `lightgbm.train` makes these.

    Args:
        model: The classifier, which is fitted and returned.
        matrix: The features.
        codes: The class of each row, shape (rows,).
        weights: How much each row counts, shape (rows,); None if all count the same.
    """
    rounds = model.get_params()["n_estimators"]
    firsts = np.unique(codes, return_index=True)[1]
    model.set_params(n_estimators=1).fit(matrix[firsts.tolist()], codes[firsts])
    model.set_params(n_estimators=rounds)
    params = model._process_params(stage="fit")  # noqa: SLF001 - as LGBMModel.fit does it
    params["metric"] = [metric for metric in [params["metric"]] if metric is not None]
    data = lightgbm.Dataset(matrix, label=codes, weight=weights, params=params)
    booster = lightgbm.train(params, data, num_boost_round=rounds)
    booster.free_dataset()
    model._Booster = booster  # noqa: SLF001 - there is no other way to hand it over
    return model
