"""The stream worker: reads messages, scores their records, stores the predictions, and only then acknowledges.

A message is read at least once and its predictions are stored exactly once: the store knows them by message id and row.
"""

import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial

from hearth.contracts import Contract, list_contracts
from hearth.errors import HearthError, InvalidMessage, ModelUnavailable, StreamUnavailable, UnknownAlias
from hearth.predictions import Prediction, PredictionStore
from hearth.predictions.migration import migrate
from hearth.registry import Registry
from hearth.serving import LoadedModel, Models
from hearth.settings import WorkerSettings
from hearth.streaming import jobs
from hearth.streaming.client import DeadLetter, Entry, StreamReader
from hearth.streaming.jobs import Job
from hearth.streaming.patience import Patience, Stopped
from hearth.telemetry import configure_logging

logger = logging.getLogger(__name__)

_UPKEEP_SECONDS = 1.0
_WAITING_BATCHES = 10  # so many batches may wait for their models in memory before nothing more is read
_SHOWN = 4


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
    ) -> None:
        self._stream, self._store, self._models, self._contracts = stream, store, models, contracts
        self._settings, self._patience = settings, patience
        self._waiting: list[Job] = []  # for a model that is not there yet
        self._missing: set[tuple[str, str]] = set()
        self._next_upkeep = 0.0

    def run(self) -> None:
        try:
            self._patience.keep_trying(self._stream.join)
            self._finish_own()
            while not self._patience.ended:
                self._upkeep()
                self._handle(self._prepared(self._read()))
        except Stopped:
            logger.info("leaving while a server is away")
        finally:
            self._give_back()

    def _finish_own(self) -> None:
        """Finish what an earlier life of this consumer left, message by message: one of them may have ended that life."""
        last = "0"
        while not self._patience.ended:
            own = self._patience.keep_trying(partial(self._stream.read_own, last, 1))
            if not own:
                return
            last = own[0].id
            self._handle_suspect(own[0])

    def _upkeep(self) -> None:
        """Once a second: retry what waits for a model, take over what other consumers have dropped, trim the stream."""
        if time.monotonic() < self._next_upkeep:
            return
        if self._waiting:
            again, self._waiting = self._waiting, []
            self._handle(again)
        if self._waiting:  # others would take it over
            ids = [job.entry.id for job in self._waiting]
            self._patience.keep_trying(lambda: self._stream.keep(ids))
        while not self._patience.ended:
            claimed, lost = self._patience.keep_trying(lambda: self._stream.claim(self._settings.stream_claim_idle_milliseconds))
            if lost:
                logger.error("%d messages of other consumers were trimmed from the stream before they were scored", lost)
            for entry in claimed:
                self._handle_suspect(entry)
            if not claimed and not lost:
                break
        self._patience.keep_trying(self._stream.trim)
        self._next_upkeep = time.monotonic() + _UPKEEP_SECONDS

    def _read(self) -> list[Entry]:
        batch, block = self._settings.stream_batch_messages, self._settings.stream_block_milliseconds
        if len(self._waiting) >= _WAITING_BATCHES * batch:
            self._patience.sleep(_UPKEEP_SECONDS)
            return []
        return self._patience.keep_trying(lambda: self._stream.read(batch, block))

    def _handle_suspect(self, entry: Entry) -> None:
        """Handle a message that was delivered before, alone, so that one that ends workers takes no other with it."""
        deliveries = self._patience.keep_trying(lambda: self._stream.deliveries(entry))
        if deliveries > self._settings.stream_max_deliveries:
            error = InvalidMessage(f"it was delivered {deliveries - 1} times and never settled: it may end its worker")
            self._handle([jobs.buried(entry, error)])
        else:
            self._handle(self._prepared([entry]))

    def _prepared(self, entries: Sequence[Entry]) -> list[Job]:
        return [jobs.prepare(entry, self._contracts) for entry in entries]

    def _handle(self, batch: Sequence[Job]) -> None:
        """Score, store, then settle. What has no model yet waits in memory, and stays unsettled."""
        started = time.monotonic()
        done = {job.entry.id: job for job in batch}
        told: list[tuple[LoadedModel, list[Prediction]]] = []
        for (dataset, alias), group in jobs.by_model(batch).items():
            try:
                model = self._models.get(dataset, alias)
            except UnknownAlias as error:
                done.update((job.entry.id, jobs.buried(job.entry, error)) for job in group)
            except ModelUnavailable as error:
                self._keep_waiting(group, error)
                for job in group:
                    del done[job.entry.id]
            else:
                self._missing.discard((dataset, alias))
                told.append((model, jobs.score(model, group)))
        if done:
            predictions = [prediction for _, batch_of_model in told for prediction in batch_of_model]
            letters = [job.letter for job in done.values() if job.letter]
            try:
                self._patience.keep_trying(lambda: self._store.put(predictions))
                self._patience.keep_trying(lambda: self._stream.settle(list(done), letters))
            except Stopped:
                self._waiting.extend(done.values())
                raise
            _log(told, letters, (time.monotonic() - started) * 1000)

    def _keep_waiting(self, group: Sequence[Job], error: ModelUnavailable) -> None:
        self._waiting.extend(group)
        name = group[0].dataset, group[0].alias
        if name not in self._missing:
            self._missing.add(name)
            logger.warning("messages wait: %s", error)

    def _give_back(self) -> None:
        if not self._waiting:
            return
        try:
            self._stream.give_back([job.entry.id for job in self._waiting], self._settings.stream_claim_idle_milliseconds)
        except StreamUnavailable:
            return  # they stay this consumer's: it finds them when it starts again, or another does after the idle time
        logger.info("%d messages are left to the next worker", len(self._waiting))


