"""The fake producer, as a program and on a real Valkey."""

import contextlib
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import mean
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from hearth.contracts.records import split_records
from hearth.errors import InvalidMessage
from hearth.streaming.client import Entry, StreamWriter
from hearth.streaming.fakes import FakeMessage
from hearth.streaming.messages import Message, decode
from hearth.streaming.patience import Patience
from tests.models import DATA, employees
from utils import servers
from utils.fake_data_producer import produce

ROOT = Path(__file__).parents[2]
ONE = FakeMessage({b"a": b"1"}, 1, frozenset())


@pytest.fixture
def writer(valkey_url: str) -> Iterator[StreamWriter]:
    with StreamWriter(valkey_url, f"stream-{uuid4().hex}") as writer:
        yield writer


def start(url: str, name: str, *arguments: str, rate: float = 200, max_length: int = 1_000) -> "subprocess.Popen[str]":
    environment = {
        **os.environ,
        "HEARTH_ENVIRONMENT": "laptop",
        "HEARTH_DATA_DIR": str(DATA),
        "HEARTH_REDIS_URL": url,
        "HEARTH_STREAM_NAME": name,
        "HEARTH_STREAM_MAX_LENGTH": str(max_length),
        "HEARTH_PRODUCER_DATASET": "employees",
        "HEARTH_PRODUCER_RECORDS_PER_SECOND": str(rate),
        "HEARTH_PRODUCER_BAD_SHARE": "0",
    }
    command = [sys.executable, "utils/fake_data_producer.py", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stderr=subprocess.PIPE)


def read(url: str, name: str) -> list[Message]:
    """Return the messages that can be read and that ask employees."""
    messages = []
    with Redis.from_url(url) as redis:
        entries: Any = redis.xrange(name)
        for id_, fields in entries:
            with contextlib.suppress(InvalidMessage):
                messages.append(decode(Entry(id_.decode(), fields)))
    return [message for message in messages if message.dataset == "employees" and message.alias != "no_such_thing"]


def mean_of(column: str, good: list[dict[int, dict[str, object]]]) -> float:
    return mean(float(str(record[column])) for records in good for record in records.values())


def test_messages_come_at_the_rate_that_was_asked_for(writer: StreamWriter) -> None:
    stop = threading.Event()
    threading.Timer(1.5, stop.set).start()

    sent = produce(writer, itertools.repeat(ONE), 100, 10_000, Patience(stop))

    assert sent == writer.length()
    assert 50 <= sent <= 155


def test_a_full_stream_is_waited_for_and_what_was_not_sent_meanwhile_is_not_made_up_for(writer: StreamWriter, valkey_url: str) -> None:
    stop = threading.Event()
    writer.send([{b"a": b"1"}] * 20)
    sent: list[int] = []
    thread = threading.Thread(target=lambda: sent.append(produce(writer, itertools.repeat(ONE), 10, 20, Patience(stop))))
    thread.start()
    time.sleep(1.2)
    assert writer.length() == 20

    with Redis.from_url(valkey_url) as redis:
        redis.delete(writer._name)
    time.sleep(0.9)
    stop.set()
    thread.join(10)

    assert 1 <= sent[0] <= 10


def test_the_program_stops_after_the_records_that_were_asked_for(writer: StreamWriter, valkey_url: str) -> None:
    process = start(valkey_url, writer._name, "--records", "25")

    _, log = process.communicate(timeout=60)

    assert process.returncode == 0, log
    assert writer.length() == 25
    assert "stopped after 25 records" in log


def test_records_count_and_not_messages(writer: StreamWriter) -> None:
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()

    sent = produce(writer, itertools.repeat(FakeMessage({b"a": b"1"}, 50, frozenset())), 100, 10_000, Patience(stop))

    assert sent == 50 * writer.length()
    assert 50 <= sent <= 200


def test_as_fast_as_possible_stops_at_the_bound_of_the_stream(writer: StreamWriter) -> None:
    stop = threading.Event()
    threading.Timer(1.0, stop.set).start()

    sent = produce(writer, itertools.repeat(ONE), 0, 500, Patience(stop))

    assert sent == writer.length() == 500


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

    _, log = process.communicate(timeout=60)

    assert process.returncode == 0, log
    assert "employees drifts: Sleep Hours +300/min" in log
    messages = read(valkey_url, writer._name)
    assert len(messages) > 200  # the others cannot be read
    assert {message.alias for message in messages} == {"knn", "svm"}
    good = [split_records(employees(), message.records)[0] for message in messages]
    assert 0.05 < 1 - sum(map(len, good)) / sum(len(message.records) for message in messages) < 0.2
    first, last = (mean_of("Sleep Hours", part) for part in (good[:50], good[-50:]))
    assert last > first + 1


def test_a_drift_that_no_column_has_is_refused_before_anything_is_sent(writer: StreamWriter, valkey_url: str) -> None:
    process = start(valkey_url, writer._name, "--drift", "Shoe Size=+1/min")

    _, log = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "no such feature; there are:" in log
    assert "Traceback" not in log
    assert writer.length() == 0


def test_the_program_leaves_when_told_even_while_its_server_is_away() -> None:
    process = start(f"redis://127.0.0.1:{servers.free_port()}/0", "stream")
    assert process.stderr is not None
    while "waiting" not in process.stderr.readline():
        assert process.poll() is None

    process.terminate()

    _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "stopped after 0 records" in log


def test_an_unknown_data_set_is_named(valkey_url: str) -> None:
    process = start(valkey_url, "stream", "--dataset", "strangers")

    _, log = process.communicate(timeout=60)

    assert process.returncode == 1
    assert "There is no data set 'strangers'" in log
    assert "Traceback" not in log
