"""The metrics of a worker (docs/metrics.md)."""

from collections.abc import Mapping
from functools import partial

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from hearth.errors import PredictionsUnavailable, StreamUnavailable
from hearth.serving.metrics import COMPARED_HELP, UNUSUAL_HELP
from hearth.streaming.group import StreamState
from hearth.streaming.messages import enqueued_at
from hearth.streaming.retrying import Retrier
from hearth.streaming.worker.committer import CommittedBatch

_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)
_AGES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
_SERVERS = {"stream": StreamUnavailable, "predictions": PredictionsUnavailable}


class WorkerMetrics:
    def __init__(self, registry: CollectorRegistry) -> None:
        model = ["dataset", "alias", "version"]
        self._records = Counter("hearth_records_scored", "Records that were answered.", [*model, "source"], registry=registry)
        self._stored = Counter("hearth_predictions_stored", "Predictions that the store has.", ["source", "role"], registry=registry)
        self._answers = Counter("hearth_stream_answers", "Records by predicted class.", [*model, "label"], registry=registry)
        self._compared = Counter("hearth_records_compared", COMPARED_HELP, [*model, "source"], registry=registry)
        self._unusual = Counter("hearth_records_unusual", UNUSUAL_HELP, [*model, "source"], registry=registry)
        self._messages = Counter("hearth_stream_messages", "Messages that were settled.", registry=registry)
        self._dead = Counter("hearth_stream_dead_letters", "Messages with a dead letter.", ["error"], registry=registry)
        self._redelivered = Counter("hearth_stream_redelivered", "Messages that were delivered again.", registry=registry)
        self._duplicates = Counter("hearth_stream_stored_already", "Predictions that the store had already.", registry=registry)
        self._seconds = Counter("hearth_stream_stage_seconds", "Seconds by stage.", ["stage"], registry=registry)
        self._sizes = {
            unit: Histogram(f"hearth_stream_batch_{unit}", f"The {unit} of a batch.", registry=registry, buckets=_SIZES)
            for unit in ("messages", "records")
        }
        self._age = Histogram(
            "hearth_stream_commit_seconds",
            "From the arrival of a batch's oldest message to the commit of its predictions.",
            registry=registry,
            buckets=_AGES,
        )
        self._length = Gauge("hearth_stream_length", "Messages that wait or are being scored.", registry=registry)
        self._lag = Gauge("hearth_stream_lag", "Messages that no worker has read; NaN: the server cannot tell.", registry=registry)
        self._pending = Gauge("hearth_stream_pending", "Messages that were read and are not settled.", registry=registry)
        self._oldest = Gauge("hearth_stream_oldest_seconds", "The age of the oldest message that is not settled.", registry=registry)
        self._letters = Gauge("hearth_stream_dead_length", "Letters in the dead-letter stream.", registry=registry)
        self._waits = Gauge(
            "hearth_stream_waits", "1 while the worker waits for a server that is unavailable, else 0.", ["server"], registry=registry
        )

    def add_seconds(self, stages: Mapping[str, float]) -> None:
        for stage, seconds in stages.items():
            self._seconds.labels(stage).inc(seconds)

    def count_batch(self, committed: CommittedBatch) -> None:
        batch = committed.batch
        for group in batch.groups:
            block = group.block
            model = block.dataset, block.alias, block.version
            self._records.labels(*model, block.source).inc(len(block))
            if block.parts.unusual is not None:
                self._compared.labels(*model, block.source).inc(len(block))
                self._unusual.labels(*model, block.source).inc(int(block.parts.unusual.sum()))
            for label, count in zip(block.classes, np.bincount(block.codes, minlength=len(block.classes)).tolist(), strict=True):
                self._answers.labels(*model, label).inc(count)
        self._stored.labels("stream", "answer").inc(committed.new)
        self._duplicates.inc(len(batch.lines) - committed.new)
        self._messages.inc(len(batch.entries))
        for letter in batch.letters:
            self._dead.labels(letter.error).inc()
        self._sizes["messages"].observe(len(batch.entries))
        self._sizes["records"].observe(len(batch.lines))
        oldest = min((time for entry in batch.entries if (time := enqueued_at(entry.id))), default=None)
        if oldest:
            self._age.observe((committed.stored_at - oldest).total_seconds())

    def count_redelivered(self, messages: int) -> None:
        self._redelivered.inc(messages)

    def set_state(self, state: StreamState) -> None:
        self._length.set(state.length)
        self._lag.set(np.nan if state.lag is None else state.lag)
        self._pending.set(state.pending)
        self._oldest.set(state.oldest_seconds)
        self._letters.set(state.dead)

    def watch(self, retrier: Retrier) -> None:
        for server, error in _SERVERS.items():
            self._waits.labels(server).set_function(partial(retrier.is_waiting_for, error))
