"""Predictions as lines for PostgreSQL's COPY, which is five times as fast as INSERT.

A line begins with the key, so sorted lines are in the order of their keys.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime

import numpy as np
from pydantic_core import to_json

from hearth.predictions.prediction import Prediction

COLUMNS = tuple(field.name for field in fields(Prediction))
_NULL = rb"\N"
_NO_PARTS = b"\t".join([_NULL] * 3)
_BOOLEANS = (b"f", b"t")
_SPECIAL = ((b"\\", rb"\\"), (b"\t", rb"\t"), (b"\n", rb"\n"), (b"\r", rb"\r"))


@dataclass(frozen=True, slots=True)
class StoredParts:
    """What is stored beside n predictions, as far as their version knows it.

    `members`, shape (n, classes), tells which classes are in the set of a record; `scores`, (n,), how unusual each record is, from 0 to 1,
    and `unusual`, (n,), whether it is above the threshold.
    """

    members: np.ndarray | None = None
    scores: np.ndarray | None = None
    unusual: np.ndarray | None = None

    def rows(self, chosen: slice) -> "StoredParts":
        """Return those of some of the predictions."""
        return StoredParts(*(None if part is None else part[chosen] for part in (self.members, self.scores, self.unusual)))


NO_PARTS = StoredParts()


@dataclass(frozen=True, slots=True)
class PredictionBlock:
    """Predictions of one version for n records, in columns.

    `message_ids`, `rows`, `enqueued_at` and `records` have n items, and `trace_ids` n or none. `codes` has the shape (n,),
    `probabilities` (n, classes); `classes` are the labels of the codes. The other fields apply to all records.
    """

    dataset: str
    alias: str
    version: str
    family: str
    classes: tuple[str, ...]
    scored_at: datetime
    message_ids: Sequence[str]
    rows: Sequence[int]
    enqueued_at: Sequence[datetime | None]
    records: Sequence[Mapping[str, object]]
    codes: np.ndarray
    probabilities: np.ndarray
    source: str = "stream"
    role: str = "answer"
    parts: StoredParts = NO_PARTS
    trace_ids: Sequence[str | None] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def lines(self) -> Iterator[bytes]:
        """Yield a line for each prediction."""
        if not self.rows:
            return
        model = b"\t".join(map(_text, (self.dataset, self.alias, self.version, self.family)))
        labels = [b"%d\t%b" % (code, _text(label)) for code, label in enumerate(self.classes)]
        tail = b"\t".join(map(_text, (self.scored_at.isoformat(), self.source, self.role)))
        # All probabilities become text in one call: [[0.1,0.9],[0.2,0.8]] without the outer brackets, cut between the inner ones
        probabilities = to_json(self.probabilities.tolist(), inf_nan_mode="constants")[2:-2].split(b"],[")
        times: dict[datetime | None, bytes] = {}
        columns = (self.message_ids, self.rows, self.enqueued_at, self.records, self.codes.tolist(), probabilities, self._parts())
        traces = [_trace(trace_id) for trace_id in self.trace_ids] or [_NULL] * len(self)
        for message_id, row, enqueued_at, record, code, values, parts, trace in zip(*columns, traces, strict=True):
            if enqueued_at not in times:
                times[enqueued_at] = _time(enqueued_at)
            line_fields = _text(message_id), row, model, labels[code], values, _json(record), times[enqueued_at], tail, parts, trace
            yield b"%b\t%d\t%b\t%b\t{%b}\t%b\t%b\t%b\t%b\t%b\n" % line_fields

    def _parts(self) -> list[bytes]:
        """Return for each prediction the set, the score, and whether it is unusual."""
        parts, size = self.parts, len(self)
        if parts.members is None and parts.scores is None:
            return [_NO_PARTS] * size
        sets = [_NULL] * size if parts.members is None else _sets(parts.members, self.classes)
        if parts.scores is None or parts.unusual is None:
            return [b"%b\t\\N\t\\N" % set_ for set_ in sets]
        scores = to_json(parts.scores.tolist())[1:-1].split(b",")
        return [
            b"%b\t%b\t%b" % (set_, score, _BOOLEANS[is_unusual])
            for set_, score, is_unusual in zip(sets, scores, parts.unusual.tolist(), strict=True)
        ]


def line(prediction: Prediction) -> bytes:
    """Return the line of one prediction."""
    probabilities = to_json(prediction.probabilities, inf_nan_mode="constants")[1:-1]
    model = (prediction.dataset, prediction.alias, prediction.version, prediction.family)
    last = (prediction.scored_at.isoformat(), prediction.source, prediction.role)
    parts = (
        _NULL if prediction.label_set is None else _text_array(prediction.label_set),
        _NULL if prediction.unusual_score is None else to_json(prediction.unusual_score),
        _NULL if prediction.is_unusual is None else _BOOLEANS[prediction.is_unusual],
    )
    return b"%b\t%d\t%b\t%d\t%b\t{%b}\t%b\t%b\t%b\t%b\t%b\n" % (
        _text(prediction.message_id),
        prediction.row,
        b"\t".join(map(_text, model)),
        prediction.code,
        _text(prediction.label),
        probabilities,
        _json(prediction.record),
        _time(prediction.enqueued_at),
        b"\t".join(map(_text, last)),
        b"\t".join(parts),
        _trace(prediction.trace_id),
    )


def _sets(members: np.ndarray, classes: Sequence[str]) -> list[bytes]:
    """Return the classes that are members, row by row, as arrays; each combination is written once."""
    packed = np.packbits(members, axis=1)
    width, content = packed.shape[1], packed.tobytes()
    known: dict[bytes, bytes] = {}
    sets = []
    for row, start in enumerate(range(0, len(content), width)):
        key = content[start : start + width]
        if key not in known:
            known[key] = _text_array([classes[code] for code in np.flatnonzero(members[row]).tolist()])
        sets.append(known[key])
    return sets


def _text_array(texts: Sequence[str]) -> bytes:
    quoted = ('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts)
    return _text("{" + ",".join(quoted) + "}")


def _text(text: str) -> bytes:
    raw = text.encode()
    for special, escaped in _SPECIAL:
        if special in raw:
            raw = raw.replace(special, escaped)
    return raw


def _json(record: Mapping[str, object]) -> bytes:
    raw = to_json(record)
    return raw.replace(b"\\", rb"\\") if b"\\" in raw else raw  # JSON writes the other special characters with a backslash


def _trace(trace_id: str | None) -> bytes:
    return _NULL if trace_id is None else trace_id.encode()


def _time(moment: datetime | None) -> bytes:
    return _NULL if moment is None else moment.isoformat().encode()
