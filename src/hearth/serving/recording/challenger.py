"""Scores in the background, with the challenger, records that the champion has answered, and counts how often the two agree.

Requests come first: after a few milliseconds of scoring the thread rests four times as long, so it uses at most a fifth of one processor,
whatever the load and the speed of the challenger. Records that it has no time for are counted.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import random
from typing import Protocol

import numpy as np

from hearth.contracts.aliases import CHALLENGER
from hearth.contracts.record_parser import Columns
from hearth.errors import ModelUnavailable, UnknownAlias
from hearth.logs import about
from hearth.modelling.scorer import Scores
from hearth.serving.loaded_model import LoadedModel
from hearth.serving.recording.agreement import ChallengeReport, Tally
from hearth.serving.recording.answer import Answer

_LOGGER = logging.getLogger(__name__)
_PAUSE_SECONDS = 0.1  # answers of this time are scored together
_BATCH_RECORDS = 1_000
_REST_FACTOR = 4  # the thread rests this many times as long as it scores

BEHIND, FAILED = "behind", "failed"


class ServedModels(Protocol):
    """The part of the models of a process that is needed here."""

    def get(self, dataset: str, alias: str) -> LoadedModel: ...


class Challenger:
    """A bounded queue of answers and the thread that scores them. For a data set without challenger nothing is queued."""

    def __init__(
        self, models: ServedModels, datasets: Iterable[str], share: float, queue_records: int, store: Callable[[Answer], None]
    ) -> None:
        """`share`, 0 to 1, of the requests is scored. `store` receives the challenger's answers."""
        self._models, self._datasets, self._share, self._queue_records, self._store = models, tuple(datasets), share, queue_records, store
        self._challengers: Mapping[str, LoadedModel] = {}
        self._queue: deque[Answer] = deque()
        self._waiting = 0
        self._tallies: dict[str, dict[tuple[str, str], Tally]] = {}
        self._failing: set[str] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="challenger", daemon=True)

    def start(self) -> None:
        self._challengers = self._find_challengers()
        self._thread.start()

    def offer(self, answer: Answer) -> None:
        """Queue an answer of the champion if the data set has a challenger and the sample includes it; never waits."""
        challenger = self._challengers.get(answer.model.dataset)
        if challenger is None or challenger.version == answer.model.version or (self._share < 1 and random() >= self._share):  # noqa: S311
            return
        size = len(answer.columns)
        with self._lock:
            if self._waiting and self._waiting + size > self._queue_records:
                self._tally(answer, challenger).skip(BEHIND, size)
            else:
                self._queue.append(answer)
                self._waiting += size

    def report(self, dataset: str) -> ChallengeReport | None:
        """Return the report of the current challenger and champion; None before the first comparison."""
        with self._lock:
            tallies = self._tallies.get(dataset)
            return next(reversed(tallies.values())).report() if tallies else None

    def reports(self) -> list[ChallengeReport]:
        """Return a report for each pair of versions since the start; its counts never fall."""
        with self._lock:
            return [tally.report() for tallies in self._tallies.values() for tally in tallies.values()]

    def close(self) -> None:
        """Stop the thread; queued answers are dropped."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE_SECONDS):
            self._challengers = self._find_challengers()
            while not self._stop.is_set() and (answers := self._next_batch()):
                by_dataset: dict[str, list[Answer]] = {}
                for answer in answers:
                    by_dataset.setdefault(answer.model.dataset, []).append(answer)
                for dataset, group in by_dataset.items():
                    if dataset in self._challengers:
                        self._challenge(self._challengers[dataset], group)
                if self._waiting < _BATCH_RECORDS:
                    break

    def _find_challengers(self) -> dict[str, LoadedModel]:
        challengers: dict[str, LoadedModel] = {}
        for dataset in self._datasets:
            try:
                challengers[dataset] = self._models.get(dataset, CHALLENGER)
            except (ModelUnavailable, UnknownAlias):
                continue
        return challengers

    def _next_batch(self) -> list[Answer]:
        answers: list[Answer] = []
        size = 0
        with self._lock:
            while self._queue and size < _BATCH_RECORDS:
                answers.append(self._queue.popleft())
                size += len(answers[-1].columns)
            self._waiting -= size
        return answers

    def _challenge(self, challenger: LoadedModel, answers: Sequence[Answer]) -> None:
        columns = Columns(
            np.concatenate([answer.columns.numbers for answer in answers]), np.concatenate([answer.columns.codes for answer in answers])
        )
        try:
            scores = self._score(challenger, columns)
        except Exception as error:  # noqa: BLE001 - a challenger may fail in any way, and only the log and a counter report it
            self._count_failure(challenger, answers, error)
            return
        self._failing.discard(challenger.dataset)
        start = 0
        for answer in answers:
            part = slice(start, start + len(answer.columns))
            start = part.stop
            challenge = Scores(scores.codes[part], scores.probabilities[part], scores.classes, scores.class_codes)
            with self._lock:
                self._tally(answer, challenger).add(answer.scores.codes, challenge.codes)
            self._store(answer._replace(model=challenger, scores=challenge, role="challenger"))

    def _score(self, challenger: LoadedModel, columns: Columns) -> Scores:
        parts: list[Scores] = []
        step = max(1, challenger.records_in_place)
        for start in range(0, len(columns), step):
            began = time.perf_counter()
            parts.append(challenger.scorer.score_columns(columns.rows(slice(start, start + step))))
            self._stop.wait(_REST_FACTOR * (time.perf_counter() - began))
        codes, probabilities = [part.codes for part in parts], [part.probabilities for part in parts]
        return Scores(np.concatenate(codes), np.concatenate(probabilities), parts[0].classes, parts[0].class_codes)

    def _count_failure(self, challenger: LoadedModel, answers: Sequence[Answer], error: Exception) -> None:
        with self._lock:
            for answer in answers:
                self._tally(answer, challenger).skip(FAILED, len(answer.columns))
        if challenger.dataset not in self._failing:
            self._failing.add(challenger.dataset)
            _LOGGER.error(
                "%s: the challenger, version %s, fails",
                challenger.dataset,
                challenger.version,
                exc_info=error,
                extra=about(challenger.dataset, version=challenger.version),
            )

    def _tally(self, answer: Answer, challenger: LoadedModel) -> Tally:
        """Return the counts of a pair of versions; a new pair becomes the last one. The caller holds the lock."""
        tallies = self._tallies.setdefault(challenger.dataset, {})
        versions = (answer.model.version, challenger.version)
        if versions not in tallies:
            tallies[versions] = Tally(challenger.dataset, versions, answer.scores.classes)
        return tallies[versions]
