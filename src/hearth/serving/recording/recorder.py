"""Records answers: one call for each response, which counts and queues; the work is done in other threads and processes."""

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
from hearth.predictions.personal_hash import hashes_of
from hearth.serving.loaded_model import LoadedModel
from hearth.serving.recording.agreement import ChallengeReport
from hearth.serving.recording.answer import Answer, describe_features
from hearth.serving.recording.challenger import Challenger, ServedModels
from hearth.serving.recording.messages import Source
from hearth.serving.recording.store_queue import StoreCounts, StoreQueue
from hearth.serving.recording.writer_process import WriterProcess
from hearth.settings import RecordingSettings
from hearth.tracing.context import current_trace

_NOT_SAMPLED, _OFF = "not_sampled", "off"
_NO_ROWS = np.empty(0, dtype=np.intp)


@dataclass(frozen=True)
class RecorderCounts:
    """Counts since the start: records by data set, alias, version and source; stored records; comparisons with challengers."""

    scored: Mapping[tuple[str, str, str, Source], int]
    storing: StoreCounts
    challenges: tuple[ChallengeReport, ...]


class Recorder:
    """Counts and stores the answers of a process and compares them with the challenger's.

    Raises InvalidSettings when it is made if a contract wants hashes and there is no key.

    A context manager: leaving it stores queued answers, for up to HEARTH_RECORD_DRAIN_SECONDS.
    """

    def __init__(self, settings: RecordingSettings, contracts: Mapping[str, Contract], models: ServedModels) -> None:
        self._settings = settings
        self._share = {"all": 1.0, "sample": settings.record_sample_share, "none": 0.0}[settings.record_predictions]
        self._skip_reason = _NOT_SAMPLED if settings.record_predictions == "sample" else _OFF
        hashes = hashes_of(contracts.values(), settings.predictions_hash_key.get_secret_value()) if self._share else {}
        features = {name: describe_features(contract, hashes.get(name)) for name, contract in contracts.items()}
        writer = WriterProcess(settings.predictions_url)
        self._store_queue = StoreQueue(writer, features, settings.record_queue_records, settings.record_most_per_second)
        self._challenger = Challenger(models, contracts, settings.challenger_share, settings.record_queue_records, self._store_queue.add)
        self._scored: dict[tuple[str, str, str, Source], int] = {}
        self._random = np.random.default_rng()
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        if self._share:
            self._store_queue.start()
        if self._settings.challenger_share:
            self._challenger.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._settings.challenger_share:
            self._challenger.close()
        if self._share:
            self._store_queue.close(self._settings.record_drain_seconds)

    def record(  # noqa: PLR0913, PLR0917 - the parts of an answer
        self,
        model: LoadedModel,
        columns: Columns,
        scores: Scores,
        request_id: str,
        source: Source,
        places: np.ndarray | None = None,
    ) -> None:
        """Count and queue an answer; takes microseconds, never waits and never fails.

        Args:
            model: the version that answered.
            columns: n checked records.
            scores: of the records. The arrays must not be changed afterwards.
            request_id: unique for each answer, see `request_ids.unique_id`; the parts of one answer share it.
            source: the protocol.
            places: shape (n,), the positions of the records in the request, if this is a part of it.
        """
        size = len(columns)
        if not size:
            return
        key = (model.dataset, model.alias, model.version, source)
        with self._lock:
            self._scored[key] = self._scored.get(key, 0) + size
        rows = self._sample(size)
        sampled = size if rows is None else len(rows)
        if sampled < size:
            self._store_queue.skip(self._skip_reason, size - sampled, source, "answer")
        answer = Answer(model, columns, scores, request_id, source, "answer", time.time(), rows, places, current_trace())
        if sampled:
            self._store_queue.add(answer)
        if model.alias == CHAMPION:
            self._challenger.offer(answer)

    def challenge_report(self, dataset: str) -> ChallengeReport | None:
        """Return the report on the challenger of a data set; None before the first comparison."""
        return self._challenger.report(dataset)

    def counts(self) -> RecorderCounts:
        with self._lock:
            scored = dict(self._scored)
        return RecorderCounts(scored, self._store_queue.counts(), tuple(self._challenger.reports()))

    def _sample(self, size: int) -> np.ndarray | None:
        """Return the indices of records to store, None for all; each record has the same probability."""
        if self._share == 1.0:
            return None
        if not self._share:
            return _NO_ROWS
        if size == 1:
            return None if random() < self._share else _NO_ROWS  # noqa: S311 - not a secret
        return np.flatnonzero(self._random.random(size) < self._share)
