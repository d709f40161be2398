"""Scores with the challenger, in the background, what the champion has answered, and counts how often the two agree.

Requests come first: the thread scores a few milliseconds' worth of records at a time and then rests several times as long, so it takes a
fifth of one processor at most, however many requests there are and however slow the candidate is. What it does not get to is counted.
"""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import random
from typing import Protocol

import numpy as np

from hearth.contracts.aliases import CHALLENGER
from hearth.contracts.record_parser import Columns
from hearth.errors import ModelUnavailable, UnknownAlias
from hearth.modelling.scorer import Scores
from hearth.serving.model_follower import LoadedModel
from hearth.serving.recording.answer import Answer

_LOGGER = logging.getLogger(__name__)
_PAUSE_SECONDS = 0.1  # what comes in meanwhile is scored together
_BATCH_RECORDS = 1_000
_REST = 4  # times as long as it worked

BEHIND, FAILED = "behind", "failed"


@dataclass(frozen=True)
class ChallengeReport:
    """What one challenger would have answered instead of one champion, since this process served the two.

    `champion_classes` and `challenger_classes` count what each said of the same records. `skipped` counts records that the challenger did
    not score, by reason: behind (it was too slow), failed.
    """

    dataset: str
    champion_version: str
    challenger_version: str
    compared: int
    agreed: int
    champion_classes: Mapping[str, int]
    challenger_classes: Mapping[str, int]
    skipped: Mapping[str, int]

    @property
    def agreement(self) -> float | None:
        """The share of records of which both said the same; None before the first."""
        return self.agreed / self.compared if self.compared else None


@dataclass
class _Tally:
    """Counts of one pair of versions: `both` by champion's class, challenger's class."""

    classes: tuple[str, ...]
    both: np.ndarray
    skipped: Counter[str] = field(default_factory=Counter)


class Served(Protocol):
    """What is needed of the models that a process serves."""

    def get(self, dataset: str, alias: str) -> LoadedModel: ...


