"""Results of a chunk as files: scored rows as Parquet, rejected ones as CSV. Equal chunks have equal bytes."""

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hearth.batch.chunk import Parts, Rejections, ScoredChunk
from hearth.contracts import Contract
from hearth.contracts.texts import listed
from hearth.errors import InvalidScoring

SET_SEPARATOR = " | "
REJECTED_COLUMNS = ("file", "line", "column", "value", "reason")
_EXPLANATION = "contribution_"


def column_names(contract: Contract, parts: Parts) -> list[str]:
    """Return the names of the columns of results, without those that are kept."""
    names = ["line", "prediction", "label", *(f"probability_{class_}" for class_ in contract.target.classes), "version"]
    names += ["set"] if parts.set else []
    names += ["unusual_score", "unusual"] if parts.unusual else []
    return names + [f"{_EXPLANATION}{name}" for name in contract.feature_names] if parts.explain else names


def require_free(contract: Contract, parts: Parts, keep: Sequence[str]) -> None:
    """Raise InvalidScoring if a column to keep has the name of a result, or is named twice."""
    if clashes := [name for name in keep if name in column_names(contract, parts)]:
        raise InvalidScoring(f"Results have columns of these names themselves, so they cannot be kept: {listed(clashes)}.")
    if twice := [name for name in dict.fromkeys(keep) if keep.count(name) > 1]:
        raise InvalidScoring(f"Columns to keep are named twice: {listed(twice)}.")


def scored_table(contract: Contract, version: str, chunk: ScoredChunk) -> pa.Table:
    """Return the scored rows: their lines, the columns that are kept, and the results."""
    scores = chunk.scores
    rows = len(scores.codes)
    columns: dict[str, pa.Array | Sequence[object] | np.ndarray] = {"line": chunk.lines, **chunk.kept}
    columns["prediction"] = pa.array(list(scores.class_codes)).take(pa.array(scores.codes))
    columns["label"] = pa.array(list(scores.classes), pa.string()).take(pa.array(scores.codes))
    for place, class_ in enumerate(contract.target.classes):
        columns[f"probability_{class_}"] = np.ascontiguousarray(scores.probabilities[:, place])
    columns["version"] = pa.array([version], pa.string()).take(pa.array(np.zeros(rows, np.int64)))
    if chunk.members is not None:
        columns["set"] = _sets(chunk.members, scores.classes)
    if chunk.unusual_scores is not None:
        columns |= {"unusual_score": chunk.unusual_scores, "unusual": pa.array(chunk.unusual)}
    if chunk.contributions is not None:
        for place, name in enumerate(contract.feature_names):
            columns[f"{_EXPLANATION}{name}"] = np.ascontiguousarray(chunk.contributions[:, place])
    return pa.table(columns)


def as_parquet(table: pa.Table) -> bytes:
    """Return a table as a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def as_csv(name: str, rejections: Rejections) -> bytes:
    """Return the rejections of an object as CSV."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(REJECTED_COLUMNS)
    columns = (rejections.lines.tolist(), *(each.to_pylist() for each in (rejections.columns, rejections.values, rejections.reasons)))
    writer.writerows((name, *row) for row in zip(*columns, strict=True))
    return text.getvalue().encode()


def _sets(members: np.ndarray, classes: Sequence[str]) -> pa.Array:
    """Return the classes of each row that are members as one text; each combination is written once."""
    combinations, places = np.unique(members, axis=0, return_inverse=True)
    texts = [SET_SEPARATOR.join(name for name, is_member in zip(classes, row, strict=True) if is_member) for row in combinations.tolist()]
    return pa.array(texts, pa.string()).take(pa.array(places.reshape(-1)))


def add_counts(total: dict[str, int], more: Mapping[str, int]) -> None:
    """Add numbers of rows by name."""
    for name, count in more.items():
        total[name] = total.get(name, 0) + count
