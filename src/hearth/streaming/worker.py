"""The stream worker: reads messages, scores their records, stores the predictions, and only then acknowledges.

A message is read at least once and its predictions are stored exactly once: the store knows them by message id, row and role.
"""

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial

from hearth.contracts import Contract, list_contracts
from hearth.errors import HearthError, ModelUnavailable, StreamUnavailable, UnknownAlias
from hearth.metrics import new_registry, serve_metrics, tell_models
from hearth.predictions import PredictionStore
from hearth.predictions.migration import migrate
from hearth.predictions.retention import Retention
from hearth.registry import Registry
from hearth.serving import Models
from hearth.settings import WorkerSettings
from hearth.streaming import jobs
from hearth.streaming.client import Entry
from hearth.streaming.messages import most_records
from hearth.streaming.patience import Patience, Stopped
from hearth.streaming.reader import DeadLetter, StreamReader
from hearth.streaming.recovery import Recovery
from hearth.streaming.reports import Reports
from hearth.streaming.settling import Batch, Settler
from hearth.telemetry import configure_logging

logger = logging.getLogger(__name__)

_UPKEEP_SECONDS = 1.0
_WAITING_BATCHES = 10  # so many batches may wait for their models in memory before nothing more is read
_HOLDS = 4  # so often within the time after which others take over what a worker holds, it says that it still does
_GIVE_BACK_SECONDS = 10.0  # so long after its time to leave a worker may still take
_FORGET_MILLISECONDS = 24 * 3_600_000
_SWITCH_SECONDS = 0.0005  # so that the thread that settles need not wait 5 ms for the one that scores, each time a server has answered


class Worker:
    """One consumer of the group. `run` returns when it is asked to stop, with what it had in hand settled or given back."""

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        *,
        stream: StreamReader,
        store: PredictionStore,
        models: Models,
        contracts: Mapping[str, Contract],
        settings: WorkerSettings,
        patience: Patience,
        reports: Reports | None = None,
    ) -> None:
        self._stream, self._models, self._contracts = stream, models, contracts
        self._settings, self._patience = settings, patience
        self._reports = reports or Reports()
        self._reports.watch(patience)
        self._settler = Settler(stream, store, patience, self._reports.settled)
        self._recovery = Recovery(stream, patience, settings, self._settle_all, self._reports.came_again)
        self._read_ahead: list[Entry] = []  # of what was read at once, what is not handed over yet
        self._waiting: list[Entry] = []  # for a model that is not there yet
        self._missing: set[tuple[str, str]] = set()
        self._read_count = settings.stream_batch_messages
        self._next_upkeep = self._next_hold = 0.0

    def run(self) -> None:
        with self._settler:
            try:
                self._patience.keep_trying(self._stream.join)
                self._patience.keep_trying(lambda: self._stream.forget_consumers(_FORGET_MILLISECONDS))
                self._recovery.own()
                while not self._patience.ended:
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
        self._patience.keep_trying(self._stream.trim)
        self._reports.look(self._stream, self._patience)
        self._next_upkeep = time.monotonic() + _UPKEEP_SECONDS

    def _hold(self) -> None:
        """Say that what is in hand still is, so that no other worker takes it over."""
        if time.monotonic() < self._next_hold:
            return
        if ids := self._held:
            self._patience.keep_trying(lambda: self._stream.keep(ids))
        self._next_hold = time.monotonic() + self._settings.stream_claim_idle_milliseconds / 1000 / _HOLDS

    def _read(self) -> list[Entry]:
        settings = self._settings
        messages, records = len(self._waiting), sum(map(most_records, self._waiting))
        if messages >= _WAITING_BATCHES * settings.stream_batch_messages or records >= _WAITING_BATCHES * settings.stream_batch_records:
            self._patience.sleep(_UPKEEP_SECONDS)
            return []
        entries = self._patience.keep_trying(partial(self._stream.read, self._read_count, settings.stream_block_milliseconds))
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
        for chunk in jobs.chunks(entries, self._settings.stream_batch_records):
            self._leave_in_time()
            batch = self._scored(chunk)
            if batch.entries:
                self._hand_over(batch)
            del self._read_ahead[: len(chunk)]

    @property
    def _held(self) -> list[str]:
        """The ids of all messages that this worker has read and not settled."""
        return list(dict.fromkeys([*self._settler.in_hand, *(entry.id for entry in (*self._read_ahead, *self._waiting))]))

    def _scored(self, entries: Sequence[Entry]) -> Batch:
        """Score messages. What has no model yet waits in memory, and stays unsettled."""
        began = time.monotonic()
        groups, letters = jobs.by_address(entries, self._contracts)
        settled = [letter.entry for letter in letters]
        scored: list[jobs.Scored] = []
        for (dataset, alias), group in groups.items():
            try:
                model = self._models.get(dataset, alias)
            except UnknownAlias as error:
                letters += [jobs.letter(entry, error) for entry in group]
            except ModelUnavailable as error:
                self._keep_waiting(group, dataset, alias, error)
                continue
            else:
                self._missing.discard((dataset, alias))
                scored.append(jobs.score(model, self._contracts[dataset], group))
                letters += scored[-1].letters
            settled += group
        done = time.monotonic()
        lines = [line for one in scored for line in one.block.lines()]
        self._reports.scored(done - began, time.monotonic() - done)
        return Batch(settled, scored, lines, letters, began)

    def _hand_over(self, batch: Batch) -> None:
        while not self._settler.offer(batch, _UPKEEP_SECONDS):
            self._meanwhile()

    def _drain(self) -> None:
        while not self._settler.drained(_UPKEEP_SECONDS):
            self._meanwhile()

    def _meanwhile(self) -> None:
        """While a server takes its time: say that what is in hand still is, and how the stream is, and leave when it is time."""
        self._leave_in_time()
        self._hold()
        self._reports.look(self._stream, self._patience)

    def _leave_in_time(self) -> None:
        if self._patience.ended_for(self._settings.stream_leave_seconds):
            raise Stopped

    def _keep_waiting(self, group: Sequence[Entry], dataset: str, alias: str, error: ModelUnavailable) -> None:
        self._waiting.extend(group)
        if (dataset, alias) not in self._missing:
            self._missing.add((dataset, alias))
            logger.warning("messages wait: %s", error)

    def _give_back(self) -> None:
        """Leave what is unsettled to the next worker that looks, at once."""
        ids = self._held
        if not ids or self._patience.waits_for(StreamUnavailable):  # a server that hangs would cost its time-out once more
            return
        try:
            self._stream.give_back(ids, self._settings.stream_claim_idle_milliseconds)
        except StreamUnavailable:
            return  # they stay this consumer's: it finds them when it starts again, or another does after the idle time
        logger.info("%d messages are left to the next worker", len(ids))


