"""What the ETL publishes, as it lies in the bucket `processed`.

| key | holds |
|---|---|
| `<dataset>/<digest>/{X,y}_{train,test}.parquet` | the split, raw values |
| `<dataset>/<digest>/groups_test.parquet` | columns of the test rows that are kept for groups only, if there are any |
| `<dataset>/<digest>/weights_train.parquet` | how much each train row counts, if not all count the same |
| `<dataset>/<digest>/{profile.json,report.json,contract.yaml}` | how the train set looks, and how all came about |
| `<dataset>/<digest>/{check.json,check.html}` | what is suspicious in the raw file, if it was checked |
| `<dataset>/<digest>/manifest.json` | written last: a digest that has it is whole |
| `<dataset>/latest.json` | the digest that was published last |
"""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import cast

import pandas as pd
from pydantic import TypeAdapter

from hearth.contracts import load_contract
from hearth.contracts.airflow_names import ETL, dag_id
from hearth.contracts.origins import REAL, UNKNOWN, Origin
from hearth.data.chunked_cleaning import PreparedSplit, StoredColumns
from hearth.data.cleaning import Split, digest
from hearth.data.profile import Profile
from hearth.errors import ObjectNotFound, StorageError
from hearth.storage import ObjectStore

PROFILE = "profile.json"
REPORT = "report.json"
CONTRACT = "contract.yaml"
MANIFEST = "manifest.json"
CHECK, CHECK_PAGE = "check.json", "check.html"
_WEIGHTS = "weight"
LINES = ".lines.parquet"
"""What the key of validated rows is followed by in that of their lines in the raw file."""


@dataclass(frozen=True)
class ServedPart:
    """The served records in a processed data set: the newest are its test set, and those before them train.

    `since` and `until` are when the first and the last was scored, `records` is their number, and `keys` is the SHA-256 of their message
    ids and rows in that order. `reference` is the digest of the data whose train set was added to them; empty if there was none.
    """

    since: datetime
    until: datetime
    records: int
    keys: str
    reference: str = ""


@dataclass(frozen=True)
class Manifest:
    """Says that a processed data set is whole, and where its rows came from; `served` if there are served records among them."""

    dataset: str
    digest: str
    train_rows: int
    test_rows: int
    origin: Origin = UNKNOWN
    served: ServedPart | None = None


@dataclass(frozen=True)
class Published:
    """What the last ETL published; `real` is the digest of the real data that were published last, empty if none ever were."""

    digest: str
    rows: int
    origin: Origin = UNKNOWN
    real: str = ""


_MANIFEST = TypeAdapter(Manifest)
_PUBLISHED = TypeAdapter(Published)


def processed_key(dataset: str, digest: str, name: str) -> str:
    return f"{dataset}/{digest}/{name}"


def split_source(store: ObjectStore, dataset: str, digest: str) -> str:
    """Return the address of a processed data set, for people and for MLflow."""
    return f"s3://{store.processed_bucket}/{processed_key(dataset, digest, '')}"


def is_whole(store: ObjectStore, dataset: str, digest: str) -> bool:
    return store.exists(store.processed_bucket, processed_key(dataset, digest, MANIFEST))


def write_split(store: ObjectStore, dataset: str, digest: str, split: Split) -> None:
    frames = {"X_train": split.X_train, "X_test": split.X_test, "y_train": split.y_train.to_frame(), "y_test": split.y_test.to_frame()}
    if len(split.groups_test.columns):
        frames["groups_test"] = split.groups_test
    if split.weights_train is not None:
        frames["weights_train"] = split.weights_train.to_frame(_WEIGHTS)
    for name, frame in frames.items():
        store.put_frame(store.processed_bucket, processed_key(dataset, digest, f"{name}.parquet"), frame)


def write_prepared(store: ObjectStore, dataset: str, digest: str, prepared: PreparedSplit) -> None:
    """Write a split whose features are in files."""
    for name, path in prepared.files.items():
        store.put_file(store.processed_bucket, processed_key(dataset, digest, f"{name}.parquet"), path)
    for name, y in (("y_train", prepared.split.y_train), ("y_test", prepared.split.y_test)):
        store.put_frame(store.processed_bucket, processed_key(dataset, digest, f"{name}.parquet"), y.to_frame())


def write_manifest(store: ObjectStore, manifest: Manifest) -> None:
    """Write the manifest unless it is there, after everything else."""
    key = processed_key(manifest.dataset, manifest.digest, MANIFEST)
    store.put(store.processed_bucket, key, _MANIFEST.dump_json(manifest, indent=2), if_absent=True)


def note_origin(store: ObjectStore, dataset: str, digest: str, origin: Origin) -> None:
    """Write where the rows came from into a manifest that does not know it; one that does stays as it is."""
    manifest = read_manifest(store, dataset, digest)
    if manifest.origin == UNKNOWN != origin:
        known = _MANIFEST.dump_json(replace(manifest, origin=origin), indent=2)
        store.put(store.processed_bucket, processed_key(dataset, digest, MANIFEST), known)


