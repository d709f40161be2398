"""The fake producer, as a program and on a real Valkey."""

import contextlib
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from deploy.embedded import temporary_servers
from hearth.contracts.records import split_records
from hearth.errors import InvalidMessage
from hearth.streaming.client import Entry, StreamWriter
from hearth.streaming.messages import Message, decode, read_address
from hearth.streaming.producer.fake_messages import FakeMessage
from hearth.streaming.retrying import Retrier
from tests.support.models import DATA, carry, employees
from tests.support.sources import batch_contract
from tests.support.waiting import LIMIT_SECONDS, wait_until
from utils import fake_data_producer
from utils.fake_data_producer import produce, with_empty_drift

ROOT = Path(__file__).parents[2]
ONE = FakeMessage({b"a": b"1"}, 1, frozenset())


@pytest.fixture
def writer(valkey_url: str) -> Iterator[StreamWriter]:
    with StreamWriter(valkey_url, f"stream-{uuid4().hex}") as writer:
        yield writer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> "Clock":
    clock = Clock()
    monkeypatch.setattr(fake_data_producer, "time", clock)
    return clock


class Clock(Retrier):
    """Time that passes only while the producer sleeps: how fast this machine is makes no difference."""

    def __init__(self) -> None:
        super().__init__(threading.Event())
        self.now, self.end = 0.0, 0.0
        self.at: dict[float, Callable[[], object]] = {}  # what happens then

    @property
    def stopping(self) -> bool:
        return self.now >= self.end

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        for moment in [moment for moment in self.at if moment <= self.now]:
            self.at.pop(moment)()


def start(url: str, name: str, *arguments: str, **changes: object) -> "subprocess.Popen[str]":
    settings = {
        "environment": "laptop",
        "data_dir": DATA,
        "mlflow_tracking_uri": "http://127.0.0.1:9",
        "alias_poll_seconds": 0.1,
        "redis_url": url,
        "stream_name": name,
        "stream_max_length": 1_000,
        "producer_dataset": "employees",
        "producer_records_per_second": 200,
        "producer_bad_share": 0,
    }
    environment = {**os.environ, **{f"HEARTH_{name.upper()}": str(value) for name, value in (settings | changes).items()}}
    command = [sys.executable, "utils/fake_data_producer.py", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stderr=subprocess.PIPE)


def wait_for_line(process: "subprocess.Popen[str]", text: str) -> str:
    """Return the log up to the line that holds the text."""
    assert process.stderr is not None
    said = [""]
    while text not in said[-1]:
        said.append(process.stderr.readline())
        assert said[-1] or process.poll() is None, "".join(said)
    return "".join(said)


def read(url: str, name: str) -> list[Message]:
    """Return the messages that can be read and that ask employees."""
    messages = []
    with Redis.from_url(url) as redis:
        entries: Any = redis.xrange(name)
        for id_, fields in entries:
            with contextlib.suppress(InvalidMessage):
                messages.append(decode(Entry(id_.decode(), fields)))
    return [message for message in messages if message.dataset == "employees" and message.alias != "no_such_thing"]


def asked(url: str, name: str) -> set[tuple[str, str]]:
    """Return the data sets and aliases that messages ask."""
    with Redis.from_url(url) as redis:
        entries: Any = redis.xrange(name)
        return {read_address(Entry(id_.decode(), fields)) for id_, fields in entries}


def mean_of(column: str, good: Sequence[Mapping[int, Mapping[str, object]]]) -> float:
    return mean(float(str(record[column])) for records in good for record in records.values())


def test_messages_come_at_the_rate_that_was_asked_for(writer: StreamWriter, clock: Clock) -> None:
    clock.end = 1.5

    sent = produce(writer, itertools.repeat(ONE), 100, 10_000, clock)

    assert sent == writer.length()
    assert 145 <= sent <= 151


def test_a_full_stream_is_waited_for_and_what_was_not_sent_meanwhile_is_not_made_up_for(
    writer: StreamWriter, valkey_url: str, clock: Clock
) -> None:
    writer.send([{b"a": b"1"}] * 20)

    def make_room() -> None:
        assert writer.length() == 20
        with Redis.from_url(valkey_url) as redis:
            redis.delete(writer._name)

    clock.at[30.0], clock.end = make_room, 31.0

    assert 8 <= produce(writer, itertools.repeat(ONE), 10, 20, clock) <= 11


