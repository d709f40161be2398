"""Predictions into a file, here or in the object store; it appears when it is whole, under its own name."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from hearth.contracts import Contract, load_contract
from hearth.errors import UnknownDataset
from hearth.predictions.csv_export import write_csv
from hearth.predictions.parquet_export import write_parquet
from hearth.predictions.store import PredictionStore
from hearth.storage import ObjectStore

_S3 = "s3://"


class Format(StrEnum):
    """What kind of file."""

    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True)
class Chosen:
    """Which predictions: of one data set or of all, from `since` on, before `until`."""

    dataset: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def export(store: PredictionStore, chosen: Chosen, format_: Format, output: str, data_dir: Path) -> int:
    """Write predictions to a path, or to `s3://bucket/key`, oldest first, and return how many there are.

    Raises:
        PredictionsUnavailable: the predictions store does not answer.
        StorageUnavailable: the object store does not answer.
        InvalidRecords: a record does not fit the column types of the Parquet file.
    """
    predictions = store.since(chosen.since, chosen.dataset, chosen.until)
    with _destination(output) as path:
        if format_ is Format.PARQUET:
            return write_parquet(predictions, path, _contract(chosen.dataset, data_dir))
        with path.open("w", encoding="utf-8", newline="") as file:
            return write_csv(predictions, file)


def require_output(text: str) -> str:
    """Return an output that can be written to.

    Raises:
        ValueError: it begins like an address of the object store and is none.
    """
    bucket, _, key = text.removeprefix(_S3).partition("/")
    if text.startswith(_S3) and not (bucket and key):
        raise ValueError(text)
    return text


def _contract(dataset: str | None, data_dir: Path) -> Contract | None:
    try:
        return load_contract(dataset, data_dir) if dataset else None
    except UnknownDataset:  # its predictions are there still
        return None


@contextmanager
def _destination(output: str) -> Iterator[Path]:
    """Yield where to write; what is there goes to its place if all went well, and away if not."""
    if output.startswith(_S3):
        bucket, _, key = output.removeprefix(_S3).partition("/")
        store = ObjectStore.from_settings()
        with _temporary(None) as path:
            yield path
            store.put_file(bucket, key, path)
    else:
        target = Path(output)
        with _temporary(target.parent) as path:
            yield path
            path.chmod(0o644)  # temporary files are for their owner alone
            path.replace(target)


@contextmanager
def _temporary(folder: Path | None) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".export-", suffix=".partial", delete=False) as file:
        path = Path(file.name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
