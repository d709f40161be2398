"""Served records with labels as the rows of a data set: what a version is trained on again. Pure.

The newest rows are held out, by the time at which they were scored: they judge, as those that come next would.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

import numpy as np
import pandas as pd

from hearth.contracts import CategoryColumn, Contract, NumberColumn
from hearth.contracts.column_types import IntegerColumn
from hearth.contracts.records import split_records
from hearth.data.cleaning import Split, has_enough, target_codes
from hearth.monitoring.window import features_of

REJECTED, TOO_MANY_MISSING, NO_CLASS, DUPLICATE, HELD_OUT_COPY = "rejected", "too_many_missing", "no_class", "duplicate", "copy_of_held_out"


class LabelledRecord(Protocol):
    """A served record and its newest label: `truth` is the position of the class in the contract."""

    @property
    def message_id(self) -> str: ...
    @property
    def row(self) -> int: ...
    @property
    def record(self) -> Mapping[str, object]: ...
    @property
    def truth(self) -> int: ...
    @property
    def scored_at(self) -> datetime: ...


@dataclass(frozen=True)
class LabelledRows:
    """Rows under the contract, in the order in which they were scored.

    `frame` has the features as the ETL reads them, and the target as a raw file would hold it; `keys` and `scored_at` belong to its rows.
    `dropped` counts the records that were left out, by reason.
    """

    frame: pd.DataFrame
    keys: tuple[tuple[str, int], ...]
    scored_at: tuple[datetime, ...]
    dropped: Mapping[str, int]

    def __len__(self) -> int:
        return len(self.frame)


def labelled_rows(contract: Contract, records: Sequence[LabelledRecord]) -> LabelledRows:
    """Return the records that the ETL would keep: they keep the contract, miss few enough features, and are no copies of later ones.

    Served records have no identifiers, so where the contract compares these, equal records are different ones, as in its files.

    Raises:
        ValueError: a feature is personal, so its values are not stored.
    """
    if hidden := [name for name, column in contract.feature_columns.items() if column.personal]:
        message = f"values of {', '.join(hidden)} are not stored"
        raise ValueError(message)
    ordered = sorted(records, key=lambda each: (each.scored_at, each.message_id, each.row))
    valid = sorted(split_records(contract, [each.record for each in ordered], max_problems=0).good)
    known = [place for place in valid if 0 <= ordered[place].truth < len(contract.target.classes)]
    features = features_of(contract, [ordered[place].record for place in known])
    target = pd.Series([raw_target(contract, ordered[place].truth) for place in known], dtype=_target_type(contract), index=features.index)
    frame = features.assign(**{contract.target.column: target})
    enough = has_enough(contract, frame)
    keeps = enough.copy()
    has_identifiers = contract.cleaning.compare_identifiers and any(column.kind == "identifier" for column in contract.columns.values())
    if contract.cleaning.drop_duplicates and not has_identifiers:
        keeps[keeps] = ~frame[keeps].duplicated(keep="last").to_numpy()
    chosen = [ordered[known[place]] for place in np.flatnonzero(keeps)]
    return LabelledRows(
        frame[keeps].reset_index(drop=True),
        tuple((each.message_id, each.row) for each in chosen),
        tuple(each.scored_at for each in chosen),
        {
            REJECTED: len(ordered) - len(valid),
            NO_CLASS: len(valid) - len(known),
            TOO_MANY_MISSING: int((~enough).sum()),
            DUPLICATE: int(enough.sum() - keeps.sum()),
        },
    )


def raw_target(contract: Contract, code: int) -> str | float | int:
    """Return what a file holds for a class; where the column is cut into classes, a value in the middle of the class."""
    column, cuts = contract.columns[contract.target.column], contract.target.cuts
    if isinstance(column, IntegerColumn | NumberColumn) and cuts:
        edges = (column.minimum, *cuts, column.maximum)
        return edges[code] if code and edges[code] == edges[code + 1] else (edges[code] + edges[code + 1]) / 2
    value = contract.class_codes[code]
    return str(value) if isinstance(column, CategoryColumn) else value


def split_by_time(contract: Contract, rows: LabelledRows, held_out: int) -> tuple[Split, int]:
    """Return the newest rows as test set, those before them as train set, and how many of these were left out as copies of rows held out.

    Raises:
        ValueError: there are no more rows than are held out.
    """
    if len(rows) <= held_out:
        message = f"{len(rows)} labelled rows are too few to hold {held_out} out"
        raise ValueError(message)
    X = rows.frame[list(contract.feature_names)]
    y = target_codes(contract, rows.frame[contract.target.column])
    X_test, y_test = X.iloc[-held_out:].reset_index(drop=True), y.iloc[-held_out:].reset_index(drop=True)
    X_train, y_train = X.iloc[:-held_out], y.iloc[:-held_out]
    unseen = ~_is_in(X_train, X_test)
    split = Split(X_train[unseen].reset_index(drop=True), X_test, y_train[unseen].reset_index(drop=True), y_test)
    return split, int((~unseen).sum())


def mixed(window: Split, reference: Split) -> Split:
    """Return the train set of the reference with that of a window behind it, both of equal total weight, and the test set of the window."""
    unseen = ~_is_in(reference.X_train, window.X_test)
    X_old, y_old = reference.X_train[unseen], reference.y_train[unseen]
    sizes = np.array([len(X_old), len(window.X_train)])
    weights = np.repeat(sizes.sum() / (2 * sizes), sizes)
    return replace(
        window,
        X_train=pd.concat([X_old.astype(dict(window.X_train.dtypes)), window.X_train], ignore_index=True),
        y_train=pd.concat([y_old, window.y_train], ignore_index=True),
        weights_train=pd.Series(weights, name="weight"),
    )


def _is_in(rows: pd.DataFrame, others: pd.DataFrame) -> np.ndarray:
    """Return which rows have the values of one of the others in all columns, shape (rows,); missing values are equal."""
    both = pd.concat([others, rows.astype(dict(others.dtypes))], ignore_index=True)
    groups = both.groupby(list(both.columns), sort=False, dropna=False).ngroup().to_numpy()
    return np.asarray(np.isin(groups[len(others) :], groups[: len(others)]))


def _target_type(contract: Contract) -> str:
    column = contract.columns[contract.target.column]
    if isinstance(column, CategoryColumn):
        return "str"
    return "float64" if contract.target.cuts else "int64"
