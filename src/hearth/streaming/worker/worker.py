"""The stream worker: reads messages, scores their records, stores the predictions, and only then acknowledges.

A message is read at least once and its predictions are stored exactly once: the store knows them by message id, row and role.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from functools import partial

from hearth.contracts import Contract
from hearth.errors import ModelUnavailable, StreamUnavailable, UnknownAlias
from hearth.predictions import PredictionStore
from hearth.serving.model_follower import ModelFollower
from hearth.settings import WorkerSettings
from hearth.streaming.client import Entry
from hearth.streaming.consumer import DeadLetter, StreamConsumer
from hearth.streaming.messages import most_records
from hearth.streaming.retrying import Retrier, Stopped
from hearth.streaming.worker import scoring
from hearth.streaming.worker.committer import Batch, Committer
from hearth.streaming.worker.recovery import Recovery
from hearth.streaming.worker.reports import Reports

logger = logging.getLogger(__name__)

_UPKEEP_SECONDS = 1.0
_WAITING_BATCHES = 10  # so many batches may wait for their models in memory before nothing more is read
_HOLDS = 4  # so often within the time after which others take over what a worker holds, it says that it still does
_FORGET_MILLISECONDS = 24 * 3_600_000


class Worker:
    """One consumer of the group. `run` returns when it is asked to stop, with what it had in hand settled or given back."""

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        *,
        stream: StreamConsumer,
        store: PredictionStore,
        models: ModelFollower,
        contracts: Mapping[str, Contract],
        settings: WorkerSettings,
        retrier: Retrier,
        reports: Reports | None = None,
    ) -> None:
        self._stream, self._models, self._contracts = stream, models, contracts
        self._settings, self._retrier = settings, retrier
        self._reports = reports or Reports()
        self._reports.watch(retrier)
        self._committer = Committer(stream, store, retrier, self._reports.settled)
        self._recovery = Recovery(stream, retrier, settings, self._settle_all, self._reports.came_again)
        self._read_ahead: list[Entry] = []  # of what was read at once, what is not handed over yet
        self._waiting: list[Entry] = []  # for a model that is not there yet
        self._missing: set[tuple[str, str]] = set()
        self._read_count = settings.stream_batch_messages
        self._next_upkeep = self._next_hold = 0.0

    def run(self) -> None:
        with self._committer:
            try:
                self._retrier.call(self._stream.join)
                self._retrier.call(lambda: self._stream.forget_consumers(_FORGET_MILLISECONDS))
                self._recovery.own()
                while not self._retrier.ended:
                    self._upkeep()
                    self._handle(self._read())
                self._drain()
            except Stopped:
                logger.info("leaving while a server is away or does not answer")
        self._give_back()

    def _upkeep(self) -> None:
        """Once a second: retry what waits for a model, take over what other consumers have dropped, trim the stream, look how it is."""
        if time.monotonic() < self._next_upkeep:
            return
        self._hold()
        if self._waiting:
            again, self._waiting = self._waiting, []
            self._handle(again)
        self._recovery.others()
        self._retrier.call(self._stream.trim)
        self._reports.look(self._stream, self._retrier)
        self._next_upkeep = time.monotonic() + _UPKEEP_SECONDS

    def _hold(self) -> None:
        """Say that what is in hand still is, so that no other worker takes it over."""
        if time.monotonic() < self._next_hold:
            return
        if ids := self._held:
            self._retrier.call(lambda: self._stream.keep(ids))
        self._next_hold = time.monotonic() + self._settings.stream_claim_idle_milliseconds / 1000 / _HOLDS

    def _read(self) -> list[Entry]:
        settings = self._settings
        messages, records = len(self._waiting), sum(map(most_records, self._waiting))
        if messages >= _WAITING_BATCHES * settings.stream_batch_messages or records >= _WAITING_BATCHES * settings.stream_batch_records:
            self._retrier.sleep(_UPKEEP_SECONDS)
            return []
        entries = self._retrier.call(partial(self._stream.read, self._read_count, settings.stream_block_milliseconds))
        if entries:  # the next messages will be as large as these
            fitting = settings.stream_batch_records * len(entries) // sum(map(most_records, entries))
            self._read_count = max(1, min(settings.stream_batch_messages, fitting))
        return entries

    def _settle_all(self, entries: Sequence[Entry], letters: Sequence[DeadLetter]) -> None:
        """Handle messages and return when nothing is in hand."""
        if letters:
            self._hand_over(Batch([letter.entry for letter in letters], [], [], letters, time.monotonic()))
        self._handle(entries)
        self._drain()

    def _handle(self, entries: Sequence[Entry]) -> None:
        self._read_ahead = list(entries)
        for chunk in scoring.chunks(entries, self._settings.stream_batch_records):
            self._leave_in_time()
            batch = self._scored(chunk)
            if batch.entries:
                self._hand_over(batch)
            del self._read_ahead[: len(chunk)]

    @property
    def _held(self) -> list[str]:
        """The ids of all messages that this worker has read and not settled."""
        return list(dict.fromkeys([*self._committer.in_hand, *(entry.id for entry in (*self._read_ahead, *self._waiting))]))

    def _scored(self, entries: Sequence[Entry]) -> Batch:
        """Score messages. What has no model yet waits in memory, and stays unsettled."""
        began = time.monotonic()
        groups, letters = scoring.by_address(entries, self._contracts)
        settled = [letter.entry for letter in letters]
        scored: list[scoring.Scored] = []
        for (dataset, alias), group in groups.items():
            try:
                model = self._models.get(dataset, alias)
            except UnknownAlias as error:
                letters += [scoring.letter(entry, error) for entry in group]
            except ModelUnavailable as error:
                self._keep_waiting(group, dataset, alias, error)
                continue
            else:
                self._missing.discard((dataset, alias))
                scored.append(scoring.score(model, self._contracts[dataset], group))
                letters += scored[-1].letters
            settled += group
        done = time.monotonic()
        lines = [line for one in scored for line in one.block.lines()]
        self._reports.scored(done - began, time.monotonic() - done)
        return Batch(settled, scored, lines, letters, began)

    def _hand_over(self, batch: Batch) -> None:
        while not self._committer.offer(batch, _UPKEEP_SECONDS):
            self._meanwhile()

    def _drain(self) -> None:
        while not self._committer.drained(_UPKEEP_SECONDS):
            self._meanwhile()

    def _meanwhile(self) -> None:
        """While a server takes its time: say that what is in hand still is, and how the stream is, and leave when it is time."""
        self._leave_in_time()
        self._hold()
        self._reports.look(self._stream, self._retrier)

    def _leave_in_time(self) -> None:
        if self._retrier.ended_for(self._settings.stream_leave_seconds):
            raise Stopped

    def _keep_waiting(self, group: Sequence[Entry], dataset: str, alias: str, error: ModelUnavailable) -> None:
        self._waiting.extend(group)
        if (dataset, alias) not in self._missing:
            self._missing.add((dataset, alias))
            logger.warning("messages wait: %s", error)

    def _give_back(self) -> None:
        """Leave what is unsettled to the next worker that looks, at once."""
        ids = self._held
        if not ids or self._retrier.waits_for(StreamUnavailable):  # a server that hangs would cost its time-out once more
            return
        try:
            self._stream.give_back(ids, self._settings.stream_claim_idle_milliseconds)
        except StreamUnavailable:
            return  # they stay this consumer's: it finds them when it starts again, or another does after the idle time
        logger.info("%d messages are left to the next worker", len(ids))
