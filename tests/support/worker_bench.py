"""A stream and a store for one test, and workers between them."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
from redis import Redis

from hearth.contracts import Contract
from hearth.predictions import Prediction, PredictionStore
from hearth.settings import WorkerSettings
from hearth.streaming.client import StreamWriter
from hearth.streaming.consumer import ByteLimits, StreamConsumer
from hearth.streaming.messages import encode
from hearth.streaming.retrying import Retrier
from hearth.streaming.worker.reports import Reports
from hearth.streaming.worker.worker import Worker
from tests.support.models import FakeRegistry, employees, good_record, served
from tests.support.waiting import LIMIT_SECONDS
from tests.support.worker_process import SECONDS_A_BATCH, wait_for

ROOT = Path(__file__).parents[2]
CONTRACT = employees()


def has_more(bench: "Bench", than: int) -> bool:
    return bench.count() > than


def is_over(bench: "Bench", process: subprocess.Popen[str]) -> bool:
    return bool(bench.dead()) or process.poll() is not None


class Bench:
    """A stream of its own, a store of its own, and workers between them."""

    def __init__(self, valkey_url: str, database_url: str) -> None:
        self.valkey_url, self.database_url = valkey_url, database_url
        self.name = f"stream-{uuid4().hex}"
        self.redis: Any = Redis.from_url(valkey_url)  # its answers are typed as all that any server may say
        self.writer = StreamWriter(valkey_url, self.name)
        self.processes: list[subprocess.Popen[str]] = []

    def close(self) -> None:
        for process in self.processes:  # what a failed test has left
            if process.poll() is None:
                process.kill()
            print(process.communicate(timeout=LIMIT_SECONDS)[0])  # noqa: T201 - pytest shows it when a test fails
        self.redis.close()
        self.writer.__exit__()

    def send(self, *records: object, alias: str = "champion", dataset: str = "employees") -> str:
        return self.writer.send([encode(dataset, alias, records)])[0]  # type: ignore[arg-type]  # bad records are sent as well

    def settings(self, **changes: Any) -> WorkerSettings:
        values: dict[str, Any] = {
            "environment": "laptop",
            "data_dir": ROOT / "data",
            "mlflow_tracking_uri": "http://127.0.0.1:1",
            "alias_poll_seconds": 0.05,
            "predictions_url": self.database_url,
            "redis_url": self.valkey_url,
            "stream_name": self.name,
            "labels_stream_name": f"{self.name}-labels",
            "stream_group": "workers",
            "stream_consumer": "one",
            "stream_batch_messages": 100,
            "stream_batch_records": 5_000,
            "predictions_keep_days": 0,
            "labels_wait_days": 0,
            "stream_block_milliseconds": 50,
            "stream_claim_idle_milliseconds": 60_000,
            "stream_max_deliveries": 5,
            "stream_leave_seconds": 15,
            "stream_max_length": 10_000,
            "stream_keep_messages": 0,
        }
        return WorkerSettings(_env_file=None, **(values | changes))

    @contextmanager
    def working(
        self, shelf: FakeRegistry, store: Any = None, reports: Reports | None = None, contract: Contract = CONTRACT, **changes: Any
    ) -> Iterator[None]:
        """Run a worker in a thread; its models are loaded before it starts. What ends it is raised here."""
        settings, stop = self.settings(**changes), threading.Event()
        failed: list[BaseException] = []
        reader = StreamConsumer(
            self.valkey_url,
            self.name,
            "workers",
            settings.stream_consumer,
            settings.stream_max_length,
            settings.stream_keep_messages,
            ByteLimits(settings.stream_batch_bytes, settings.stream_max_message_bytes),
        )
        with reader as stream, PredictionStore(self.database_url) as own_store, served(shelf) as models:
            for alias in shelf.carried:
                wait_for(models, alias)
            worker = Worker(
                stream=stream,
                store=store or own_store,
                models=models,
                contracts={"employees": contract},
                settings=settings,
                retrier=Retrier(stop),
                reports=reports,
            )

            def work() -> None:
                try:
                    worker.run()
                except BaseException as error:  # noqa: BLE001 - handed to the test
                    failed.append(error)

            thread = threading.Thread(target=work)
            thread.start()
            try:
                yield
            finally:
                stop.set()
                thread.join(LIMIT_SECONDS)
                if failed:  # also where the test has failed meanwhile: this is why
                    raise failed[0]
        assert not thread.is_alive(), "the worker did not leave"

    def process(self, seconds_a_batch: float, **changes: Any) -> "subprocess.Popen[str]":
        environment = {**os.environ, **self.environment(**changes), SECONDS_A_BATCH: str(seconds_a_batch)}
        command = [sys.executable, "-m", "tests.support.worker_process"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.processes.append(process)
        return process

    def environment(self, **changes: Any) -> dict[str, str]:
        """Return the settings as the environment of a process."""
        values = self.settings(**changes).model_dump()
        texts = {name: value.get_secret_value() if hasattr(value, "get_secret_value") else value for name, value in values.items()}
        return {f"HEARTH_{name.upper()}": str(value) for name, value in texts.items()}

    def stored(self) -> list[Prediction]:
        with PredictionStore(self.database_url) as store:
            return list(store.since())

    def count(self) -> int:
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute("SELECT count(*) FROM predictions").fetchone()
            return int(row[0]) if row else 0

    def pending(self) -> int:
        return sum(int(group["pending"]) for group in self.groups())

    def settled(self) -> bool:
        """Nothing is unread, and nothing is read and not acknowledged."""
        return any(group["lag"] == 0 and group["pending"] == 0 for group in self.groups())

    def groups(self) -> list[dict[str, Any]]:
        return list(self.redis.xinfo_groups(self.name)) if self.redis.exists(self.name) else []

    def dead(self) -> list[dict[str, str]]:
        return [
            {name.decode(): value.decode(errors="replace") for name, value in fields.items()}
            for _, fields in self.redis.xrange(f"{self.name}_dead")
        ]


def record(designation: object = 4.0, **changes: object) -> dict[str, object]:
    return good_record(CONTRACT, Designation=designation, **changes)
