"""The stream worker: reads messages, scores their records, stores the predictions, then acknowledges.

A message is read at least once and its predictions are stored exactly once: the key of the store is message id, row and role.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from hearth.contracts import Contract
from hearth.errors import ModelUnavailable, StreamUnavailable, UnknownAlias
from hearth.logs import about
from hearth.predictions import PredictionStore
from hearth.predictions.personal_hash import hashes_of
from hearth.serving.model_follower import ModelFollower
from hearth.serving.rollouts.router import Router
from hearth.settings import WorkerSettings
from hearth.streaming.client import Entry
from hearth.streaming.consumer import DeadLetter, StreamConsumer
from hearth.streaming.messages import max_records
from hearth.streaming.retrying import Retrier, Stopped
from hearth.streaming.worker import scoring
from hearth.streaming.worker.committer import Committer, ScoredBatch
from hearth.streaming.worker.personal_values import PersonalValues
from hearth.streaming.worker.recovery import Recovery
from hearth.streaming.worker.reports import Reports
from hearth.tracing.context import in_trace
from hearth.tracing.spans import TRACER, Attributes, Span, begin_batch, span

logger = logging.getLogger(__name__)

_UPKEEP_SECONDS = 1.0
_MAX_DEFERRED_BATCHES = 10  # batches that may wait for their models in memory; then nothing more is read
_RENEWALS = 4  # of the claim to a message, within the idle time after which others may claim it
_REMOVE_CONSUMER_MILLISECONDS = 24 * 3_600_000


class Worker:
    """One consumer of the group. `run` returns when it is asked to stop; every message that it read is then settled or released."""

    def __init__(  # noqa: PLR0913 - its collaborators
        self,
        *,
        stream: StreamConsumer,
        store: PredictionStore,
        models: ModelFollower,
        contracts: Mapping[str, Contract],
        settings: WorkerSettings,
        retrier: Retrier,
        reports: Reports | None = None,
        router: Router | None = None,
    ) -> None:
        self._stream, self._contracts, self._router = stream, contracts, router or Router(models)
        self._settings, self._retrier = settings, retrier
        self._personal = PersonalValues(contracts.values())
        self._hashes = hashes_of(contracts.values(), settings.predictions_hash_key.get_secret_value())
        self._reports = reports or Reports()
        self._reports.watch(retrier)
        self._committer = Committer(stream, store, retrier, self._reports.count_batch)
        self._recovery = Recovery(stream, retrier, settings, self._process_and_commit, self._reports.count_redelivered)
        self._unprocessed: list[Entry] = []  # messages of the latest read that are not handed to the committer
        self._deferred: list[Entry] = []  # messages whose model is not available yet
        self._missing_models: set[tuple[str, str]] = set()
        self._read_count = settings.stream_batch_messages
        self._next_upkeep = self._next_renewal = 0.0

    def run(self) -> None:
        with self._committer:
            try:
                self._retrier.call(self._stream.join)
                self._retrier.call(lambda: self._stream.remove_idle_consumers(_REMOVE_CONSUMER_MILLISECONDS))
                self._recovery.process_own()
                while not self._retrier.stopping:
                    self._upkeep()
                    self._process(self._read())
                self._drain()
            except Stopped:
                logger.info("leaving while a server is away or does not answer")
        self._release()

    def _upkeep(self) -> None:
        """Once a second: retry deferred messages, take over idle ones, trim the stream and report its state."""
        if time.monotonic() < self._next_upkeep:
            return
        self._renew()
        if self._deferred:
            deferred, self._deferred = self._deferred, []
            self._process(deferred)
        self._recovery.process_idle()
        self._retrier.call(self._stream.trim)
        self._reports.poll(self._stream, self._retrier)
        self._next_upkeep = time.monotonic() + _UPKEEP_SECONDS

    def _renew(self) -> None:
        """Renew the claim to all unsettled messages, so that no other worker takes them over."""
        if time.monotonic() < self._next_renewal:
            return
        if ids := self._unsettled_ids:
            self._retrier.call(lambda: self._stream.renew(ids))
        self._next_renewal = time.monotonic() + self._settings.stream_claim_idle_milliseconds / 1000 / _RENEWALS

    def _read(self) -> list[Entry]:
        max_messages, max_batch_records = self._settings.stream_batch_messages, self._settings.stream_batch_records
        messages, records = len(self._deferred), sum(map(max_records, self._deferred))
        is_full = sum(entry.size for entry in self._deferred) >= _MAX_DEFERRED_BATCHES * self._settings.stream_batch_bytes
        if is_full or messages >= _MAX_DEFERRED_BATCHES * max_messages or records >= _MAX_DEFERRED_BATCHES * max_batch_records:
            self._retrier.sleep(_UPKEEP_SECONDS)
            return []
        entries = self._retrier.call(partial(self._stream.read, self._read_count, self._settings.stream_block_milliseconds))
        if entries:  # the next messages are expected to have the same size
            fitting = max_batch_records * len(entries) // sum(map(max_records, entries))
            self._read_count = max(1, min(max_messages, fitting))
        return entries

    def _process_and_commit(self, entries: Sequence[Entry], letters: Sequence[DeadLetter]) -> None:
        """Process messages and letters, and return when all batches are committed."""
        if letters:
            dead = [letter.entry for letter in letters]
            self._hand_over(ScoredBatch(dead, [], [], letters, time.monotonic(), self._begin_span(dead)))
        self._process(entries)
        self._drain()

    def _process(self, entries: Sequence[Entry]) -> None:
        self._unprocessed = list(entries)
        for chunk in scoring.chunks(entries, self._settings.stream_batch_records):
            self._raise_if_late()
            batch = self._score(chunk)
            if batch.entries:
                self._hand_over(batch)
            del self._unprocessed[: len(chunk)]

    @property
    def _unsettled_ids(self) -> list[str]:
        """The ids of all messages that this worker has read and not settled."""
        return list(dict.fromkeys([*self._committer.message_ids, *(entry.id for entry in (*self._unprocessed, *self._deferred))]))

    def _score(self, entries: Sequence[Entry]) -> ScoredBatch:
        """Score messages. Those whose model is not available are deferred and not part of the batch."""
        work = self._begin_span(entries)
        with in_trace(work.context):
            return self._score_within(entries, work)

    def _begin_span(self, entries: Sequence[Entry]) -> Span:
        """Begin the span of a batch, which links to the place in a trace that each of its messages was sent from."""
        name = self._settings.stream_name
        attributes: Attributes = {
            "messaging.system": "redis",
            "messaging.operation.type": "process",
            "messaging.destination.name": name,
            "messaging.consumer.group.name": self._settings.stream_group,
            "messaging.batch.message_count": len(entries),
        }
        is_needed = TRACER.maker is not None or len(entries) == 1  # else the time of reading them is saved
        places = [place for entry in entries if (place := entry.trace)] if is_needed else []
        return begin_batch(f"process {name}", "consumer", places, attributes)

    def _score_within(self, entries: Sequence[Entry], work: Span) -> ScoredBatch:
        began = time.monotonic()
        addresses, letters = scoring.by_address(entries, self._contracts)
        finished = [letter.entry for letter in letters]
        groups: list[scoring.ScoredGroup] = []
        for (dataset, alias), messages in addresses.items():
            try:
                by_version = scoring.by_version(self._router, dataset, alias, messages)
            except UnknownAlias as error:
                letters += [scoring.letter(entry, error) for entry in messages]
            except ModelUnavailable as error:
                self._defer(messages, dataset, alias, error)
                continue
            else:
                self._missing_models.discard((dataset, alias))
                for model, part in by_version:
                    with span("score", attributes={"hearth.dataset": dataset, "hearth.alias": alias, "hearth.version": model.version}):
                        groups.append(
                            scoring.score(model, self._contracts[dataset], part, self._hashes[dataset], self._router, work.context)
                        )
                    letters += groups[-1].letters
            finished += messages
        scored = time.monotonic()
        lines = [line for group in groups for line in group.block.lines()]
        self._reports.add_scoring_time(scored - began, time.monotonic() - scored)
        return ScoredBatch(finished, groups, lines, letters, began, work)

    def _hand_over(self, batch: ScoredBatch) -> None:
        traced = [replace(each, trace_id=(each.entry.trace or batch.span.context).trace_id) for each in batch.letters]
        batch = replace(batch, letters=self._personal.hide(traced))
        while not self._committer.offer(batch, _UPKEEP_SECONDS):
            self._keep_alive()

    def _drain(self) -> None:
        while not self._committer.wait_until_empty(_UPKEEP_SECONDS):
            self._keep_alive()

    def _keep_alive(self) -> None:
        """While the committer is busy: renew claims, report the state of the stream, and stop in time."""
        self._raise_if_late()
        self._renew()
        self._reports.poll(self._stream, self._retrier)

    def _raise_if_late(self) -> None:
        if self._retrier.stopping_for(self._settings.stream_leave_seconds):
            raise Stopped

    def _defer(self, entries: Sequence[Entry], dataset: str, alias: str, error: ModelUnavailable) -> None:
        self._deferred.extend(entries)
        if (dataset, alias) not in self._missing_models:
            self._missing_models.add((dataset, alias))
            logger.warning("messages wait: %s", error, extra=about(dataset, alias=alias))

    def _release(self) -> None:
        """Make unsettled messages available to other workers at once."""
        ids = self._unsettled_ids
        if not ids or self._retrier.is_waiting_for(StreamUnavailable):  # a server that hangs would cost its time-out once more
            return
        try:
            self._stream.release(ids, self._settings.stream_claim_idle_milliseconds)
        except StreamUnavailable:
            return  # they stay pending: this consumer processes them when it starts again, or another one after the idle time
        logger.info("%d messages are left to the next worker", len(ids))