def _log(told: Sequence[tuple[LoadedModel, Sequence[Prediction]]], letters: Sequence[DeadLetter], milliseconds: float) -> None:
    for model, predictions in told:
        shown = ", ".join(f"{given.label} {given.probabilities[given.code]:.2f} {given.message_id}" for given in predictions[:_SHOWN])
        more = ", …" if len(predictions) > _SHOWN else ""
        count = f"{len(predictions)} record{'s' if len(predictions) > 1 else ''}"
        logger.info("%s of %s@%s v%s in %.0f ms: %s%s", count, model.dataset, model.alias, model.version, milliseconds, shown, more)
    for letter in letters:
        logger.warning("message %s is dead, %s: %s", letter.entry.id, letter.error, letter.reason)


def main() -> int:
    """Work until SIGTERM or SIGINT."""
    configure_logging("stream_worker")
    for name in ("alembic", "psycopg.pool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # the worker says once what they say at every try
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        _run(WorkerSettings(), Patience(stop))
    except Stopped:
        pass
    except HearthError as error:
        logger.critical("%s", error)
        return 1
    logger.info("stopped")
    return 0


def _run(settings: WorkerSettings, patience: Patience) -> None:
    contracts = {contract.name: contract for contract in list_contracts(settings.data_dir)}
    url = settings.predictions_url.get_secret_value()
    consumer = settings.stream_consumer or socket.gethostname()
    with (
        StreamReader(
            settings.redis_url.get_secret_value(), settings.stream_name, settings.stream_group, consumer, settings.stream_max_length
        ) as stream,
        PredictionStore(url, max_connections=1) as store,
    ):
        patience.keep_trying(lambda: migrate(url))
        with Models(Registry.from_settings(settings), contracts, settings.alias_poll_seconds) as models:
            logger.info("consumer %s of group %s scores the stream %s", consumer, settings.stream_group, settings.stream_name)
            Worker(stream=stream, store=store, models=models, contracts=contracts, settings=settings, patience=patience).run()


if __name__ == "__main__":
    sys.exit(main())
