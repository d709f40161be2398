"""Windows: records that were served, with the answers that they got. Pure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from hearth.contracts import Contract


@dataclass(frozen=True, order=True, slots=True)
class Position:
    """The place of an answer among all answers: later ones are greater."""

    scored_at: datetime
    message_id: str
    row: int


@dataclass(frozen=True, eq=False)
class Window:
    """Answers of one version, in the order of their scoring.

    `features` has a row for each record and a column for each feature that is stored; numbers are float64, categories texts. `codes` has
    the shape (records,) and `probabilities` (records, classes). `first` and `last` are the places of the oldest and the newest.
    """

    features: pd.DataFrame
    codes: np.ndarray
    probabilities: np.ndarray
    first: Position
    last: Position

    def __len__(self) -> int:
        return len(self.codes)


def features_of(contract: Contract, records: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    """Return records as a frame of the features that are stored, which personal ones are not; what a record does not have is missing.

    A value of another type than the contract's, which an older contract allowed, is missing too.
    """
    texts = contract.categorical_features
    columns: dict[str, pd.Series] = {}
    for name, column in contract.feature_columns.items():
        if column.personal:
            continue
        values = [record.get(name) for record in records]
        if name in texts:
            columns[name] = pd.Series([_text(value) for value in values], dtype="str")
        else:
            columns[name] = pd.Series([_number(value) for value in values], dtype=np.float64)
    return pd.DataFrame(columns, index=range(len(records)))


def _text(value: object) -> str | None:
    """Return a category as frames hold it; a code may have been sent as 1 or 1.0."""
    if value is None:
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    try:
        number = float(value)
    except OverflowError:  # a whole number beyond all floats
        return math.nan
    return number if math.isfinite(number) else math.nan


def sees_missing(contract: Contract) -> bool:
    """Return whether windows show how many features a record lacked: they do not where one that is not stored may be missing."""
    return not any(column.personal and column.nullable for column in contract.feature_columns.values())


def complete_rows(contract: Contract, features: pd.DataFrame) -> np.ndarray:
    """Return which rows have no more missing features than the contract's ETL keeps: those that a profile describes."""
    missing = features.isna().sum(axis=1).to_numpy()
    return np.asarray(missing <= contract.cleaning.max_nulls)
