"""The chunk function: rows of an object in; predictions, and rejected rows with their reasons, out.

It is pure, so it may run in any process.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hearth.batch.model import BatchModel, Explain
from hearth.batch.readers import RawChunk
from hearth.contracts import Contract
from hearth.contracts.column_types import HIDDEN
from hearth.contracts.record_parser import Columns
from hearth.contracts.rules import CategoryRule, NumberRule, Rule, TextReader, rules_of
from hearth.errors import NotKept
from hearth.modelling.scorer import Scores
from hearth.tables import TextColumn

_LONGEST_VALUE = 200  # characters of a rejected value that are reported


@dataclass(frozen=True)
class Parts:
    """What is computed beside predictions: sets of classes, how unusual records are, what explains a prediction."""

    set: bool = False
    unusual: bool = False
    explain: Explain | None = None

    def require_kept(self, model: BatchModel) -> None:
        """Raise NotKept if a version does not have what it takes."""
        if self.set and model.sets is None:
            raise NotKept(model.dataset, model.version, "prediction sets were")
        if self.unusual and model.unusual is None:
            raise NotKept(model.dataset, model.version, "what is unusual was")


@dataclass(frozen=True)
class Rejections:
    """What is wrong with rows: one item for each value that breaks the contract, or for a row of another width; ordered by row.

    `lines` has the line of each row; column and value are empty for a row of another width. Values of personal columns are hidden.
    """

    lines: np.ndarray
    columns: pa.StringArray
    values: pa.StringArray
    reasons: pa.StringArray

    def __len__(self) -> int:
        return len(self.lines)


@dataclass(frozen=True)
class ScoredChunk:
    """A chunk with its n scored rows, in their order.

    Attributes:
        rows: all rows of the chunk.
        lines: of the scored rows, (n,).
        columns: their features.
        scores: their predictions.
        kept: columns that went along.
        members: which classes are in the set of each row, (n, classes).
        unusual_scores, unusual: how unusual each is, (n,), and whether that is above the threshold.
        contributions: what each feature adds to the predicted class, (n, features).
        rejections: what is wrong with the others.
    """

    rows: int
    lines: np.ndarray
    columns: Columns
    scores: Scores
    rejections: Rejections
    kept: Mapping[str, pa.Array] = field(default_factory=dict)
    members: np.ndarray | None = None
    unusual_scores: np.ndarray | None = None
    unusual: np.ndarray | None = None
    contributions: np.ndarray | None = None

    @property
    def labels(self) -> dict[str, int]:
        """The number of rows of each predicted class."""
        counts = np.bincount(self.scores.codes, minlength=len(self.scores.classes))
        return dict(zip(self.scores.classes, counts.tolist(), strict=True))


def score_chunk(contract: Contract, model: BatchModel, chunk: RawChunk, parts: Parts = Parts()) -> ScoredChunk:
    """Check a chunk against the contract, and score the rows that keep it.

    Raises:
        NotKept: the version does not have what it takes for the parts.
    """
    parts.require_kept(model)
    columns, good, rejections = _check(contract, chunk)
    if not good.all():
        columns = Columns(columns.numbers[good], columns.codes[good])
    scores = model.scorer.score_columns(columns)
    unusual_scores, unusual = model.unusual(columns) if parts.unusual and model.unusual else (None, None)
    mask = pa.array(good)
    return ScoredChunk(
        rows=len(chunk),
        lines=chunk.lines[good],
        columns=columns,
        scores=scores,
        rejections=rejections,
        kept={name: values.filter(mask) for name, values in chunk.kept.items()},
        members=model.sets.members(scores.probabilities) if parts.set and model.sets and len(columns) else None,
        unusual_scores=unusual_scores,
        unusual=unusual,
        contributions=parts.explain(columns, scores.codes) if parts.explain and len(columns) else None,
    )


def _check(contract: Contract, chunk: RawChunk) -> tuple[Columns, np.ndarray, Rejections]:
    """Return the features of all rows, which rows keep the contract, (rows,) bool, and what is wrong with the others."""
    rows = len(chunk)
    numbers, codes = np.empty((rows, len(contract.numeric_features))), np.empty((rows, len(contract.categorical_features)), np.intp)
    well_formed = np.ones(rows, dtype=bool)
    well_formed[list(chunk.malformed)] = False
    good = well_formed.copy()
    wrong = [_Wrong.of_rows(chunk.malformed)] if chunk.malformed else []
    number = code = 0
    for name, rule in rules_of(contract).items():
        if name not in chunk.features:
            continue
        column = _Column(name, rule, chunk)
        if isinstance(rule, CategoryRule):
            codes[:, code] = column.cells
            code += 1
        else:
            numbers[:, number] = column.cells
            number += 1
        if not column.good.all():
            good &= column.good
            wrong.append(column.wrong(np.flatnonzero(~column.good & well_formed), is_personal=name in contract.personal_columns))
    return Columns(numbers, codes), good, _rejections(chunk.lines, wrong)


class _Column:
    """A feature against its rule. A text is read once, however many rows have it."""

    def __init__(self, name: str, rule: Rule, chunk: RawChunk) -> None:
        self._name, self._rule, self._values = name, rule, chunk.features[name]
        if isinstance(self._values, TextColumn):
            cells, good = TextReader(rule, chunk.numbers).distinct(self._values.texts.to_pylist())
            self.cells, self.good = cells[self._values.codes], good[self._values.codes]
        else:
            assert isinstance(rule, NumberRule)  # noqa: S101 - the readers give texts to all others
            floats = pc.cast(self._values, pa.float64(), safe=False).to_numpy(zero_copy_only=False)
            self.cells = rule.read_numbers(floats)
            self.good = rule.admits(self.cells)

    def wrong(self, rows: np.ndarray, *, is_personal: bool) -> "_Wrong":
        """Return what is wrong with rows."""
        if isinstance(self._values, TextColumn):
            places, codes = np.unique(self._values.codes[rows], return_inverse=True)
            found: list[object] = self._values.texts.take(pa.array(places)).to_pylist()
        else:
            values = self._values.take(pa.array(rows)).dictionary_encode(null_encoding="encode")
            codes = values.indices.to_numpy(zero_copy_only=False)
            found = [None if value is None or value != value else value for value in values.dictionary.to_pylist()]  # noqa: PLR0124 - NaN
        texts = ["" if value is None else HIDDEN if is_personal else str(value)[:_LONGEST_VALUE] for value in found]
        return _Wrong(rows, self._name, texts, [self._rule.refusal(self._name, value) for value in found], codes)


@dataclass(frozen=True)
class _Wrong:
    """Rows whose value in a column is wrong: row i of `rows` has the value and the reason at position `codes[i]`."""

    rows: np.ndarray
    column: str
    values: Sequence[str]
    reasons: Sequence[str]
    codes: np.ndarray

    @classmethod
    def of_rows(cls, malformed: Mapping[int, str]) -> "_Wrong":
        rows = sorted(malformed)
        return cls(np.array(rows), "", [""] * len(rows), [malformed[row] for row in rows], np.arange(len(rows)))


def _rejections(lines: np.ndarray, wrong: Sequence[_Wrong]) -> Rejections:
    if not wrong:
        empty = pa.array([], pa.string())
        return Rejections(np.empty(0, np.int64), empty, empty, empty)
    rows = np.concatenate([each.rows for each in wrong])
    order = np.argsort(rows, kind="stable")

    def joined(texts: Sequence[pa.Array]) -> pa.StringArray:
        return pa.chunked_array(texts, pa.string()).combine_chunks().take(pa.array(order))

    return Rejections(
        lines[rows[order]],
        joined([pa.array([each.column]).take(pa.array(np.zeros(len(each.rows), np.int64))) for each in wrong]),
        joined([pa.array(each.values, pa.string()).take(pa.array(each.codes)) for each in wrong]),
        joined([pa.array(each.reasons, pa.string()).take(pa.array(each.codes)) for each in wrong]),
    )
