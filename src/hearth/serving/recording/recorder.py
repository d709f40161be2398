"""The one call on a request's way: it notes references and counts, and everything else happens behind the answer's back."""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from random import random
from typing import Self

import numpy as np

from hearth.contracts import Contract
from hearth.contracts.aliases import CHAMPION
from hearth.contracts.record_parser import Columns
from hearth.modelling.scorer import Scores
from hearth.serving.model_follower import LoadedModel
from hearth.serving.recording.answer import Answer, features
from hearth.serving.recording.challenger import Challenger, ChallengeReport, Served
from hearth.serving.recording.messages import Source
from hearth.serving.recording.store_queue import Storing, StoringCounts
from hearth.serving.recording.writer_process import WriterProcess
from hearth.settings import RecordingSettings

_NOT_SAMPLED, _OFF = "not_sampled", "off"
_NO_ROWS = np.empty(0, dtype=np.intp)


@dataclass(frozen=True)
class RecorderCounts:
    """Since the start: records answered by data set, alias, version and source; what was stored of them; and all that was compared."""

    scored: Mapping[tuple[str, str, str, Source], int]
    storing: StoringCounts
    challenges: tuple[ChallengeReport, ...]


class Recorder:
    """Counts, stores and challenges what a process answered. Use it as a context: its end stores what waits, within a limit."""

    def __init__(self, settings: RecordingSettings, contracts: Mapping[str, Contract], models: Served) -> None:
        self._settings = settings
        self._share = {"all": 1.0, "sample": settings.record_sample_share, "none": 0.0}[settings.record_predictions]
        self._left_out = _NOT_SAMPLED if settings.record_predictions == "sample" else _OFF
        known = {name: features(contract) for name, contract in contracts.items()}
        writer = WriterProcess(settings.predictions_url)
        self._storing = Storing(writer, known, settings.record_queue_records, settings.record_most_per_second)
        self._challenger = Challenger(models, contracts, settings.challenger_share, settings.record_queue_records, self._storing.add)
        self._scored: dict[tuple[str, str, str, Source], int] = {}
        self._random = np.random.default_rng()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        if self._share:
            self._storing.start()
        if self._settings.challenger_share:
            self._challenger.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._settings.challenger_share:
            self._challenger.close()
        if self._share:
            self._storing.close(self._settings.record_drain_seconds)

    def record(  # noqa: PLR0913, PLR0917 - what there is to say of an answer
        self,
        model: LoadedModel,
        columns: Columns,
        scores: Scores,
        request_id: str,
        source: Source,
        places: np.ndarray | None = None,
    ) -> None:
        """Note what was answered; takes microseconds, never waits and never fails.

        `request_id` must be an id of its own for every answer: see `ids.unique_id`. An answer that comes in parts has one id, and `places`
        says where in the request each record of a part is. The arrays must not be changed afterwards.
        """
        size = len(columns)
        if not size:
            return
        key = (model.dataset, model.alias, model.version, source)
        with self._lock:
            self._scored[key] = self._scored.get(key, 0) + size
        rows = self._chosen(size)
        kept = size if rows is None else len(rows)
        if kept < size:
            self._storing.leave_out(self._left_out, size - kept, source, "answer")
        answer = Answer(model, columns, scores, request_id, source, "answer", time.time(), rows, places)
        if kept:
            self._storing.add(answer)
        if model.alias == CHAMPION:
            self._challenger.offer(answer)

    def challenge_report(self, dataset: str) -> ChallengeReport | None:
        """Return how the challenger of a data set does; None if it was asked nothing yet."""
        return self._challenger.report(dataset)

    def counts(self) -> RecorderCounts:
        with self._lock:
            scored = dict(self._scored)
        return RecorderCounts(scored, self._storing.counts(), tuple(self._challenger.reports()))

    def _chosen(self, size: int) -> np.ndarray | None:
        """Return which of the records are to be stored, None for all; each has the same chance, whatever comes with it."""
        if self._share == 1.0:
            return None
        if not self._share:
            return _NO_ROWS
        if size == 1:
            return None if random() < self._share else _NO_ROWS  # noqa: S311 - a sample, no secret
        return np.flatnonzero(self._random.random(size) < self._share)
