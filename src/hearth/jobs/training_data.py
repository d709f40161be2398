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
from hearth.data.row_sample import sample_frame
from hearth.data.stored_train import StoredTrain
from hearth.jobs.work_folder import work_folder
from hearth.logs import about
from hearth.modelling.families import FAMILIES
from hearth.settings import MemorySettings
from hearth.storage import ObjectStore

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
        weights = None if whole.weights_train is None else whole.weights_train.to_numpy()
        stored = StoredTrain.of(contract, folder / "X_train.parquet", whole.y_train.to_numpy(), weights)
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


def within_budget(contract: Contract, family: str, split: Split) -> Split:
    """Return the split with the train rows that a family is fitted on: its row budget in the contract, else in the catalogue.

    A family that reads from disk keeps `stored_train`, which is what it is fitted on then, unless its budget is a sample that memory holds.
    """
    catalogued = FAMILIES[family]
    budget = contract.training.most_rows.get(family, catalogued.most_rows)
    stored = split.stored_train if catalogued.fit_stored is not None else None
    if stored is not None and budget is not None:
        stored = None if budget <= len(split.X_train) else stored.sampled(budget)
    places = np.arange(len(split.X_train)) if budget is None else sample_frame(contract, split.X_train, split.y_train.to_numpy(), budget)
    if len(places) == len(split.X_train):
        return replace(split, stored_train=stored)
    return replace(
        split,
        X_train=split.X_train.iloc[places].reset_index(drop=True),
        y_train=split.y_train.iloc[places].reset_index(drop=True),
        weights_train=None if split.weights_train is None else split.weights_train.iloc[places].reset_index(drop=True),
        stored_train=stored,
    )


def rows_text(fitted: int, rows: int) -> str:
    """Say on how many of all train rows a model is fitted."""
    return f"{fitted:,} of {rows:,} rows" if fitted < rows else f"{rows:,} rows"


def _frame(store: ObjectStore, contract: Contract, digest: str, name: str) -> pd.DataFrame:
    return store.get_frame(store.processed_bucket, processed_key(contract.name, digest, f"{name}.parquet"))
