"""A stream worker as a process of its own, with a model that is slow, and that ends its process when it sees a forbidden team size."""

import os
import signal
import threading
import time
from typing import NoReturn

import numpy as np
import pandas as pd

from hearth.predictions import PredictionStore
from hearth.settings import WorkerSettings
from hearth.streaming.client import StreamReader
from hearth.streaming.patience import Patience
from hearth.streaming.worker import Worker
from hearth.telemetry import configure_logging
from tests.models import ByDesignation, Shelf, employees, served

DEADLY_TEAM_SIZE = 66.0
SECONDS_A_BATCH = "TEST_SECONDS_A_BATCH"


class SlowAndFragile(ByDesignation):
    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        time.sleep(float(os.environ[SECONDS_A_BATCH]))
        if (frame["Team Size"] == DEADLY_TEAM_SIZE).any():
            _die()
        return super().predict_proba(frame)


def _die() -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def main() -> None:
    configure_logging("worker")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    settings = WorkerSettings()
    url = settings.redis_url.get_secret_value()
    reader = StreamReader(url, settings.stream_name, settings.stream_group, settings.stream_consumer, settings.stream_max_length)
    with (
        reader as stream,
        PredictionStore(settings.predictions_url.get_secret_value(), max_connections=1) as store,
        served(Shelf(SlowAndFragile(), champion="3")) as models,
    ):
        contracts = {"employees": employees()}
        Worker(stream=stream, store=store, models=models, contracts=contracts, settings=settings, patience=Patience(stop)).run()


if __name__ == "__main__":
    main()
