"""From rows that keep the contract to a train and a test set. Pure: frames in, frames out."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.model_selection import train_test_split

from hearth.contracts import CategoryColumn, Contract, IdentifierColumn
from hearth.data.row_hash import row_positions
from hearth.data.stored_train import StoredTrain
from hearth.errors import InvalidRawData

NO_TARGET = "no_target"
TOO_MANY_MISSING = "too_many_missing"
DUPLICATE = "duplicate"

_DIGEST_LENGTH = 16
_LIKELY_DEVIATIONS = 4.0  # standard deviations of a share: one class in 16,000 is further off by chance


@dataclass(frozen=True)
class Cleaned:
    """The rows that are kept, and what was left out.

    `frame` holds the features in contract order, the columns that are kept for groups, and then the target, as the file gives it.
    `dropped` counts rows by reason. The missing values are counted for each of these columns, before any row was dropped and after.
    """

    frame: pd.DataFrame
    dropped: Mapping[str, int]
    missing_before: Mapping[str, int]
    missing_after: Mapping[str, int]


@dataclass(frozen=True)
class Split:
    """Raw features in contract order, and positions of classes (int64, named like the target); row i of X belongs to row i of y.

    `groups_test` holds the columns of the test rows that no model sees and whose groups are reported; mostly there are none.
    `weights_train` says how much each train row counts, float64 with a mean of 1; None if all count the same.
    `stored_train` has all train rows where memory holds a sample of them: X_train, y_train and weights_train are that sample then.
    """

    X_train: pd.DataFrame
    X_test: pd.DataFrame
    y_train: pd.Series
    y_test: pd.Series
    groups_test: pd.DataFrame = field(default_factory=pd.DataFrame)
    weights_train: pd.Series | None = None
    stored_train: StoredTrain | None = None

    @property
    def train_codes(self) -> np.ndarray:
        """The classes of all train rows, shape (rows,)."""
        codes: np.ndarray = self.y_train.to_numpy() if self.stored_train is None else self.stored_train.y
        return codes

    @property
    def described_test(self) -> pd.DataFrame:
        """The test rows with the columns of their groups: what groups are told apart by. Models take the features and ignore the others."""
        return self.X_test.join(self.groups_test) if len(self.groups_test.columns) else self.X_test


def clean(contract: Contract, accepted: pd.DataFrame) -> Cleaned:
    """Drop, in this order: the columns under `drop`, rows without target, rows with too many missing features, exact duplicates.

    Duplicates are equal in features, columns of groups and target, and in the identifiers too if the contract compares them.
    """
    columns = accepted[kept_columns(contract)]
    has_target = accepted[contract.target.column].notna().to_numpy()
    keeps = has_target & has_enough(contract, accepted)
    complete = int(keeps.sum())
    if contract.cleaning.drop_duplicates:
        keeps[keeps] = ~_copies(contract, accepted, keeps)
    frame = columns if keeps.all() else columns[keeps].reset_index(drop=True)
    return Cleaned(
        frame=frame,
        dropped={
            NO_TARGET: len(accepted) - int(has_target.sum()),
            TOO_MANY_MISSING: int(has_target.sum()) - complete,
            DUPLICATE: complete - len(frame),
        },
        missing_before=_missing(columns),
        missing_after=_missing(frame),
    )


def has_enough(contract: Contract, rows: pd.DataFrame) -> np.ndarray:
    """Return which rows miss no more features than the contract allows, shape (rows,)."""
    enough: np.ndarray = rows[list(contract.feature_names)].isna().sum(axis=1).to_numpy() <= contract.cleaning.max_nulls
    return enough


def kept_columns(contract: Contract) -> list[str]:
    """Return the columns that cleaning leaves."""
    return [*contract.feature_names, *contract.group_columns, contract.target.column]


def compared_columns(contract: Contract) -> list[str]:
    """Return the columns in which a row equals another if it is a copy of it."""
    compared = kept_columns(contract)
    if contract.cleaning.compare_identifiers:
        compared += [name for name, column in contract.columns.items() if isinstance(column, IdentifierColumn)]
    return compared


def target_codes(contract: Contract, target: pd.Series) -> pd.Series:
    """Return the position of each row's class: 0 below the first cut, 1 from there on, and so on; without cuts, that of the code it holds.

    Raises:
        InvalidRawData: a value is missing.
    """
    if missing := int(target.isna().sum()):
        raise InvalidRawData(f"{contract.name}: {missing} rows have no {contract.target.column!r}: clean the frame first.")
    if contract.target.cuts:
        positions = np.digitize(target.to_numpy(dtype=np.float64), contract.target.cuts)
    elif isinstance(contract.columns[contract.target.column], CategoryColumn):
        positions = pd.Index([str(code) for code in contract.class_codes]).get_indexer(pd.Index(target))
    else:
        positions = pd.Index(contract.class_codes).get_indexer(pd.Index(target))
    if (unknown := positions < 0).any():
        raise InvalidRawData(
            f"{contract.name}: {contract.target.column!r} holds {target[unknown].iloc[0]}, which is no class: validate the frame first."
        )
    return pd.Series(positions.astype(np.int64), index=target.index, name=contract.target.column)


def split(contract: Contract, frame: pd.DataFrame) -> Split:
    """Set the test rows aside, as the contract says; the rows of each set keep the order of the frame.

    Rows with equal features go to one side together, whatever their target says. Such a group counts for its most frequent class (the lower
    one in a tie), and the test share is a share of groups.

    By `draw`, groups are drawn stratified by class; without equal rows this is scikit-learn's `train_test_split` with `stratify` and the
    contract's seed. By `hash`, a group is in the test set if the hash of its values, keyed by the seed, is below the test share, whatever
    else the frame holds.

    Raises:
        InvalidRawData: a class has too few distinct rows to be in both sets, or by `hash` is far from the test share in the test set.
    """
    X = frame[list(contract.feature_names)]
    y = target_codes(contract, frame[contract.target.column])
    groups = equal_rows(X)
    classes = group_classes(groups, y.to_numpy(), len(contract.target.classes))
    require_enough(contract, classes)

    if contract.split.by == "hash":
        in_test = row_positions(contract, X, contract.split.seed) < contract.split.test_share
        first_rows = np.unique(groups, return_index=True)[1]
        require_balance(contract, classes, in_test[first_rows])
    else:
        in_test = draw_test_groups(contract, classes)[groups]
    return Split(
        X_train=X[~in_test].reset_index(drop=True),
        X_test=X[in_test].reset_index(drop=True),
        y_train=y[~in_test].reset_index(drop=True),
        y_test=y[in_test].reset_index(drop=True),
        groups_test=frame.loc[in_test, list(contract.group_columns)].reset_index(drop=True) if contract.group_columns else pd.DataFrame(),
    )


def draw_test_groups(contract: Contract, classes: np.ndarray) -> np.ndarray:
    """Draw groups, stratified by their classes, shape (groups,); returns which of them are in the test set."""
    drawn = np.zeros(len(classes), bool)
    _, test_groups = train_test_split(
        np.arange(len(classes)), test_size=contract.split.test_share, random_state=contract.split.seed, stratify=classes
    )
    drawn[test_groups] = True
    return drawn


def equal_rows(X: pd.DataFrame) -> np.ndarray:
    """Return the number of the group of equal rows that each row is in, shape (rows,); groups are numbered as they first appear."""
    return X.groupby(list(X.columns), sort=False, dropna=False).ngroup().to_numpy() if len(X) else np.empty(0, dtype=np.int64)


def group_classes(groups: np.ndarray, codes: np.ndarray, classes: int) -> np.ndarray:
    """Return the most frequent class of each group, the lower one in a tie, shape (groups,)."""
    votes = np.zeros((int(groups.max(initial=-1)) + 1, classes), dtype=np.int64)
    np.add.at(votes, (groups, codes), 1)
    most: np.ndarray = votes.argmax(axis=1)
    return most


def digest(split: Split) -> str:
    """Name a split by its contents: column names, kinds of values and values; not its index, nor the types that a library version prefers.

    Returns:
        16 hexadecimal digits of a SHA-256.
    """
    sha = hashlib.sha256()
    for X, y in ((split.X_train, split.y_train), (split.X_test, split.y_test)):
        for name, column in chain(X.items(), [(y.name, y)]):  # one column at a time, which may be read for it
            kind, content = _canonical(column)
            sha.update(json.dumps([name, kind, len(column), len(content)]).encode())
            sha.update(content)
    for name, column in split.groups_test.items():
        kind, content = _canonical(column)
        sha.update(json.dumps(["group", name, kind, len(column), len(content)]).encode())
        sha.update(content)
    if split.weights_train is not None:
        kind, content = _canonical(split.weights_train)
        sha.update(json.dumps(["weights", kind, len(split.weights_train), len(content)]).encode())
        sha.update(content)
    return sha.hexdigest()[:_DIGEST_LENGTH]


def _copies(contract: Contract, rows: pd.DataFrame, among: np.ndarray) -> np.ndarray:
    """Return which of the rows that a mask selects are copies of an earlier one of them."""
    compared = compared_columns(contract)
    return (rows[compared] if among.all() else rows.loc[among, compared]).duplicated().to_numpy()


def _missing(frame: pd.DataFrame) -> dict[str, int]:
    return {str(name): int(count) for name, count in frame.isna().sum().items()}


def require_enough(contract: Contract, classes: np.ndarray) -> None:
    """Raise unless each class can have a row in the train and in the test set."""
    counts = np.bincount(classes, minlength=len(contract.target.classes))
    share = contract.split.test_share
    needed = max(2, int(np.ceil(1 / min(share, 1 - share))))
    if counts.min() < needed:
        rows = ", ".join(f"{name} {count}" for name, count in zip(contract.target.classes, counts, strict=True))
        raise InvalidRawData(
            f"{contract.name}: too few distinct rows to set {share:.0%} of each class aside: {rows}; expected {needed} or more of each."
        )


def require_balance(contract: Contract, classes: np.ndarray, in_test: np.ndarray) -> None:
    """Raise if the test set's share of a class is so far from the contract's that chance hardly makes it, or all are on one side.

    In small data a class can be off by a third: the seed is chosen once for them, before anything is trained, and stays.
    """
    share = contract.split.test_share
    for code, name in enumerate(contract.target.classes):
        count, tested = int((classes == code).sum()), int(in_test[classes == code].sum())
        likely = _LIKELY_DEVIATIONS * np.sqrt(share * (1 - share) / count)
        if not 0 < tested < count or abs(tested / count - share) > likely:
            raise InvalidRawData(
                f"{contract.name}: by its hash {tested} of {count} distinct rows of class {name} are in the test set, expected about "
                f"{share:.0%}. Choose another split.seed, before anything is trained on these data."
            )


def _canonical(column: pd.Series) -> tuple[str, bytes]:
    """Return the kind of a column and its values as bytes that do not depend on pandas or the machine."""
    if pd.api.types.is_integer_dtype(column.dtype):
        return "integer", column.to_numpy(dtype="<i8").tobytes()
    if pd.api.types.is_numeric_dtype(column.dtype):
        values = column.to_numpy(dtype="<f8") + 0.0  # -0.0 becomes 0.0
        values[np.isnan(values)] = np.nan  # one of the many bit patterns that mean "not a number"
        return "number", values.tobytes()
    if isinstance(column.dtype, pd.StringDtype):
        return "text", _json_list(column)
    return "text", json.dumps(column.astype("object").where(column.notna(), None).tolist()).encode()


def _json_list(column: pd.Series) -> bytes:
    """Return what json.dumps writes for a list of the texts, null where one is missing."""
    if not len(column):
        return b"[]"
    array = pa.array(column, pa.large_string(), from_pandas=True)
    texts = (array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array).dictionary_encode()
    entries = [f"{json.dumps(text)}, ".encode() for text in [*texts.dictionary.to_pylist(), None]]
    joined = pa.array(entries, pa.large_binary()).take(texts.indices.fill_null(len(entries) - 1))
    end = int(np.frombuffer(joined.buffers()[1], np.int64)[len(joined)])
    written: bytes = joined.buffers()[2].to_pybytes()
    return b"[" + written[: end - 2] + b"]"
