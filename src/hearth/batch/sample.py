"""The records of a batch that count for drift: at most a few hundred, drawn by the hash of their places, whatever the chunks are.

Each chunk has its own records of the smallest hashes; the smallest of all chunks are stored as predictions when the batch is done. So a
batch of millions takes no more room among the newest answers than its sample does.
"""

import hashlib
import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from pydantic import TypeAdapter

from hearth.batch.chunk import ScoredChunk
from hearth.batch.model import BatchModel
from hearth.batch.output import Output
from hearth.contracts import Contract
from hearth.contracts.record_parser import Columns, raw_values
from hearth.predictions import Prediction
from hearth.predictions.personal_hash import PersonalHash
from hearth.predictions.prediction import BATCH
from hearth.predictions.recorded_columns import recorded_columns
from hearth.tracing.context import current_trace_id

_DIGITS = 4  # of a stored score
_MULTIPLIERS = (0xBF58476D1CE4E5B9, 0x94D049BB133111EB)  # of splitmix64 (Steele, Lea, Flood 2014)


@dataclass(frozen=True)
class Drawn:
    """A record with its answer, and the hash that it was drawn by."""

    hash: int
    prediction: Prediction


_DRAWN = TypeAdapter(list[Drawn])


@dataclass(frozen=True)
class Sampler:
    """Draws records; `records` of a batch at most, none if that is 0. Personal values are left out or hashed, as in all stored records."""

    contract: Contract
    hashes: PersonalHash
    records: int

    def draw(self, name: str, model: BatchModel, chunk: ScoredChunk, now: datetime) -> list[Drawn]:
        """Draw from a chunk of the object `name`."""
        hashes = _hashes(name, chunk.lines)
        most = min(self.records, len(hashes))
        places = np.sort(np.argpartition(hashes, most - 1)[:most]) if most else np.empty(0, np.intp)
        columns = Columns(chunk.columns.numbers[places], chunk.columns.codes[places])
        scores = chunk.scores
        sets: list[list[str]] | None = None
        if model.sets is not None and len(places):
            sets = model.sets.labels(scores.probabilities[places], scores.classes)
        unusual = model.unusual(columns) if model.unusual is not None and len(places) else None
        stored = recorded_columns(self.contract)
        drawn = []
        for row, place in enumerate(places.tolist()):
            values = raw_values(self.contract, columns, row)
            code = int(scores.codes[place])
            prediction = Prediction(
                message_id="",
                row=0,
                dataset=model.dataset,
                alias=model.alias,
                version=model.version,
                family=model.family,
                code=code,
                label=scores.classes[code],
                probabilities=tuple(scores.probabilities[place].tolist()),
                record={column: self.hashes.hashed(column, value) for column, value in values.items() if column in stored},
                enqueued_at=None,
                scored_at=now,
                source=BATCH,
                label_set=tuple(sets[row]) if sets is not None else None,
                unusual_score=round(float(unusual[0][row]), _DIGITS) if unusual is not None else None,
                is_unusual=bool(unusual[1][row]) if unusual is not None else None,
            )
            drawn.append(Drawn(int(hashes[place]), prediction))
        return drawn

    def collect(self, output: Output, names: Sequence[str], batch_id: str, now: datetime) -> list[Prediction]:
        """Return the sample of all chunks whose drawn records are in files, as predictions of the message `batch-<id>`."""
        best: list[Drawn] = []
        for name in names:
            content = output.read(name)
            best = heapq.nsmallest(self.records, [*best, *(read_drawn(content) if content else ())], key=lambda drawn: drawn.hash)
        trace = current_trace_id()
        return [
            replace(drawn.prediction, message_id=f"{BATCH}-{batch_id}", row=row, scored_at=now, trace_id=trace)
            for row, drawn in enumerate(best)
        ]


def write_drawn(drawn: Sequence[Drawn]) -> bytes:
    """Return records as `read_drawn` reads them."""
    return _DRAWN.dump_json(list(drawn))


def read_drawn(content: bytes) -> list[Drawn]:
    """Read what `write_drawn` has written."""
    return _DRAWN.validate_json(content)


def _hashes(name: str, lines: np.ndarray) -> np.ndarray:
    """Return a hash of each place, (n,) uint64."""
    seed = np.frombuffer(hashlib.sha256(name.encode()).digest()[:8], dtype=np.uint64)[0]
    with np.errstate(over="ignore"):
        mixed = lines.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + seed
        for multiplier, shift in zip(_MULTIPLIERS, (30, 27), strict=True):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(multiplier)
        result: np.ndarray = mixed ^ (mixed >> np.uint64(31))
    return result
