"""Exports predictions to a local file or the object store. The file appears under its name when it is complete."""

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
    """The format of the file."""

    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True)
class PredictionFilter:
    """Selects predictions of one data set or of all, with since <= scored_at < until."""

    dataset: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def export(store: PredictionStore, selection: PredictionFilter, format_: Format, output: str, data_dir: Path) -> int:
    """Write predictions to a path or to `s3://bucket/key`, oldest first, and return their number.

    Raises:
        PredictionsUnavailable: the predictions store does not answer.
        StorageUnavailable: the object store does not answer.
        InvalidRecords: a record does not fit the column types of the Parquet file.
    """
    predictions = store.since(selection.since, selection.dataset, selection.until)
    with _destination(output) as path:
        if format_ is Format.PARQUET:
            return write_parquet(predictions, path, _contract(selection.dataset, data_dir))
        with path.open("w", encoding="utf-8", newline="") as file:
            return write_csv(predictions, file)


def require_output(text: str) -> str:
    """Return the output unchanged.

    Raises:
        ValueError: it starts with s3:// and has no bucket or no key.
    """
    bucket, _, key = text.removeprefix(_S3).partition("/")
    if text.startswith(_S3) and not (bucket and key):
        raise ValueError(text)
    return text


def _contract(dataset: str | None, data_dir: Path) -> Contract | None:
    try:
        return load_contract(dataset, data_dir) if dataset else None
    except UnknownDataset:  # predictions can outlive their contract
        return None


@contextmanager
def _destination(output: str) -> Iterator[Path]:
    """Yield a temporary path; move the file to its destination on success and delete it on failure."""
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
            path.chmod(0o644)  # temporary files are readable by their owner only
            path.replace(target)


@contextmanager
def _temporary(folder: Path | None) -> Iterator[Path]:
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".export-", suffix=".partial", delete=False) as file:
        path = Path(file.name)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
