"""A stream worker as a process of its own, with a model that is slow, and that ends its process when it sees forbidden hours of sleep."""

import os
import signal
import sys
import threading
import time
from typing import NoReturn

import numpy as np
import pandas as pd

from hearth.errors import ModelUnavailable
from hearth.logs import configure_logging
from hearth.predictions import PredictionStore
from hearth.serving.model_follower import ModelFollower
from hearth.settings import WorkerSettings
from hearth.streaming.consumer import StreamConsumer
from hearth.streaming.retrying import Retrier
from hearth.streaming.worker.worker import Worker
from hearth.tracing.export import exported_spans
from tests.support.models import ByDesignation, FakeRegistry, employees, served
from tests.support.waiting import wait_until

DEADLY_SLEEP_HOURS = 6.6666  # made-up records, which try a model when it is loaded, never have it
SECONDS_A_BATCH = "TEST_SECONDS_A_BATCH"


class SlowAndFragile(ByDesignation):
    awake = False  # whether it takes the time that the test sets

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        if self.awake:
            time.sleep(float(os.environ[SECONDS_A_BATCH]))
        if (frame["Sleep Hours"] == DEADLY_SLEEP_HOURS).any():
            _die()
        return super().predict_proba(frame)


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def wait_for(models: ModelFollower, alias: str) -> None:
    """Return when a model is loaded."""

    def is_loaded() -> bool:
        try:
            models.get("employees", alias)
        except ModelUnavailable:
            return False
        return True

    wait_until(is_loaded)


def main() -> None:
    configure_logging("worker")
    sys.setswitchinterval(0.0005)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = WorkerSettings()
    url = settings.redis_url.get_secret_value()
    max_dead, keep = settings.stream_max_length, settings.stream_keep_messages
    reader = StreamConsumer(url, settings.stream_name, settings.stream_group, settings.stream_consumer, max_dead, keep)
    model = SlowAndFragile()
    with (
        exported_spans("worker"),
        reader as stream,
        PredictionStore(settings.predictions_url.get_secret_value(), max_connections=1) as store,
        served(FakeRegistry(model, champion="3")) as models,
    ):
        wait_for(models, "champion")
        model.awake = True
        contracts = {"employees": employees()}
        Worker(stream=stream, store=store, models=models, contracts=contracts, settings=settings, retrier=Retrier(stop)).run()


if __name__ == "__main__":
    main()