def main() -> int:
    """Work until SIGTERM or SIGINT."""
    configure_logging("stream_worker")
    for name in ("alembic", "psycopg.pool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the worker says once what they say at every try
    sys.setswitchinterval(_SWITCH_SECONDS)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = WorkerSettings()
        threading.Thread(target=_end, args=(stop, settings.stream_leave_seconds + _GIVE_BACK_SECONDS), daemon=True).start()
        _run(settings, Patience(stop))
    except Stopped:
        pass
    except HearthError as error:
        logger.critical("%s", error)
        return 1
    logger.info("stopped")
    return 0


def _end(stop: threading.Event, seconds: float) -> None:
    """End the process so long after it was told to stop, whatever hangs. That is as safe as being killed, which would come next."""
    stop.wait()
    time.sleep(seconds)
    logger.critical("ended by force: a server has not answered")
    os._exit(1)


def _run(settings: WorkerSettings, patience: Patience) -> None:
    contracts = {contract.name: contract for contract in list_contracts(settings.data_dir)}
    url = settings.predictions_url.get_secret_value()
    name, group, consumer = settings.stream_name, settings.stream_group, settings.stream_consumer or socket.gethostname()
    registry = new_registry()
    with (
        serve_metrics(registry, settings.worker_metrics_host, settings.worker_metrics_port),
        StreamReader(settings.redis_url.get_secret_value(), name, group, consumer, settings.stream_max_length) as stream,
        PredictionStore(url, max_connections=2) as store,
    ):
        patience.keep_trying(lambda: migrate(url))
        with (
            Models(Registry.from_settings(settings), contracts, settings.alias_poll_seconds) as models,
            Retention(store, settings.predictions_keep_days),
        ):
            tell_models(registry, models.status)
            logger.info("consumer %s of group %s scores the stream %s", consumer, group, name)
            Worker(
                stream=stream,
                store=store,
                models=models,
                contracts=contracts,
                settings=settings,
                patience=patience,
                reports=Reports(registry),
            ).run()


if __name__ == "__main__":
    sys.exit(main())
