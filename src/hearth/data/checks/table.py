"""The rows that are checked, and the forms in which the checks read them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from hearth.contracts import Contract, IdentifierColumn
from hearth.contracts.column_types import DateColumn, IntegerColumn, NumberColumn
from hearth.data.cleaning import has_enough, target_codes

MOST_BINS = 50
_SEED = 20_261_129


@dataclass(frozen=True, eq=False)
class CheckedRows:
    """Rows of a raw file that keep the contract and have a target.

    Attributes:
        contract: whose rows they are.
        frame: all columns of the contract, as the validation types them.
        codes: the position of each row's class, shape (rows,).
        lines: where each row starts in the file, counted from 1, shape (rows,).
    """

    contract: Contract
    frame: pd.DataFrame
    codes: np.ndarray
    lines: np.ndarray

    @classmethod
    def of(cls, contract: Contract, accepted: pd.DataFrame, lines: np.ndarray) -> Self:
        """Take the rows that have a target.

        Args:
            contract: Whose rows they are.
            accepted: What the validation has accepted.
            lines: Where each of these rows starts in the file, shape (rows,).
        """
        known = accepted[contract.target.column].notna().to_numpy()
        frame = accepted[known].reset_index(drop=True)
        return cls(contract, frame, target_codes(contract, frame[contract.target.column]).to_numpy(), lines[known])

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: np.ndarray) -> "CheckedRows":
        """Return some of the rows, by their positions."""
        return CheckedRows(self.contract, self.frame.iloc[rows].reset_index(drop=True), self.codes[rows], self.lines[rows])

    def sample(self, most: int) -> "CheckedRows":
        """Return a sample of at most this many rows, in their order; the same rows give the same sample."""
        if len(self) <= most:
            return self
        return self.take(np.sort(np.random.default_rng(_SEED).choice(len(self), most, replace=False)))

    @cached_property
    def is_number(self) -> dict[str, bool]:
        """Whether a feature is a number, by its name."""
        return {name: isinstance(column, IntegerColumn | NumberColumn) for name, column in self.contract.feature_columns.items()}

    @cached_property
    def features(self) -> dict[str, np.ndarray]:
        """Each feature as float64, shape (rows,): numbers as they are, categories as their positions, NaN where missing."""
        return {name: self._values(name) for name in self.contract.feature_names}

    @cached_property
    def bins(self) -> dict[str, np.ndarray]:
        """Each feature as positions of at most MOST_BINS intervals of equally many rows, one more where missing, shape (rows,)."""
        return {name: binned(values) for name, values in self.features.items()}

    @cached_property
    def matrix(self) -> np.ndarray:
        """All features as float32, shape (rows, features)."""
        return np.column_stack(list(self.features.values())).astype(np.float32)

    @cached_property
    def numeric_target(self) -> np.ndarray | None:
        """The target as a number, shape (rows,); None where it is a class in the file too."""
        return self.frame[self.contract.target.column].to_numpy(dtype=np.float64) if self.contract.target.cuts else None

    @cached_property
    def enough(self) -> "CheckedRows":
        """The rows that the cleaning does not leave out for their missing values: those that a profile is of."""
        return self.take(np.flatnonzero(has_enough(self.contract, self.frame)))

    @cached_property
    def distinct(self) -> np.ndarray:
        """The positions of the rows without those whose features and target another row had before."""
        return np.unique(self.keys, return_index=True)[1]

    @cached_property
    def keys(self) -> np.ndarray:
        """A number for each row that is equal for rows with equal features and target, shape (rows,)."""
        return self.frame.groupby([*self.contract.feature_names, self.contract.target.column], dropna=False, sort=False).ngroup().to_numpy()

    @property
    def ordered_columns(self) -> dict[str, np.ndarray]:
        """The ranks of identifiers and dates, shape (rows,), by name: columns that say in which order records were made."""
        found = {}
        for name, column in self.contract.columns.items():
            if isinstance(column, IdentifierColumn | DateColumn) and (present := self.frame[name].notna()).any():
                texts = self.frame[name].astype(str).where(present, "")
                longest = int(texts.str.len().max())
                found[name] = rankdata(texts.str.zfill(longest).to_numpy(dtype=str), method="dense").astype(np.float64)
        return found

    def _values(self, name: str) -> np.ndarray:
        column = self.frame[name]
        if self.is_number[name]:
            return column.to_numpy(dtype=np.float64)
        positions = pd.Index(self.contract.categorical_features[name]).get_indexer(pd.Index(column)).astype(np.float64)
        positions[positions < 0] = np.nan
        return positions


def binned(values: np.ndarray) -> np.ndarray:
    """Return the interval of each value, shape (rows,): its own for each of few values, else quantiles; missing values have the last."""
    missing = np.isnan(values)
    present = np.unique(values[~missing])
    if len(present) > MOST_BINS:
        present = np.unique(np.quantile(values[~missing], np.arange(MOST_BINS) / MOST_BINS, method="inverted_cdf"))
    bins = np.searchsorted(present, values, side="right")
    bins[missing] = len(present) + 1
    return bins