def test_without_a_model_nothing_is_sent_and_that_is_not_made_up_for(
    writer: StreamWriter, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.end = 31.0

    sent = produce(writer, itertools.repeat(ONE), 10, 20, clock, lambda: clock.now >= 30)

    assert 8 <= sent <= 11
    assert len([line for line in caplog.messages if "Run a training first" in line]) == 1


def test_records_count_and_not_messages(writer: StreamWriter, clock: Clock) -> None:
    clock.end = 1.0

    sent = produce(writer, itertools.repeat(FakeMessage({b"a": b"1"}, 50, frozenset())), 100, 10_000, clock)

    assert sent == 50 * writer.length() == 100


def test_as_fast_as_possible_stops_at_the_bound_of_the_stream(writer: StreamWriter, clock: Clock) -> None:
    clock.end = 1.0

    sent = produce(writer, itertools.repeat(ONE), 0, 500, clock)

    assert sent == writer.length() == 500


def test_the_program_stops_after_the_records_that_were_asked_for(writer: StreamWriter, valkey_url: str) -> None:
    process = start(valkey_url, writer._name, "--alias", "knn", "--records", "25")

    _, log = process.communicate(timeout=LIMIT_SECONDS)

    assert process.returncode == 0, log
    assert writer.length() == 25
    assert "stopped after 25 records" in log


def test_of_all_data_sets_only_those_with_a_model_are_sent_and_the_others_join_when_they_are_trained(
    writer: StreamWriter, valkey_url: str, mlflow_uri: str, tmp_path: Path
) -> None:
    first, second, never = (batch_contract(tmp_path, f"{name}_{uuid4().hex}").name for name in ("meadow", "hill", "moor"))
    process = start(valkey_url, writer._name, data_dir=tmp_path, mlflow_tracking_uri=mlflow_uri, producer_dataset="all")
    try:
        announced = wait_for_line(process, "none of these data sets has a model yet")
        assert writer.length() == 0

        carry(mlflow_uri, first, "champion")
        wait_until(lambda: writer.length() >= 20)
        assert asked(valkey_url, writer._name) == {(first, "champion")}

        carry(mlflow_uri, second, "knn")
        wait_until(lambda: (second, "knn") in asked(valkey_url, writer._name))
    finally:
        process.terminate()
        _, log = process.communicate(timeout=LIMIT_SECONDS)

    assert process.returncode == 0, log
    assert asked(valkey_url, writer._name) == {(first, "champion"), (second, "knn")}
    assert never in announced


def test_a_list_of_data_sets_is_taken_in_turn(writer: StreamWriter, valkey_url: str) -> None:
    process = start(
        valkey_url, writer._name, "--alias", "knn", "--alias", "champion", "--records", "8", producer_dataset="employees, heart"
    )

    _, log = process.communicate(timeout=LIMIT_SECONDS)

    assert process.returncode == 0, log
    assert asked(valkey_url, writer._name) == {(name, alias) for name in ("employees", "heart") for alias in ("knn", "champion")}


def test_the_program_sends_bad_records_and_drifting_ones_on_purpose(writer: StreamWriter, valkey_url: str) -> None:
    """At 10,000 records a second 3,000 records take 0.3 s, but drift goes by the clock of the records."""
    options = [
        "--records",
        "3000",
        "--records-per-message",
        "10",
        "--bad-share",
        "0.2",
        "--drift",
        "Sleep Hours=+300/min",
        "--rate",
        "10000",
    ]
    process = start(valkey_url, writer._name, *options, "--alias", "knn", "--alias", "svm")

    _, log = process.communicate(timeout=LIMIT_SECONDS)

    assert process.returncode == 0, log
    assert "employees drifts: Sleep Hours +300/min" in log
    messages = read(valkey_url, writer._name)
    assert len(messages) > 200  # the others cannot be read
    assert {message.alias for message in messages} == {"knn", "svm"}
    good = [split_records(employees(), message.records).good for message in messages]
    assert 0.05 < 1 - sum(map(len, good)) / sum(len(message.records) for message in messages) < 0.2
    first, last = (mean_of("Sleep Hours", part) for part in (good[:50], good[-50:]))
    assert last > first + 1


def test_a_drift_that_no_column_has_is_refused_before_anything_is_sent(writer: StreamWriter, valkey_url: str) -> None:
    process = start(valkey_url, writer._name, "--drift", "Shoe Size=+1/min")

    _, log = process.communicate(timeout=LIMIT_SECONDS)

    assert process.returncode == 1
    assert "no such feature; there are:" in log
    assert "Traceback" not in log
    assert writer.length() == 0


def test_the_program_stops_on_sigterm_even_while_its_server_is_away() -> None:
    process = start(f"redis://127.0.0.1:{temporary_servers.free_port()}/0", "stream", "--alias", "knn")
    wait_for_line(process, "waiting")

    process.terminate()

    _, log = process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 0
    assert "stopped after 0 records" in log


def test_an_unknown_data_set_is_named(valkey_url: str) -> None:
    process = start(valkey_url, "stream", "--dataset", "employees,strangers")

    _, log = process.communicate(timeout=LIMIT_SECONDS)

    assert process.returncode == 2
    assert "There is no data set 'strangers'" in log
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], []),
        (["--drift"], ["--drift="]),
        (["--drift", "--seed", "1"], ["--drift=", "--seed", "1"]),
        (["--seed", "1", "--drift", "Sleep Hours=-0.5/min", "--drift"], ["--seed", "1", "--drift", "Sleep Hours=-0.5/min", "--drift="]),
    ],
)
def test_a_drift_may_have_no_value(arguments: list[str], expected: list[str]) -> None:
    assert with_empty_drift(arguments) == expected


def test_the_program_needs_no_arguments(valkey_url: str) -> None:
    """As supervisord and Compose start it."""
    process = start(valkey_url, f"stream-{uuid4().hex}")
    wait_for_line(process, "fake records a second, of employees, go to the stream")

    process.terminate()

    process.communicate(timeout=LIMIT_SECONDS)
    assert process.returncode == 0
