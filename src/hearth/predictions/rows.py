"""Predictions as lines of PostgreSQL's COPY, which takes them five times as fast as INSERT does.

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
_SPECIAL = ((b"\\", rb"\\"), (b"\t", rb"\t"), (b"\n", rb"\n"), (b"\r", rb"\r"))


@dataclass(frozen=True, slots=True)
class PredictionBlock:
    """What one version said about many records: as many predictions, in columns.

    `message_ids`, `rows`, `enqueued_at` and `records` have an item for each record, `codes` and `probabilities` a row; `classes` names the
    codes. The rest is the same for all.
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

    def __len__(self) -> int:
        return len(self.rows)

    def lines(self) -> Iterator[bytes]:
        """Yield a line for each prediction."""
        if not self.rows:
            return
        model = b"\t".join(map(_text, (self.dataset, self.alias, self.version, self.family)))
        said = [b"%d\t%b" % (code, _text(label)) for code, label in enumerate(self.classes)]
        tail = b"\t".join(map(_text, (self.scored_at.isoformat(), self.source, self.role)))
        # All probabilities become text in one call: [[0.1,0.9],[0.2,0.8]] without the outer brackets, cut between the inner ones
        probabilities = to_json(self.probabilities.tolist(), inf_nan_mode="constants")[2:-2].split(b"],[")
        times: dict[datetime | None, bytes] = {}
        columns = (self.message_ids, self.rows, self.enqueued_at, self.records, self.codes.tolist(), probabilities)
        for message_id, row, enqueued_at, record, code, chances in zip(*columns, strict=True):
            if enqueued_at not in times:
                times[enqueued_at] = _time(enqueued_at)
            values = _text(message_id), row, model, said[code], chances, _json(record), times[enqueued_at], tail
            yield b"%b\t%d\t%b\t%b\t{%b}\t%b\t%b\t%b\n" % values


def line(given: Prediction) -> bytes:
    """Return the line of one prediction."""
    chances = to_json(given.probabilities, inf_nan_mode="constants")[1:-1]
    named = (given.dataset, given.alias, given.version, given.family)
    last = (given.scored_at.isoformat(), given.source, given.role)
    return b"%b\t%d\t%b\t%d\t%b\t{%b}\t%b\t%b\t%b\n" % (
        _text(given.message_id),
        given.row,
        b"\t".join(map(_text, named)),
        given.code,
        _text(given.label),
        chances,
        _json(given.record),
        _time(given.enqueued_at),
        b"\t".join(map(_text, last)),
    )


def _text(text: str) -> bytes:
    raw = text.encode()
    for special, escaped in _SPECIAL:
        if special in raw:
            raw = raw.replace(special, escaped)
    return raw


def _json(record: Mapping[str, object]) -> bytes:
    raw = to_json(record)
    return raw.replace(b"\\", rb"\\") if b"\\" in raw else raw  # JSON writes the other special characters with a backslash


def _time(moment: datetime | None) -> bytes:
    return _NULL if moment is None else moment.isoformat().encode()
