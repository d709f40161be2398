"""The train set of large data on disk, for trainings whose memory holds a sample of it only."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from hearth.contracts import Contract
from hearth.data.row_sample import row_order, sample_places

_BATCH = 1 << 16  # rows in memory at a time


@dataclass(frozen=True, eq=False)
class StoredTrain:
    """Train rows in a Parquet file of raw features.

    Attributes:
        path: the file, whose columns are the features in contract order.
        y: the class of each row, shape (rows,).
        order: what `hearth.data.row_sample` says of each row of the file, shape (rows of the file,).
        weights: how much each row counts, shape (rows,); None if all count the same.
        places: which rows of the file these are, rising, shape (rows,); None if they are all.
    """

    path: Path
    y: np.ndarray
    order: np.ndarray
    weights: np.ndarray | None = None
    places: np.ndarray | None = None

    @classmethod
    def of(cls, contract: Contract, path: Path, y: np.ndarray, weights: np.ndarray | None = None) -> Self:
        """Read the file once, for the order of its rows.

        Args:
            contract: Whose rows they are.
            path: The file.
            y: The class of each row, shape (rows,).
            weights: How much each row counts, shape (rows,), if not all count the same.
        """
        with pq.ParquetFile(path, read_dictionary=list(contract.categorical_features)) as file:
            orders = [
                row_order([batch.column(name) for name in contract.feature_names], batch.num_rows)
                for batch in file.iter_batches(_BATCH, columns=list(contract.feature_names), use_threads=False)
            ]
        return cls(path, y, np.concatenate(orders), weights)

    def __len__(self) -> int:
        return len(self.y)

    def sampled(self, size: int, *, copies_together: bool = False) -> Self:
        """Return a sample of these rows; all of them if there are no more. With `copies_together` it has all copies of a row or none."""
        if len(self) <= size:
            return self
        order = self.order if self.places is None else self.order[self.places]
        chosen = sample_places(order, self.y, size, copies_together=copies_together)
        weights = None if self.weights is None else self.weights[chosen]
        places = chosen if self.places is None else self.places[chosen]
        return replace(self, y=self.y[chosen], weights=weights, places=places)

    def frames(self) -> Iterator[pd.DataFrame]:
        """Yield the features of all rows in the order of the file, a part at a time; text is `str` and missing values are NaN."""
        start = 0
        with pq.ParquetFile(self.path) as file:
            for batch in file.iter_batches(_BATCH, use_threads=False):
                frame: pd.DataFrame = batch.to_pandas()
                if self.places is not None:
                    low, high = np.searchsorted(self.places, [start, start + len(frame)])
                    frame = frame.iloc[self.places[low:high] - start]
                start += batch.num_rows
                if len(frame):
                    yield frame

    def extremes(self, contract: Contract) -> np.ndarray:
        """Return the lowest and the highest value of each number, in contract order, shape (2, numbers); NaN for one without any."""
        found = np.full((2, len(contract.numeric_features)), np.nan)
        for frame in self.frames():
            values = frame[list(contract.numeric_features)].to_numpy(dtype=np.float64)
            found[0] = np.fmin(found[0], np.fmin.reduce(values, axis=0))
            found[1] = np.fmax(found[1], np.fmax.reduce(values, axis=0))
        return found

    def frame(self) -> pd.DataFrame:
        """Return the features of all rows: for a sample."""
        return pd.concat(list(self.frames()), ignore_index=True)
