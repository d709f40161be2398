"""The stream of labels: what is stored, what becomes a dead letter, and what is left when its reader is killed."""

import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import namedtuple_row

from deploy.embedded import temporary_servers
from hearth.predictions import Prediction
from hearth.predictions.label_store import LabelStore
from hearth.predictions.migration import migrate
from hearth.serving.feedback import Feedback
from hearth.streaming.client import Fields, StreamWriter
from hearth.streaming.consumer import ByteLimits, StreamConsumer
from hearth.streaming.labels.messages import encode_reports
from hearth.streaming.labels.worker import LabelThread, LabelWorker
from hearth.streaming.retrying import Retrier
from tests.support.label_process import DIES
from tests.support.models import FakeRegistry
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.support.worker_bench import CONTRACT, ROOT, Bench


class Labels:
    """The stream of labels of a bench."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.name = bench, f"{bench.name}-labels"
        self.writer = StreamWriter(bench.valkey_url, self.name)

    def send(self, *reports: Mapping[str, object], dataset: str | None = "employees") -> str:
        return self.send_fields(encode_reports(reports, dataset))

    def send_fields(self, fields: Fields) -> str:
        return self.writer.send([fields])[0]

    @contextmanager
    def reading(self, database_url: str = "", **changes: Any) -> Iterator[Feedback]:
        settings, stop = self.bench.settings(**changes), threading.Event()
        limits = ByteLimits(settings.stream_batch_bytes, settings.stream_max_message_bytes)
        reader = StreamConsumer(self.bench.valkey_url, self.name, "workers", settings.stream_consumer, 1_000, limits=limits)
        with reader as stream, LabelStore(database_url or self.bench.database_url, connect_seconds=2) as store:
            feedback, retrier = Feedback(store, {"employees": CONTRACT}), Retrier(stop)
            with LabelThread(LabelWorker(stream, feedback, settings, retrier), retrier.stop, LIMIT_SECONDS):
                yield feedback
                stop.set()

    def process(self, module: str = "tests.support.label_process", **more: str) -> "subprocess.Popen[str]":
        environment = {**os.environ, **self.bench.environment(), **more}
        command = [sys.executable, "-m", module]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.bench.processes.append(process)
        return process

    def settled(self) -> bool:
        return any(group["lag"] == 0 and group["pending"] == 0 for group in self.groups())

    def groups(self) -> list[dict[str, Any]]:
        return list(self.bench.redis.xinfo_groups(self.name)) if self.bench.redis.exists(self.name) else []

    def stored(self) -> list[Any]:
        with psycopg.connect(self.bench.database_url, row_factory=namedtuple_row) as connection:
            return connection.execute("SELECT * FROM labels ORDER BY message_id, row, observed_at").fetchall()

    def dead(self) -> dict[str, tuple[str, str]]:
        letters = [fields for _, fields in self.bench.redis.xrange(f"{self.name}_dead")]
        return {letter[b"message_id"].decode(): (letter[b"error"].decode(), letter[b"reason"].decode()) for letter in letters}


@pytest.fixture
def labels(bench: Bench) -> Iterator[Labels]:
    made = Labels(bench)
    yield made
    made.writer.__exit__()


def test_labels_are_stored_with_the_time_of_their_message_before_it_is_acknowledged(labels: Labels) -> None:
    labels.send({"id": "a", "truth": "High"}, {"id": "a", "row": 1, "truth": 0.2, "observed_at": "2026-11-20", "reported_by": "HR"})
    labels.send_fields({b"report": b'{"id": "b", "truth": "Low", "dataset": "employees"}'})

    with labels.reading() as feedback:
        wait_until(labels.settled)

    first, second, third = labels.stored()
    assert (first.message_id, first.row, first.label, first.reported_by, first.source) == ("a", 0, "High", "stream", "stream")
    assert abs(first.observed_at - datetime.now(UTC)) < timedelta(minutes=1)
    assert (second.label, second.observed_at, second.reported_by) == ("Low", datetime(2026, 11, 20, tzinfo=UTC), "HR")
    assert (third.message_id, third.label) == ("b", "Low")
    assert feedback.counts() == {("stream", "employees", "waiting"): 3}
    assert labels.dead() == {}


def test_a_refused_report_is_named_in_a_letter_and_costs_none_beside_it(labels: Labels) -> None:
    mixed = labels.send({"id": "a", "truth": "High"}, {"id": "b", "truth": "Hihg"}, {"id": "c"}, {"id": "d", "truth": "Low"})
    unknown = labels.send({"id": "e", "truth": "Low"}, dataset=None)
    good = labels.send({"id": "f", "truth": "Low"})

    with labels.reading():
        wait_until(labels.settled)

    assert [stored.message_id for stored in labels.stored()] == ["a", "d", "f"]
    dead = labels.dead()
    assert dead.keys() == {mixed, unknown}
    assert good not in dead
    assert dead[mixed][0] == "invalid_truth"
    assert dead[mixed][1].startswith("report 1: invalid_truth: truth: got 'Hihg', expected one of Low, Medium, High")
    assert "; report 2: invalid_feedback: truth: got None" in dead[mixed][1]
    assert dead[unknown][0] == "unknown_prediction"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({b"reports": b"[{"}, "'reports' is not JSON"),
        ({b"reports": b"[]"}, "at least one object"),
        ({b"reports": b"7"}, "at least one object"),
        ({b"report": b"{}", b"reports": b"[{}]"}, "either 'report' or 'reports'"),
        ({b"dataset": b"employees"}, "either 'report' or 'reports'"),
        ({b"reports": b"[{}]", b"data": b"x"}, "got the fields 'traceparent', 'reports', 'data'"),
        ({b"reports": b"[{}]", b"dataset": b"\xff"}, "not UTF-8"),
        ({b"reports": b'[{"id": "x", "truth": "' + b"y" * 20_000 + b'"}]'}, "20099 bytes, more than"),
    ],
)
def test_a_message_that_cannot_be_read_is_buried_alone(labels: Labels, fields: Fields, reason: str) -> None:
    bad = labels.send_fields(fields)
    labels.send({"id": "a", "truth": "High"})

    with labels.reading(stream_max_message_bytes=10_000, stream_batch_bytes=10_000):
        wait_until(labels.settled)

    assert len(labels.stored()) == 1
    assert labels.dead().keys() == {bad}
    assert reason in labels.dead()[bad][1]


def test_a_reader_that_is_killed_between_commit_and_acknowledgement_doubles_and_loses_nothing(labels: Labels) -> None:
    mixed = labels.send({"id": "a", "truth": "High"}, {"id": "b", "truth": "Hihg"})
    for number in range(20):
        labels.send({"id": f"c{number}", "truth": number % 3 / 2.5})
    for _ in range(2):
        process = labels.process(**{DIES: "1"})
        assert process.wait(LIMIT_SECONDS) == -9
        assert len(labels.stored()) == 21, "the kill came before the commit"
        assert not labels.settled()
    assert labels.dead() == {}

    with labels.reading() as feedback:
        wait_until(labels.settled)

    assert len(labels.stored()) == 21
    assert labels.dead().keys() == {mixed}
    assert feedback.counts()["stream", "employees", "same"] == 21


def test_what_a_reader_dropped_is_taken_over_by_another(labels: Labels) -> None:
    labels.send({"id": "a", "truth": "High"})
    labels.process(**{DIES: "1"}).wait(LIMIT_SECONDS)

    with labels.reading(stream_consumer="two", stream_claim_idle_milliseconds=1_000):
        wait_until(labels.settled)


def test_while_the_store_is_away_nothing_is_acknowledged_and_then_nothing_is_lost(bench: Bench) -> None:
    labels = Labels(bench)
    labels.send({"id": "a", "truth": "High"})
    with temporary_servers.postgres_server() as server:
        migrate(server.url)
        server.stop(signal.SIGTERM)
        with labels.reading(server.url):
            wait_until(lambda: any(group["pending"] for group in labels.groups()))
            server.start()
            wait_until(labels.settled)
        with LabelStore(server.url) as store:
            store.put([Prediction("a", 0, "employees", "champion", "2", "knn", 0, "Low", (1.0, 0.0, 0.0), {}, None, datetime.now(UTC))])
            assert [found.truth for found in store.labelled("employees")] == [2]
    labels.writer.__exit__()


def test_the_process_of_the_worker_reads_labels_also_while_mlflow_is_away(labels: Labels) -> None:
    port = temporary_servers.free_port()
    process = labels.process("hearth.streaming.worker", HEARTH_WORKER_METRICS_PORT=str(port))
    labels.send({"id": "a", "truth": "High"})

    wait_until(labels.settled)

    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        assert 'hearth_labels_received_total{dataset="employees",outcome="waiting",source="stream"} 1.0' in answer.read().decode()
    process.terminate()
    assert process.wait(LIMIT_SECONDS) == 0
    assert len(labels.stored()) == 1


def test_the_labels_of_the_fake_producer_join_the_predictions_of_the_worker(labels: Labels) -> None:
    environment = {
        **os.environ,
        **labels.bench.environment(),
        "HEARTH_PRODUCER_RECORDS_PER_SECOND": "0",
        "HEARTH_PRODUCER_BAD_SHARE": "0",
    }
    command = "utils/fake_data_producer.py --dataset employees --alias champion --records 200 --records-per-message 2"
    command += " --labels 90% --label-delay 1s"
    with labels.bench.working(FakeRegistry(champion="3")), labels.reading() as feedback:
        subprocess.run(
            [sys.executable, *command.split()], cwd=ROOT, env=environment, check=True, capture_output=True, timeout=LIMIT_SECONDS
        )
        wait_until(lambda: labels.settled() and labels.bench.settled())

    counts = feedback.counts()
    received = sum(counts.values())
    assert counts.keys() <= {("stream", "employees", "joined"), ("stream", "employees", "waiting")}
    with LabelStore(labels.bench.database_url) as store:
        found = store.labelled("employees")
    assert len(found) == received
    assert 140 < received < 200
    assert {answer.row for answer in found} == {0, 1}
    assert {answer.truth for answer in found} == {0, 1, 2}


class Broken(Feedback):
    def receive(self, *_: object) -> Any:
        raise ZeroDivisionError


def test_an_error_that_nobody_expects_ends_the_process_and_is_not_acknowledged(labels: Labels, bench: Bench) -> None:
    labels.send({"id": "a", "truth": "High"})
    stop = threading.Event()
    with StreamConsumer(bench.valkey_url, labels.name, "workers", "one", 1_000) as stream, LabelStore(bench.database_url) as store:
        worker = LabelWorker(stream, Broken(store, {}), bench.settings(), Retrier(stop))
        with pytest.raises(ZeroDivisionError), LabelThread(worker, Retrier(stop).stop, LIMIT_SECONDS):
            assert stop.wait(LIMIT_SECONDS)
    assert not labels.settled()