class Challenger:
    """A bounded queue and the thread that works it off. Where no version is challenger, nothing is queued."""

    def __init__(self, models: Served, datasets: Iterable[str], share: float, queue_records: int, keep: Callable[[Answer], None]) -> None:
        self._models, self._datasets, self._share, self._queue_records, self._keep = models, tuple(datasets), share, queue_records, keep
        self._wanted: Mapping[str, LoadedModel] = {}
        self._queue: deque[Answer] = deque()
        self._waiting = 0
        self._tallies: dict[str, dict[tuple[str, str], _Tally]] = {}
        self._failing: set[str] = set()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="challenger", daemon=True)

    def start(self) -> None:
        self._wanted = self._challengers()
        self._thread.start()

    def offer(self, answer: Answer) -> None:
        """Note what the champion answered, if there is a challenger and its turn; never waits."""
        challenger = self._wanted.get(answer.model.dataset)
        if challenger is None or challenger.version == answer.model.version or (self._share < 1 and random() >= self._share):  # noqa: S311
            return
        size = len(answer.columns)
        with self._lock:
            if self._waiting and self._waiting + size > self._queue_records:
                self._tally(answer, challenger).skipped[BEHIND] += size
            else:
                self._queue.append(answer)
                self._waiting += size

    def report(self, dataset: str) -> ChallengeReport | None:
        """Return how the present challenger does against the present champion; None before both were asked."""
        with self._lock:
            pairs = self._tallies.get(dataset)
            if not pairs:
                return None
            (champion, challenger), tally = next(reversed(pairs.items()))
            return _report(dataset, champion, challenger, tally)

    def reports(self) -> list[ChallengeReport]:
        """Return all that was compared since the start, for counters that never fall."""
        with self._lock:
            return [_report(dataset, *pair, tally) for dataset, pairs in self._tallies.items() for pair, tally in pairs.items()]

    def close(self) -> None:
        """Stop; what was not scored yet is not scored."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE_SECONDS):
            self._wanted = self._challengers()
            while not self._stop.is_set() and (answers := self._take()):
                by_dataset: dict[str, list[Answer]] = {}
                for answer in answers:
                    by_dataset.setdefault(answer.model.dataset, []).append(answer)
                for dataset, group in by_dataset.items():
                    if dataset in self._wanted:
                        self._score(self._wanted[dataset], group)
                if self._waiting < _BATCH_RECORDS:
                    break

    def _challengers(self) -> dict[str, LoadedModel]:
        found: dict[str, LoadedModel] = {}
        for dataset in self._datasets:
            try:
                found[dataset] = self._models.get(dataset, CHALLENGER)
            except (ModelUnavailable, UnknownAlias):
                continue
        return found

    def _take(self) -> list[Answer]:
        taken: list[Answer] = []
        size = 0
        with self._lock:
            while self._queue and size < _BATCH_RECORDS:
                taken.append(self._queue.popleft())
                size += len(taken[-1].columns)
            self._waiting -= size
        return taken

    def _score(self, challenger: LoadedModel, answers: Sequence[Answer]) -> None:
        columns = Columns(
            np.concatenate([answer.columns.numbers for answer in answers]), np.concatenate([answer.columns.codes for answer in answers])
        )
        try:
            scores = self._scores(challenger, columns)
        except Exception as error:  # noqa: BLE001 - a candidate may fail in any way, and nobody but the log is to notice
            self._failed(challenger, answers, error)
            return
        self._failing.discard(challenger.dataset)
        start = 0
        for answer in answers:
            part = slice(start, start + len(answer.columns))
            start = part.stop
            said = Scores(scores.codes[part], scores.probabilities[part], scores.classes, scores.class_codes)
            with self._lock:
                np.add.at(self._tally(answer, challenger).both, (answer.scores.codes, said.codes), 1)
            self._keep(answer._replace(model=challenger, scores=said, role="challenger"))

    def _scores(self, challenger: LoadedModel, columns: Columns) -> Scores:
        parts: list[Scores] = []
        step = max(1, challenger.records_in_place)
        for start in range(0, len(columns), step):
            began = time.perf_counter()
            parts.append(challenger.scorer.score_columns(columns.rows(slice(start, start + step))))
            self._stop.wait(_REST * (time.perf_counter() - began))
        codes, probabilities = [part.codes for part in parts], [part.probabilities for part in parts]
        return Scores(np.concatenate(codes), np.concatenate(probabilities), parts[0].classes, parts[0].class_codes)

    def _failed(self, challenger: LoadedModel, answers: Sequence[Answer], error: Exception) -> None:
        with self._lock:
            for answer in answers:
                self._tally(answer, challenger).skipped[FAILED] += len(answer.columns)
        if challenger.dataset not in self._failing:
            self._failing.add(challenger.dataset)
            _LOGGER.error("%s: the challenger, version %s, fails", challenger.dataset, challenger.version, exc_info=error)

    def _tally(self, answer: Answer, challenger: LoadedModel) -> _Tally:
        """Return the counts of a pair, which becomes the last one; the lock is held."""
        pairs = self._tallies.setdefault(challenger.dataset, {})
        pair = (answer.model.version, challenger.version)
        if pair not in pairs:
            classes = answer.scores.classes
            pairs[pair] = _Tally(classes, np.zeros((len(classes), len(classes)), dtype=np.int64))
        return pairs[pair]


def _report(dataset: str, champion: str, challenger: str, tally: _Tally) -> ChallengeReport:
    both = tally.both
    return ChallengeReport(
        dataset=dataset,
        champion_version=champion,
        challenger_version=challenger,
        compared=int(both.sum()),
        agreed=int(both.trace()),
        champion_classes=dict(zip(tally.classes, both.sum(axis=1).tolist(), strict=True)),
        challenger_classes=dict(zip(tally.classes, both.sum(axis=0).tolist(), strict=True)),
        skipped=dict(tally.skipped),
    )
