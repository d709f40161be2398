"""The stream worker on a real Valkey and a real PostgreSQL; only the model is small."""

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from redis import Redis

from hearth.errors import PredictionsUnavailable
from hearth.predictions import Prediction, PredictionStore
from hearth.predictions.migration import migrate
from hearth.settings import WorkerSettings
from hearth.streaming.client import StreamReader, StreamWriter
from hearth.streaming.messages import encode
from hearth.streaming.patience import Patience
from hearth.streaming.worker import Worker
from tests import servers
from tests.integration.worker_process import DEADLY_TEAM_SIZE, SECONDS_A_BATCH
from tests.models import ByDesignation, Shelf, employees, good_record, served
from utils.embedded import health

ROOT = Path(__file__).parents[2]
LIMIT_SECONDS = 60.0  # a limit, not a measure: starting a worker process takes seconds on a busy machine
CONTRACT = employees()


def until(reached: Callable[[], bool], seconds: float = LIMIT_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


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
        given: dict[str, Any] = {
            "environment": "laptop",
            "data_dir": ROOT / "data",
            "mlflow_tracking_uri": "http://127.0.0.1:1",
            "alias_poll_seconds": 0.05,
            "predictions_url": self.database_url,
            "redis_url": self.valkey_url,
            "stream_name": self.name,
            "stream_group": "workers",
            "stream_consumer": "one",
            "stream_batch_messages": 100,
            "stream_block_milliseconds": 50,
            "stream_claim_idle_milliseconds": 60_000,
            "stream_max_deliveries": 3,
            "stream_max_length": 10_000,
        }
        return WorkerSettings(_env_file=None, **(given | changes))

    @contextmanager
    def working(self, shelf: Shelf, store: Any = None, **changes: Any) -> Iterator[None]:
        settings, stop, failed = self.settings(**changes), threading.Event(), []
        reader = StreamReader(self.valkey_url, self.name, "workers", settings.stream_consumer, settings.stream_max_length)
        with reader as stream, PredictionStore(self.database_url) as own_store, served(shelf) as models:
            worker = Worker(
                stream=stream,
                store=store or own_store,
                models=models,
                contracts={"employees": CONTRACT},
                settings=settings,
                patience=Patience(stop),
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
        assert failed == []

    def process(self, seconds_a_batch: float, **changes: Any) -> "subprocess.Popen[str]":
        values = self.settings(**changes).model_dump()
        revealed = {name: value.get_secret_value() if hasattr(value, "get_secret_value") else value for name, value in values.items()}
        environment = {**os.environ, **{f"HEARTH_{name.upper()}": str(value) for name, value in revealed.items()}}
        environment[SECONDS_A_BATCH] = str(seconds_a_batch)
        command = [sys.executable, "-m", "tests.integration.worker_process"]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.processes.append(process)
        return process

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


@pytest.fixture
def bench(valkey_url: str, fresh_database: str) -> Iterator[Bench]:
    migrate(fresh_database)
    bench = Bench(valkey_url, fresh_database)
    yield bench
    bench.close()


def record(designation: object = 4.0, **changes: object) -> dict[str, object]:
    return good_record(CONTRACT, Designation=designation, **changes)


def test_each_record_is_stored_under_its_message_and_row_with_the_version_that_scored_it(bench: Bench) -> None:
    first = bench.send(record(0), record(5))
    second = bench.send(record(3), alias="knn")

    with bench.working(Shelf(champion="3", knn="2")):
        until(lambda: bench.count() == 3)

    told = {(found.message_id, found.row): found for found in bench.stored()}
    assert {key: found.label for key, found in told.items()} == {(first, 0): "Low", (first, 1): "High", (second, 0): "Medium"}
    assert {key: (found.alias, found.version) for key, found in told.items()} == {
        (first, 0): ("champion", "3"),
        (first, 1): ("champion", "3"),
        (second, 0): ("knn", "2"),
    }
    high = told[first, 1]
    assert (high.dataset, high.family, high.code, high.record) == ("employees", "knn", 2, record(5))
    assert high.probabilities == pytest.approx((0.1, 0.1, 0.8))
    assert high.enqueued_at is not None
    assert high.enqueued_at <= high.scored_at


def test_the_log_has_one_readable_line_a_batch(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    first = bench.send(*[record(0)] * 12)

    with bench.working(Shelf(champion="3")):
        until(lambda: bench.settled() and bench.count() == 12)

    [line] = [found.getMessage() for found in caplog.records if "records of" in found.getMessage()]
    assert line.startswith("12 records of employees@champion v3 in ")
    assert f"Low 0.80 {first}" in line
    assert line.endswith("…")


def test_a_message_is_acknowledged_only_after_it_is_stored(bench: Bench) -> None:
    seen: list[int] = []

    class Watched(PredictionStore):
        def put(self, predictions: Sequence[Prediction]) -> int:
            seen.append(bench.pending())
            return super().put(predictions)

    bench.send(record())
    with Watched(bench.database_url) as store, bench.working(Shelf(champion="3"), store):
        until(bench.settled)

    assert seen == [1]
    assert bench.count() == 1


def test_a_bad_record_costs_no_good_one_beside_it(bench: Bench) -> None:
    id_ = bench.send(record(0), record(Gender="nobody"), "no record", record(5))

    with bench.working(Shelf(champion="3")):
        until(lambda: len(bench.dead()) == 1)

    assert [(found.row, found.label) for found in bench.stored()] == [(0, "Low"), (3, "High")]
    [letter] = bench.dead()
    assert (letter["message_id"], letter["error"]) == (id_, "invalid_records")
    assert "row 1, 'Gender': got 'nobody', expected one of 'Female', 'Male'" in letter["reason"]
    assert "row 2" in letter["reason"]
    assert json.loads(letter["original.records"])[1]["Gender"] == "nobody"
    assert bench.settled()


def test_what_can_never_be_scored_is_buried_with_its_reason_and_holds_up_nothing(bench: Bench) -> None:
    bench.writer.send([{b"dataset": b"employees", b"records": b"{not json"}, {b"what": b"\xff"}])
    bench.send(record(), dataset="strangers")
    bench.send(record(), alias="stranger")
    bench.send(record("two"))
    bench.send(record())

    with bench.working(Shelf(champion="3")):
        until(lambda: bench.settled() and len(bench.dead()) == 5)

    assert [letter["error"] for letter in bench.dead()] == [
        "invalid_message",
        "invalid_message",
        "unknown_dataset",
        "unknown_alias",
        "invalid_records",
    ]
    assert bench.count() == 1


def test_an_alias_without_a_version_is_waited_for_and_holds_up_no_other(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    waiting = [bench.send(record(), alias="svm") for _ in range(3)]
    shelf = Shelf(champion="3")

    with bench.working(shelf):
        bench.send(record())
        until(lambda: bench.count() == 1)
        assert bench.pending() == len(waiting)
        shelf.carried["svm"] = "4"
        until(lambda: bench.settled() and bench.count() == 4)

    assert {found.version for found in bench.stored() if found.message_id in waiting} == {"4"}
    assert bench.dead() == []
    assert len([line for line in caplog.messages if "messages wait" in line]) == 1


def test_what_waits_for_a_model_is_not_taken_over_by_another_worker(bench: Bench) -> None:
    id_ = bench.send(record(), alias="svm")

    with bench.working(Shelf(champion="3"), stream_claim_idle_milliseconds=1_500):
        until(lambda: bench.pending() == 1)
        with bench.working(Shelf(champion="3"), stream_consumer="two", stream_claim_idle_milliseconds=1_500):
            time.sleep(3.5)
        [state] = bench.redis.xpending_range(bench.name, "workers", id_, id_, 1)

    assert (state["consumer"], state["times_delivered"]) == (b"one", 1)


def test_too_much_that_waits_is_not_read_into_memory(bench: Bench) -> None:
    for _ in range(30):
        bench.send(record(), alias="svm")

    with bench.working(Shelf(champion="3"), stream_batch_messages=1):
        until(lambda: bench.pending() == 10)
        time.sleep(1.5)
        assert bench.pending() == 10


def test_a_worker_that_leaves_gives_back_what_it_could_not_score(bench: Bench) -> None:
    id_ = bench.send(record(), alias="svm")
    with bench.working(Shelf(champion="3")):
        until(lambda: bench.pending() == 1)

    with bench.working(Shelf(svm="4"), stream_consumer="two"):
        until(lambda: bench.settled() and bench.count() == 1)

    assert [found.message_id for found in bench.stored()] == [id_]


class Away(PredictionStore):
    """A store whose server can be taken away."""

    away = True

    def put(self, predictions: Sequence[Prediction]) -> int:
        if self.away:
            raise PredictionsUnavailable("The predictions store is away.")
        return super().put(predictions)


def test_while_the_store_is_away_nothing_is_acknowledged_and_then_nothing_is_lost(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(5):
        bench.send(record())

    with Away(bench.database_url) as store, bench.working(Shelf(champion="3"), store):
        until(lambda: bench.pending() == 5)
        time.sleep(1)
        assert bench.pending() == 5
        store.away = False
        until(bench.settled)

    assert bench.count() == 5
    assert len([line for line in caplog.messages if line.startswith("waiting")]) == 1
    assert len([line for line in caplog.messages if line.startswith("going on")]) == 1


def test_a_worker_can_leave_while_the_store_is_away_and_the_next_one_loses_nothing(bench: Bench) -> None:
    bench.send(record())
    with Away(bench.database_url) as store, bench.working(Shelf(champion="3"), store):
        until(lambda: bench.pending() == 1)
    assert bench.count() == 0

    with bench.working(Shelf(champion="3"), stream_consumer="two"):
        until(bench.settled)

    assert bench.count() == 1


def test_a_message_that_is_delivered_again_after_it_was_stored_changes_nothing(bench: Bench) -> None:
    class Forgetful(PredictionStore):
        """Stores, and then the answer is lost: the worker cannot know."""

        calls = 0

        def put(self, predictions: Sequence[Prediction]) -> int:
            super().put(predictions)
            self.calls += 1
            if self.calls == 1:
                raise PredictionsUnavailable("The connection broke.")
            return 0

    id_ = bench.send(record(0))
    with Forgetful(bench.database_url) as store, bench.working(Shelf(champion="3"), store):
        until(bench.settled)
    [before] = bench.stored()
    bench.redis.xgroup_setid(bench.name, "workers", "0")  # everything once more
    with bench.working(Shelf(champion="9"), stream_consumer="two"):
        bench.send(record())
        until(lambda: bench.settled() and bench.count() == 2)

    assert next(found for found in bench.stored() if found.message_id == id_) == before


def test_the_stream_is_bounded_by_what_is_not_settled(bench: Bench) -> None:
    for _ in range(50):
        bench.send(record())

    with bench.working(Shelf(champion="3")):
        until(lambda: bench.writer.length() == 0)
    assert bench.count() == 50


def test_a_model_that_moves_is_followed(bench: Bench) -> None:
    shelf = Shelf(champion="3")
    with bench.working(shelf):
        bench.send(record())
        until(lambda: bench.count() == 1)
        shelf.carried["champion"] = "4"
        time.sleep(0.3)
        bench.send(record())
        until(lambda: bench.count() == 2)

    assert [found.version for found in bench.stored()] == ["3", "4"]


def test_servers_that_go_away_and_come_back_cost_nothing(tmp_path: Path) -> None:
    """Both servers start only after the worker, so its first tries fail."""
    port = servers.free_port()
    with servers.postgres() as database_url:
        migrate(database_url)
        bench = Bench(f"redis://127.0.0.1:{port}/0", database_url)
        with bench.working(Shelf(champion="3")):
            time.sleep(0.5)
            valkey = subprocess.Popen(
                [servers.EMBEDDED_PYTHON, "-m", "utils.embedded.valkey"],
                cwd=ROOT,
                env={**os.environ, "HEARTH_STATE_DIR": str(tmp_path), "HEARTH_REDIS_PORT": str(port)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            try:
                until(partial(health.valkey_answers, port))
                bench.send(record())
                until(lambda: bench.count() == 1)
                with psycopg.connect(database_url, autocommit=True) as connection:
                    connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hearth'")
                bench.send(record())
                until(lambda: bench.count() == 2 and bench.settled())
            finally:
                valkey.terminate()
                valkey.wait(LIMIT_SECONDS)
        bench.close()


def test_a_worker_that_is_killed_again_and_again_loses_and_doubles_nothing(bench: Bench) -> None:
    sent: set[str] = set()
    in_hand = []
    for _ in range(3):
        sent |= {bench.send(record(number % 6), record(5)) for number in range(60)}  # so each life has something to do
        before = bench.count()
        process = bench.process(0.2, stream_batch_messages=5)
        until(partial(has_more, bench, before))
        process.kill()
        process.wait(LIMIT_SECONDS)
        in_hand.append(bench.pending())
    assert any(in_hand), "no kill came while a message was in hand: the test shows nothing"

    with bench.working(Shelf(champion="3")):
        until(bench.settled)

    stored = bench.stored()
    assert len(stored) == 2 * len(sent)
    assert {found.message_id for found in stored} == sent
    assert bench.dead() == []


def test_a_message_that_ends_its_worker_is_buried_alone(bench: Bench) -> None:
    good = {bench.send(record(0)) for _ in range(3)}
    deadly = bench.send(record(**{"Team Size": DEADLY_TEAM_SIZE}))
    good |= {bench.send(record(0)) for _ in range(3)}

    ends = 0
    while not bench.dead():
        process = bench.process(0, stream_max_deliveries=2)
        until(partial(is_over, bench, process))
        if process.poll() is None:
            until(bench.settled)
            process.terminate()
        else:
            ends += 1
        process.wait(LIMIT_SECONDS)

    assert ends == 2
    [letter] = bench.dead()
    assert letter["message_id"] == deadly
    assert "delivered 2 times" in letter["reason"]
    assert {found.message_id for found in bench.stored()} == good


def test_what_a_worker_dropped_is_taken_over_by_another(bench: Bench) -> None:
    for number in range(40):
        bench.send(record(number % 6))
    process = bench.process(120, stream_batch_messages=40)  # it is killed long before it is done
    until(lambda: bench.pending() > 0)
    process.kill()
    process.wait(LIMIT_SECONDS)

    with bench.working(Shelf(champion="3"), stream_consumer="two", stream_claim_idle_milliseconds=1_000):
        until(lambda: bench.settled() and bench.count() == 40)


def test_sigterm_finishes_the_batch_in_hand(bench: Bench) -> None:
    for _ in range(100):
        bench.send(record())
    process = bench.process(0.5, stream_batch_messages=10)
    until(lambda: bench.count() > 0)

    process.terminate()
    assert process.wait(LIMIT_SECONDS) == 0
    assert bench.pending() == 0
    assert 0 < bench.count() < 100


def test_the_program_itself_starts_without_its_servers_and_leaves_when_told(tmp_path: Path) -> None:
    port = servers.free_port()
    bench = Bench(f"redis://127.0.0.1:{port}/0", f"postgresql://hearth:secret-word@127.0.0.1:{port}/predictions")
    log = tmp_path / "log"
    values = {
        name: getattr(value, "get_secret_value", lambda value=value: value)() for name, value in bench.settings().model_dump().items()
    }
    environment = {**os.environ, **{f"HEARTH_{name.upper()}": str(value) for name, value in values.items()}}
    with log.open("w") as file:
        process = subprocess.Popen([sys.executable, "-P", "-m", "hearth.streaming.worker"], cwd=tmp_path, env=environment, stderr=file)
    until(lambda: "waiting" in log.read_text())
    process.terminate()

    assert process.wait(LIMIT_SECONDS) == 0
    lines = log.read_text().splitlines()
    assert len(lines) == 2, lines
    assert "secret-word" not in log.read_text()
    bench.close()


def test_a_model_that_fails_ends_the_worker_loudly_and_acknowledges_nothing(bench: Bench) -> None:
    class Broken(ByDesignation):
        def predict_proba(self, frame: Any) -> Any:
            if len(frame) > 1 and (frame["Team Size"] == DEADLY_TEAM_SIZE).any():
                raise ZeroDivisionError
            return super().predict_proba(frame)

    bench.send(record(), record(**{"Team Size": DEADLY_TEAM_SIZE}))

    with pytest.raises(AssertionError, match="ZeroDivisionError"), bench.working(Shelf(Broken(), champion="3")):
        until(lambda: bench.pending() == 1)
    assert bench.pending() == 1
