"""Batches in folders, scored by a model that was fitted here."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.pipeline import Pipeline

from hearth.batch.model import BatchModel
from hearth.batch.objects import find_objects
from hearth.batch.output import Folder, find_output
from hearth.batch.runner import Batch
from hearth.batch.sample import Sampler
from hearth.modelling.families import FAMILIES
from hearth.modelling.features import build_features
from hearth.modelling.prediction_sets import PredictionSets
from hearth.modelling.scorer import Scorer
from hearth.predictions.personal_hash import PersonalHash
from hearth.storage import ObjectStore
from tests.support.samples import EMPLOYEES, sample_rows

HEADER = ["Employee ID", *EMPLOYEES.feature_names]


def no_store() -> ObjectStore:
    raise AssertionError("a folder needs no object store")


@cache
def pipeline(family: str = "lightgbm") -> Pipeline:
    X, y = sample_rows(EMPLOYEES, 200)
    model = FAMILIES[family].build({**FAMILIES[family].defaults, **({"n_estimators": 10} if family == "lightgbm" else {})}, 1)
    return Pipeline([("features", build_features(EMPLOYEES)), ("model", model)]).fit(X, y.to_numpy())


def model(version: str = "7", scorer: Scorer | None = None) -> BatchModel:
    """A version that knows its limits."""
    sets = PredictionSets(0.9, (0.2, 0.3, 0.2))
    return BatchModel("employees", "champion", version, "lightgbm", f"run {version}", scorer or Scorer(pipeline(), EMPLOYEES), sets)


def rows(count: int, seed: int = 1) -> list[list[str]]:
    """Rows of texts with an id before the features."""
    X, _ = sample_rows(EMPLOYEES, count, seed)
    texts = X.astype("str").where(X.notna(), "").to_numpy().tolist()
    return [[f"e{seed}-{place}", *row] for place, row in enumerate(texts)]


def csv_text(cells: Sequence[Sequence[str]], header: Sequence[str] = HEADER, **form: Any) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, **{"lineterminator": "\n", **form}).writerows([header, *cells])
    return text.getvalue().encode()


def parquet(cells: Sequence[Sequence[str]], **options: Any) -> bytes:
    """The same rows as a Parquet file, numbers as numbers."""
    columns: dict[str, pa.Array] = {}
    for name, values in zip(HEADER, zip(*cells, strict=True), strict=True):
        texts = pa.array([value or None for value in values], pa.string())
        columns[name] = texts.cast(pa.float64()) if name in EMPLOYEES.numeric_features else texts
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, **options)
    return sink.getvalue()


def batch(source: Path, output: Path, chunk_rows: int = 40, **changes: Any) -> Batch:
    """A batch of a folder."""
    places = [str(source)]
    made = Batch(
        contract=EMPLOYEES,
        model=model(),
        objects=find_objects(places, no_store),
        output=find_output(str(output), places, no_store),
        sampler=Sampler(EMPLOYEES, PersonalHash("employees", frozenset(), b""), 25),
        keep=["Employee ID"],
        chunk_rows=chunk_rows,
    )
    return replace(made, **changes)


def scored(output: Path, name: str) -> pa.Table:
    """All scored rows of an object."""
    parts = sorted((output / "scored").glob(f"{name}.[0-9]*.parquet"))
    return pa.concat_tables([pq.read_table(part) for part in parts])


def rejected(output: Path, name: str) -> list[dict[str, str]]:
    """All rejected values of an object."""
    found: list[dict[str, str]] = []
    for part in sorted((output / "rejected").glob(f"{name}.[0-9]*.csv")):
        with part.open(newline="", encoding="utf-8") as file:
            found += csv.DictReader(file)
    return found


def contents(output: Path) -> dict[str, bytes]:
    """The bytes of all results."""
    folder = Folder(output)
    return {name: folder.read(name) or b"" for kind in ("scored/", "rejected/") for name in folder.names(kind)}


__all__ = ["batch", "contents", "csv_text", "model", "no_store", "parquet", "pipeline", "rejected", "rows", "scored"]
