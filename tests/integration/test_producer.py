"""The fake producer, as a program and on a real Valkey."""

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from redis import Redis

from hearth.contracts.records import check_records
from hearth.fakes import FakeRecords
from hearth.streaming.client import Entry, StreamWriter
from hearth.streaming.messages import decode
from hearth.streaming.patience import Patience
from tests import servers
from tests.models import DATA, employees
from utils.fake_data_producer import fake_messages, produce

ROOT = Path(__file__).parents[2]


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
        "HEARTH_PRODUCER_RECORDS_PER_SECOND": str(rate),
    }
    command = [sys.executable, "utils/fake_data_producer.py", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stderr=subprocess.PIPE)


def test_fake_messages_keep_the_contract_and_ask_every_model_in_turn() -> None:
    contract = employees()

    messages = [
        decode(Entry("1-0", fields)) for fields in itertools.islice(fake_messages(contract, FakeRecords.load(contract, DATA), 42), 8)
    ]

    assert [message.alias for message in messages] == ["knn", "svm", "lightgbm", "champion"] * 2
    assert {message.dataset for message in messages} == {"employees"}
    assert len(check_records(contract, [message.records[0] for message in messages])) == 8


def test_the_same_seed_gives_the_same_messages_and_another_one_others() -> None:
    contract = employees()
    fakes = FakeRecords.load(contract, DATA)

    first, again, other = (list(itertools.islice(fake_messages(contract, fakes, seed), 2_500)) for seed in (1, 1, 2))

    assert first == again
    assert first != other
    assert len({fields[b"records"] for fields in first}) > 2_400  # a new block is no repetition


def test_messages_come_at_the_rate_that_was_asked_for(writer: StreamWriter) -> None:
    stop = threading.Event()
    threading.Timer(1.5, stop.set).start()

    sent = produce(writer, itertools.repeat({b"a": b"1"}), 100, 10_000, Patience(stop))

    assert sent == writer.length()
    assert 50 <= sent <= 155


def test_a_full_stream_is_waited_for_and_what_was_not_sent_meanwhile_is_not_made_up_for(writer: StreamWriter, valkey_url: str) -> None:
    stop = threading.Event()
    writer.send([{b"a": b"1"}] * 20)
    sent: list[int] = []
    thread = threading.Thread(target=lambda: sent.append(produce(writer, itertools.repeat({b"a": b"1"}), 10, 20, Patience(stop))))
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
