"""The process of a stream worker: `python -m hearth.streaming.worker`."""

import logging
import os
import signal
import socket
import sys
import threading
import time

from hearth.contracts import usable_contracts
from hearth.errors import HearthError
from hearth.logs import configure_logging
from hearth.predictions.label_store import LabelStore
from hearth.predictions.migration import migrate
from hearth.predictions.personal_hash import hashes_of
from hearth.predictions.retention import Retention
from hearth.predictions.rollout_store import RolloutStore
from hearth.serving.feedback import Feedback
from hearth.serving.metrics import new_registry, register_label_metrics, register_model_metrics, register_rollout_metrics, serve_metrics
from hearth.serving.model_follower import ModelFollower
from hearth.serving.model_probe import ProbedRegistry
from hearth.serving.rollouts.counter import RolloutCounter
from hearth.serving.rollouts.reporter import RolloutReporter
from hearth.serving.rollouts.router import Router
from hearth.settings import WorkerSettings
from hearth.streaming.consumer import ByteLimits, StreamConsumer
from hearth.streaming.labels.worker import LabelThread, LabelWorker
from hearth.streaming.retrying import Retrier, Stopped
from hearth.streaming.worker.reports import Reports
from hearth.streaming.worker.worker import Worker
from hearth.tracing.export import exported_spans

logger = logging.getLogger(__name__)

_RELEASE_SECONDS = 10.0  # after HEARTH_STREAM_LEAVE_SECONDS, for releasing messages; then the process is ended
_SWITCH_SECONDS = 0.0005  # the thread that commits would wait 5 ms for the one that scores after every response of a server


def main() -> int:
    """Run until SIGTERM or SIGINT."""
    configure_logging("stream_worker")
    for name in ("alembic", "psycopg.pool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # they log every retry; the worker logs each outage once
    sys.setswitchinterval(_SWITCH_SECONDS)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = WorkerSettings()
        threading.Thread(target=_exit_late, args=(stop, settings.stream_leave_seconds + _RELEASE_SECONDS), daemon=True).start()
        with exported_spans("worker"):
            _run(settings, Retrier(stop))
    except Stopped:
        pass
    except HearthError as error:
        logger.critical("%s", error)
        return 1
    logger.info("stopped")
    return 0


def _exit_late(stop: threading.Event, seconds: float) -> None:
    """End the process some seconds after it was asked to stop, even if it hangs. This is as safe as SIGKILL, which would follow."""
    stop.wait()
    time.sleep(seconds)
    logger.critical("ended by force: a server has not answered")
    os._exit(1)


def _run(settings: WorkerSettings, retrier: Retrier) -> None:
    contracts = {contract.name: contract for contract in usable_contracts(settings.data_dir)}
    hashes_of(contracts.values(), settings.predictions_hash_key.get_secret_value())  # refused before a server is waited for
    url = settings.predictions_url.get_secret_value()
    name, group, consumer = settings.stream_name, settings.stream_group, settings.stream_consumer or socket.gethostname()
    max_dead, keep = settings.stream_max_length, settings.stream_keep_messages
    limits = ByteLimits(settings.stream_batch_bytes, settings.stream_max_message_bytes)
    registry, counter = new_registry(), RolloutCounter.of(contracts)
    with (
        serve_metrics(registry, settings.worker_metrics_host, settings.worker_metrics_port),
        StreamConsumer(settings.redis_url.get_secret_value(), name, group, consumer, max_dead, keep, limits) as stream,
        StreamConsumer(
            settings.redis_url.get_secret_value(), settings.labels_stream_name, group, consumer, max_dead, keep, limits
        ) as labels,
        LabelStore(url, max_connections=3) as store,
    ):
        retrier.call(lambda: migrate(url))
        feedback = Feedback(store, contracts)
        with (
            ModelFollower(ProbedRegistry.of(settings, contracts), contracts, settings.alias_poll_seconds) as models,
            Retention(
                store,
                settings.predictions_keep_days,
                settings.predictions_warn_gigabytes,
                labels=store,
                wait_days=settings.labels_wait_days,
            ),
            LabelThread(LabelWorker(labels, feedback, settings, retrier), retrier.stop, settings.stream_leave_seconds),
            RolloutStore(url, max_connections=1) as rollouts,
            RolloutReporter(rollouts, counter, models, contracts),
        ):
            register_model_metrics(registry, models.status)
            register_label_metrics(registry, feedback.counts)
            register_rollout_metrics(registry, models.splits, counter.by_version)
            logger.info("consumer %s of group %s scores the stream %s", consumer, group, name)
            Worker(
                stream=stream,
                store=store,
                models=models,
                contracts=contracts,
                settings=settings,
                retrier=retrier,
                reports=Reports(registry),
                router=Router(models, counter),
            ).run()


if __name__ == "__main__":
    sys.exit(main())
