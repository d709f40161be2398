"""The same as `cleaning`, for validated rows that memory does not hold: a pure function of a part of them, and a merge.

Of each row memory holds a few numbers: whether it stays, its group of equal rows, its class, its set. The rows themselves are read from a
Parquet file twice, and the sets are written as Parquet files whose columns are read one at a time.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hearth.contracts import Contract
from hearth.contracts.column_types import CategoryColumn
from hearth.data.cleaning import (
    DUPLICATE,
    NO_TARGET,
    TOO_MANY_MISSING,
    Cleaned,
    Split,
    compared_columns,
    draw_test_groups,
    kept_columns,
    require_balance,
    require_enough,
    target_codes,
)
from hearth.data.row_buckets import RowBuckets, RowGroups
from hearth.data.row_hash import row_positions
from hearth.data.row_keys import row_keys
from hearth.executors import Executor


@dataclass(frozen=True)
class CleanPart:
    """Rows of a part of the validated rows.

    Attributes:
        rows: their number.
        with_target: how many have a target.
        missing: how many values are missing of each column that is kept.
        places: those with a target and enough features, by position; shape (m,).
        features, compared: keys of their features, and of all that copies are equal in; shape (2, m).
        codes: their classes.
        in_test: by `hash`, which of them are in the test set.
    """

    rows: int
    with_target: int
    missing: Mapping[str, int]
    places: np.ndarray
    features: np.ndarray
    compared: np.ndarray
    codes: np.ndarray
    in_test: np.ndarray


@dataclass(frozen=True)
class PreparedSplit:
    """A data set on its way to the bucket.

    Attributes:
        cleaned: what was left out; its frame is empty.
        split: the sets, whose features are read from `files` a column at a time.
        train_classes: the class of each group of equal train rows.
        files: the Parquet files by name.
    """

    cleaned: Cleaned
    split: Split
    train_classes: np.ndarray
    files: Mapping[str, Path]


class StoredColumns:
    """The columns of a Parquet file, each read when it is asked for: as much of a frame as a profile and a digest need."""

    def __init__(self, path: Path, names: tuple[str, ...], rows: int) -> None:
        self._path, self.columns, self._rows = path, names, rows

    def __len__(self) -> int:
        return self._rows

    def __getitem__(self, name: str) -> pd.Series:
        column = pq.read_table(self._path, columns=[name], use_threads=False, memory_map=True).column(0)
        if pa.types.is_string(column.type):
            return pd.Series(column.cast(pa.large_string()), dtype="str", name=name)
        return pd.Series(column.to_numpy(), name=name)

    def items(self) -> Iterator[tuple[str, pd.Series]]:
        return ((name, self[name]) for name in self.columns)


def clean_part(contract: Contract, table: pa.Table) -> CleanPart:
    """Return what the cleaning and the split need to know of validated rows."""
    columns = {name: column.combine_chunks() for name, column in zip(table.column_names, table.columns, strict=True)}
    target = columns[contract.target.column]
    has_target = pc.is_valid(target).to_numpy(zero_copy_only=False)
    missing = np.zeros(table.num_rows, np.int64)
    for name in contract.feature_names:
        if columns[name].null_count:
            missing += columns[name].is_null().to_numpy(zero_copy_only=False)
    stays = has_target & (missing <= contract.cleaning.max_nulls)
    mask = pa.array(stays)
    kept = columns if stays.all() else {name: column.filter(mask) for name, column in columns.items()}
    rows = int(stays.sum())
    features = row_keys([kept[name] for name in contract.feature_names], rows)
    others = [name for name in compared_columns(contract) if name not in contract.feature_names]
    in_test = np.empty(0, bool)
    if contract.split.by == "hash":
        X = pd.DataFrame({name: _series(kept[name]) for name in contract.feature_names})
        in_test = row_positions(contract, X, contract.split.seed) < contract.split.test_share
    return CleanPart(
        rows=table.num_rows,
        with_target=int(has_target.sum()),
        missing={name: columns[name].null_count for name in kept_columns(contract)},
        places=np.flatnonzero(stays),
        features=features,
        compared=row_keys([kept[name] for name in others], rows, features),
        codes=target_codes(contract, _series(kept[contract.target.column])).to_numpy(),
        in_test=in_test,
    )


def clean_and_split(contract: Contract, validated: Path, folder: Path, executor: Executor) -> PreparedSplit:
    """Do what `clean` and `split` do with a Parquet file, and write the sets into a folder.

    Raises:
        InvalidRawData: as `split`.
    """
    metadata = pq.read_metadata(validated)
    buckets = RowBuckets(metadata.num_rows, folder)
    before: Counter[str] = Counter(dict.fromkeys(kept_columns(contract), 0))
    rows = with_target = enough = 0
    codes, in_test = np.zeros(metadata.num_rows, np.int16), np.zeros(metadata.num_rows if contract.split.by == "hash" else 0, bool)
    for part in executor.map(partial(_clean_group, contract, validated), range(metadata.num_row_groups)):
        places = part.places + rows
        buckets.add(places, part.features, part.compared, part.codes)
        codes[places] = part.codes
        if len(in_test):
            in_test[places] = part.in_test
        rows, with_target, enough = rows + part.rows, with_target + part.with_target, enough + len(places)
        before.update(part.missing)
    groups = buckets.resolve(len(contract.target.classes), drop_duplicates=contract.cleaning.drop_duplicates)
    require_enough(contract, groups.classes)
    if contract.split.by == "hash":
        kept_in_test = in_test[groups.keep]
        test_groups = kept_in_test[groups.firsts]
        require_balance(contract, groups.classes, test_groups)
    else:
        test_groups = draw_test_groups(contract, groups.classes)
        kept_in_test = test_groups[groups.group]
    after, files = _write(contract, validated, folder, groups, kept_in_test)
    y = codes[groups.keep].astype(np.int64)
    dropped = {NO_TARGET: rows - with_target, TOO_MANY_MISSING: with_target - enough, DUPLICATE: enough - int(groups.keep.sum())}
    return PreparedSplit(
        Cleaned(pd.DataFrame(), dropped, dict(before), after), _split(contract, files, y, kept_in_test), groups.classes[~test_groups], files
    )


def _split(contract: Contract, files: Mapping[str, Path], y: np.ndarray, in_test: np.ndarray) -> Split:
    features, tested = contract.feature_names, int(in_test.sum())
    groups = StoredColumns(files["groups_test"], tuple(contract.group_columns), tested) if contract.group_columns else pd.DataFrame()
    return Split(
        cast("pd.DataFrame", StoredColumns(files["X_train"], features, len(y) - tested)),
        cast("pd.DataFrame", StoredColumns(files["X_test"], features, tested)),
        pd.Series(y[~in_test], name=contract.target.column),
        pd.Series(y[in_test], name=contract.target.column),
        cast("pd.DataFrame", groups),
    )


def _clean_group(contract: Contract, validated: Path, group: int) -> CleanPart:
    columns = compared_columns(contract)  # and so all that is kept
    with _opened(contract, validated) as file:
        return clean_part(contract, file.read_row_group(group, columns=columns, use_threads=False))


def _write(
    contract: Contract, validated: Path, folder: Path, groups: RowGroups, in_test: np.ndarray
) -> tuple[dict[str, int], dict[str, Path]]:
    """Write the features of both sets; returns how many values are missing of each column, and the files."""
    names = ["X_train", "X_test", *(["groups_test"] if contract.group_columns else [])]
    files = {name: folder / f"{name}.parquet" for name in names}
    after: Counter[str] = Counter(dict.fromkeys(kept_columns(contract), 0))
    with _opened(contract, validated) as file:
        schema = file.schema_arrow
        fields = {name: contract.group_columns if name == "groups_test" else contract.feature_names for name in names}
        writers = {
            name: pq.ParquetWriter(files[name], pa.schema([schema.field(column) for column in fields[name]]), store_schema=False)
            for name in names
        }
        start = done = 0
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, columns=kept_columns(contract), use_threads=False)
            keep = groups.keep[start : start + table.num_rows]
            start += table.num_rows
            kept = table if keep.all() else table.filter(pa.array(keep))
            tested = in_test[done : done + kept.num_rows]
            done += kept.num_rows
            after.update({name: kept.column(name).null_count for name in after})
            for name, writer in writers.items():
                part = kept.select(fields[name]).filter(pa.array(~tested if name == "X_train" else tested))
                if part.num_rows:
                    writer.write_table(part)
        for writer in writers.values():
            writer.close()
    return dict(after), files


def _opened(contract: Contract, path: Path) -> pq.ParquetFile:
    """Open validated rows; texts are dictionaries of each row group."""
    texts = [name for name, column in contract.columns.items() if isinstance(column, CategoryColumn)]
    return pq.ParquetFile(path, read_dictionary=texts, memory_map=True)


def _series(column: pa.Array) -> pd.Series:
    if pa.types.is_dictionary(column.type) or pa.types.is_string(column.type):
        return pd.Series(column.cast(pa.large_string()), dtype="str")
    return pd.Series(column.to_numpy(zero_copy_only=False))
