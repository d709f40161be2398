"""The data that a task reads of a processed data set: all in memory where that is little, else a part of them, with the rest on disk."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pandas as pd

from hearth.contracts import Contract
from hearth.data.cleaning import Split
from hearth.data.processed import copy_processed, load_processed, processed_key, read_manifest
from hearth.data.row_sample import frame_order, sample_frame, sample_places
from hearth.data.stored_train import StoredTrain
from hearth.jobs.work_folder import work_folder
from hearth.logs import about
from hearth.modelling.families import FAMILIES
from hearth.settings import MemorySettings
from hearth.storage import ObjectStore
from hearth.training.folds import copies

_WEIGHTS = "weight"
_LOGGER = logging.getLogger(__name__)


def is_large(store: ObjectStore, dataset: str, digest: str) -> bool:
    """Return whether a data set has more train rows than memory holds (`HEARTH_ROWS_IN_MEMORY`)."""
    return read_manifest(store, dataset, digest).train_rows > MemorySettings().rows_in_memory


@contextmanager
def open_split(store: ObjectStore, contract: Contract, digest: str) -> Iterator[Split]:
    """Read a processed data set to train on it; of a large one the split has a sample of the train rows, and all of them in a work folder.

    Raises:
        ObjectNotFound: the ETL has not written this digest; the message says what to run.
        StorageError: the objects are not what the digest names.
    """
    if not is_large(store, contract.name, digest):
        yield load_processed(store, contract.name, digest)
        return
    with work_folder() as folder:
        whole = copy_processed(store, contract.name, digest, folder)
        stored = StoredTrain.of(contract, folder / "X_train.parquet", whole.y_train.to_numpy(), row_weights(whole))
        sample = stored.sampled(MemorySettings().rows_in_memory)
        _LOGGER.info(
            "%s: memory holds %d of %d train rows, the others stay on disk",
            contract.name,
            len(sample),
            len(stored),
            extra=about(contract.name),
        )
        yield replace(
            whole,
            X_train=sample.frame(),
            X_test=_frame(store, contract, digest, "X_test"),
            y_train=pd.Series(sample.y, name=contract.target.column),
            weights_train=None if sample.weights is None else pd.Series(sample.weights, name=_WEIGHTS),
            stored_train=stored,
        )


@contextmanager
def open_test_set(store: ObjectStore, contract: Contract, digest: str) -> Iterator[Split]:
    """Read a processed data set for its test set; of a large one the train rows are not read as a frame, but column by column.

    Raises:
        ObjectNotFound: the ETL has not written this digest; the message says what to run.
        StorageError: the objects are not what the digest names.
    """
    if not is_large(store, contract.name, digest):
        yield load_processed(store, contract.name, digest)
        return
    with work_folder() as folder:
        yield replace(copy_processed(store, contract.name, digest, folder), X_test=_frame(store, contract, digest, "X_test"))


def row_budget(contract: Contract, family: str) -> int | None:
    """Return on how many train rows a family is fitted at most: as the contract has it, else the catalogue; None: on all."""
    return contract.training.most_rows.get(family, FAMILIES[family].most_rows)


def within_budget(contract: Contract, family: str, split: Split) -> Split:
    """Return the split with the train rows that a family is fitted on: no more than its row budget.

    For a family that has no weights, and gets each row as often as its weight says, the budget is of these copies. They are drawn one by
    one, and those that were drawn are the rows' new weights.

    A family that reads from disk keeps `stored_train`, which is what it is fitted on then, unless its budget is a sample that memory holds.
    """
    catalogued, budget = FAMILIES[family], row_budget(contract, family)
    stored = split.stored_train if catalogued.fit_stored is not None else None
    if stored is not None and budget is not None:
        stored = None if budget <= len(split.X_train) else stored.sampled(budget)
    drawn = None if budget is None else _drawn(contract, split, budget, weighs_rows=catalogued.weighs_rows)
    if drawn is None:
        return replace(split, stored_train=stored)
    places, weights = drawn
    return replace(
        split,
        X_train=split.X_train.iloc[places].reset_index(drop=True),
        y_train=split.y_train.iloc[places].reset_index(drop=True),
        weights_train=None if weights is None else pd.Series(weights, name=_WEIGHTS),
        stored_train=stored,
    )


def _drawn(contract: Contract, split: Split, budget: int, *, weighs_rows: bool) -> tuple[np.ndarray, np.ndarray | None] | None:
    """Return the places and the weights of a sample of the train rows that memory holds; None if they are within the budget."""
    X, codes = split.X_train, split.y_train.to_numpy()
    weights = row_weights(split)
    if weights is None or weighs_rows:
        if len(X) <= budget:
            return None
        places = sample_frame(contract, X, codes, budget)
        return places, None if weights is None else weights[places]
    rows = copies(weights)
    if len(rows) <= budget:
        return None
    drawn = sample_places(frame_order(contract, X)[rows], codes[rows], budget)
    places, counts = np.unique(rows[drawn], return_counts=True)
    return places, counts / counts.mean()


def row_weights(split: Split) -> np.ndarray | None:
    """Return how much each train row counts, shape (rows,); None if all count the same."""
    return None if split.weights_train is None else split.weights_train.to_numpy()


def rows_text(fitted: int, rows: int) -> str:
    """Say on how many of all train rows a model is fitted."""
    return f"{fitted:,} of {rows:,} rows" if fitted < rows else f"{rows:,} rows"


def _frame(store: ObjectStore, contract: Contract, digest: str, name: str) -> pd.DataFrame:
    return store.get_frame(store.processed_bucket, processed_key(contract.name, digest, f"{name}.parquet"))