def read_manifest(store: ObjectStore, dataset: str, digest: str, file: str = MANIFEST) -> Manifest:
    """Read the manifest of a processed data set; `file` is its name, which is another one in the trash.

    Raises:
        ObjectNotFound: the ETL has not written this digest, or not all of it.
    """
    try:
        return _MANIFEST.validate_json(store.get(store.processed_bucket, processed_key(dataset, digest, file)))
    except ObjectNotFound as error:
        raise ObjectNotFound(error.bucket, error.key, hint=_run_first(dataset)) from error


def write_latest(store: ObjectStore, manifest: Manifest) -> Published:
    """Make a processed data set the one that trainings take; which real data were published last is remembered."""
    real = manifest.digest if manifest.origin in REAL else last_real_digest(store, manifest.dataset)
    published = Published(manifest.digest, manifest.train_rows + manifest.test_rows, manifest.origin, real)
    store.put(store.processed_bucket, f"{manifest.dataset}/latest.json", _PUBLISHED.dump_json(published))
    return published


def latest_digest(store: ObjectStore, dataset: str) -> str:
    """Return the digest that the ETL published last.

    Raises:
        ObjectNotFound: it has published none; the message says what to run.
    """
    try:
        return _PUBLISHED.validate_json(store.get(store.processed_bucket, f"{dataset}/latest.json")).digest
    except ObjectNotFound as error:
        raise ObjectNotFound(error.bucket, error.key, hint=_run_first(dataset)) from error


def last_real_digest(store: ObjectStore, dataset: str) -> str:
    """Return the digest of the real data that were published last, empty if none ever were."""
    try:
        return _PUBLISHED.validate_json(store.get(store.processed_bucket, f"{dataset}/latest.json")).real
    except ObjectNotFound:
        return ""


def load_processed(store: ObjectStore, dataset: str, digest_: str) -> Split:
    """Read a processed data set.

    Raises:
        ObjectNotFound: the ETL has not written this digest; the message says what to run.
        StorageError: the objects are not what the digest names.
    """
    read_manifest(store, dataset, digest_)
    X_train, X_test = (
        store.get_frame(store.processed_bucket, processed_key(dataset, digest_, f"{name}.parquet")) for name in ("X_train", "X_test")
    )
    return _verified(store, dataset, digest_, X_train, X_test)


def copy_processed(store: ObjectStore, dataset: str, digest_: str, folder: Path) -> Split:
    """Copy a processed data set into a folder; features are read from there a column at a time (`StoredColumns`).

    Raises:
        ObjectNotFound: the ETL has not written this digest; the message says what to run.
        StorageError: the objects are not what the digest names.
    """
    manifest, features = read_manifest(store, dataset, digest_), load_contract(dataset).feature_names
    columns = []
    for name, rows in (("X_train", manifest.train_rows), ("X_test", manifest.test_rows)):
        path = folder / f"{name}.parquet"
        store.copy_to(store.processed_bucket, processed_key(dataset, digest_, path.name), path)
        columns.append(cast("pd.DataFrame", StoredColumns(path, features, rows)))
    return _verified(store, dataset, digest_, *columns)


def _verified(store: ObjectStore, dataset: str, digest_: str, X_train: pd.DataFrame, X_test: pd.DataFrame) -> Split:
    """Read the rest of a split, and compare it with its name."""
    contract = load_contract(dataset)
    y_train, y_test = (
        store.get_frame(store.processed_bucket, processed_key(dataset, digest_, f"{name}.parquet"))[contract.target.column]
        for name in ("y_train", "y_test")
    )
    groups = _optional_frame(store, dataset, digest_, "groups_test")
    weights = _optional_frame(store, dataset, digest_, "weights_train")
    split = Split(
        X_train, X_test, y_train, y_test, pd.DataFrame() if groups is None else groups, None if weights is None else weights[_WEIGHTS]
    )
    if digest(split) != digest_:
        where = f"s3://{store.processed_bucket}/{dataset}/{digest_}/"
        raise StorageError(f"{where} holds other data than its digest names: delete that folder and run {dag_id(contract, ETL)} again.")
    return split


def _optional_frame(store: ObjectStore, dataset: str, digest_: str, name: str) -> pd.DataFrame | None:
    key = processed_key(dataset, digest_, f"{name}.parquet")
    return store.get_frame(store.processed_bucket, key) if store.exists(store.processed_bucket, key) else None


def load_profile(store: ObjectStore, dataset: str, digest: str) -> Profile:
    """Read the reference statistics of a processed data set; raises ObjectNotFound without them."""
    return Profile.from_json(store.get(store.processed_bucket, processed_key(dataset, digest, PROFILE)))


def _run_first(dataset: str) -> str:
    return f"Run the DAG {dag_id(load_contract(dataset), ETL)} first."
