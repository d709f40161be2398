"""The dead letters and the way back, on a real Valkey, with a worker process where one is needed."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from redis import Redis

from deploy.embedded import temporary_servers
from hearth.predictions import PredictionStore
from hearth.predictions.migration import migrate
from hearth.streaming.client import Entry, Fields, StreamWriter
from hearth.streaming.consumer import DeadLetter, StreamConsumer
from hearth.streaming.dead_letters import DeadLetters
from hearth.streaming.messages import encode
from hearth.streaming.replay import Choice, Replay, chosen
from hearth.tracing.traceparent import parse_traceparent
from tests.support.models import DATA, employees, good_record
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.support.worker_process import SECONDS_A_BATCH

ROOT = Path(__file__).parents[2]
GOOD, BAD = good_record(employees()), {"Designation": 99}


class Bench:
    """A stream of its own."""

    def __init__(self, url: str) -> None:
        self.url, self.name = url, f"stream-{uuid4().hex}"
        self.redis: Any = Redis.from_url(url)
        self.environment = {
            "HEARTH_ROOT": str(ROOT),
            "HEARTH_ENVIRONMENT": "laptop",
            "HEARTH_DATA_DIR": str(DATA),
            "HEARTH_REDIS_URL": url,
            "HEARTH_STREAM_NAME": self.name,
            "HEARTH_STREAM_MAX_LENGTH": "1000",
            "HEARTH_STREAM_KEEP_MESSAGES": "0",
            "HEARTH_STREAM_CONSUMER": "one",
        }

    def send(self, *messages: Fields) -> list[str]:
        with StreamWriter(self.url, self.name) as writer:
            return writer.send(messages)

    def bury(self, fields: Fields, error: str = "unknown_alias", reason: str = "no such alias") -> str:
        """Send a message, read it and bury it; return its id."""
        [id_] = self.send(fields)
        with StreamConsumer(self.url, self.name, "workers", "one", 1_000) as reader:
            reader.join()
            entries = reader.read(10, 1)
            reader.acknowledge([id_], [DeadLetter(entry, error, reason, datetime.now(UTC).isoformat()) for entry in entries])
            reader.trim()
        return id_

    def run(self, *arguments: str, module: str = "hearth") -> "subprocess.CompletedProcess[str]":
        process = self.start(*arguments, module=module)
        out, log = process.communicate(timeout=LIMIT_SECONDS)
        return subprocess.CompletedProcess(process.args, process.returncode, out, log)

    def start(self, *arguments: str, module: str, **more: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-W", "error", "-m", module, *(["replay"] if module == "hearth" else []), *arguments]
        environment = {**os.environ, **self.environment, **more}
        return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def stream(self) -> list[dict[str, str]]:
        return [read(fields) for _, fields in self.redis.xrange(self.name)]

    def dead(self) -> list[dict[str, str]]:
        return [read(fields) for _, fields in self.redis.xrange(f"{self.name}_dead")]


def read(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in fields.items()}


def message(alias: str = "knnn", records: Sequence[Mapping[str, object]] = (GOOD,), dataset: str = "employees") -> Fields:
    return encode(dataset, alias, records)


@pytest.fixture
def bench(valkey_url: str, fresh_database: str) -> Iterator[Bench]:
    migrate(fresh_database)  # it has the audit trail
    bench = Bench(valkey_url)
    bench.environment["HEARTH_PREDICTIONS_URL"] = fresh_database
    yield bench
    bench.redis.close()


def test_without_a_choice_all_letters_are_listed_and_nothing_changes(bench: Bench) -> None:
    first = bench.bury(message(), reason="a reason " * 40)
    bench.bury(message(dataset="strangers"), "unknown_dataset", "There is no data set 'strangers'")

    done = bench.run()

    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert first in lines[0]
    assert "employees@knnn" in lines[0]
    assert "unknown_dataset: There is no data set 'strangers'" in lines[1]
    assert lines[2] == "2 dead letters: 1 unknown_alias, 1 unknown_dataset."
    assert max(map(len, lines)) < 220
    assert (len(bench.dead()), len(bench.stream())) == (2, 0)


def test_what_is_chosen_goes_back_changed_under_its_first_id_and_the_rest_stays(bench: Bench) -> None:
    first = bench.bury(message())
    bench.bury(message(dataset="strangers"), "unknown_dataset")

    done = bench.run("--error", "unknown_alias", "--set", "alias=champion")

    assert (done.returncode, done.stdout) == (0, "1 messages are back on the stream.\n")
    [returned] = bench.stream()
    assert parse_traceparent(returned.pop("traceparent"))  # it named no trace: one begins here
    assert returned == {**read(message("champion")), "replay_of": first}
    assert [letter["error"] for letter in bench.dead()] == ["unknown_dataset"]


def test_a_dry_run_lists_what_would_go_back(bench: Bench) -> None:
    ids = [bench.bury(message()), bench.bury(message())]

    done = bench.run("--id", ids[1], "--dry-run")

    assert ids[1] in done.stdout
    assert ids[0] not in done.stdout
    assert (len(bench.dead()), len(bench.stream())) == (2, 0)


def test_all_go_back_in_their_order(bench: Bench) -> None:
    ids = [bench.bury(message()) for _ in range(250)]

    done = bench.run("--all")

    assert done.stdout == "250 messages are back on the stream.\n"
    assert [fields["replay_of"] for fields in bench.stream()] == ids
    assert bench.dead() == []
    assert bench.run("--all").stdout == "0 messages are back on the stream.\n"


@pytest.mark.parametrize(
    ("choice", "chosen_numbers"),
    [
        (Choice(), [0, 1, 2]),
        (Choice(errors=frozenset({"unknown_alias"})), [0, 2]),
        (Choice(errors=frozenset({"unknown_alias"}), datasets=frozenset({"strangers"})), [2]),
        (Choice(ids=frozenset({"7-7"})), []),
        (Choice(since=datetime.now(UTC) + timedelta(days=1)), []),
        (Choice(until=datetime.now(UTC) - timedelta(days=1)), []),
        (Choice(since=datetime.now(UTC) - timedelta(days=1), until=datetime.now(UTC) + timedelta(days=1)), [0, 1, 2]),
    ],
)
def test_a_choice_is_all_that_it_says(bench: Bench, choice: Choice, chosen_numbers: list[int]) -> None:
    ids = [
        bench.bury(message()),
        bench.bury(message(), "invalid_records"),
        bench.bury(message(dataset="strangers"), "unknown_alias"),
    ]

    with DeadLetters(bench.url, bench.name) as letters:
        assert [letter.message_id for letter in chosen(letters, choice)] == [ids[number] for number in chosen_numbers]


def test_letters_that_come_while_one_looks_are_left_for_the_next_time(bench: Bench) -> None:
    first = bench.bury(message())

    with DeadLetters(bench.url, bench.name) as letters:
        found = []
        for letter in chosen(letters, Choice()):
            bench.bury(message())
            found.append(letter.message_id)

    assert found == [first]


def test_two_who_put_the_same_back_add_it_once(bench: Bench) -> None:
    for _ in range(200):
        bench.bury(message())

    def put_back(_: int) -> int:
        with Replay(bench.url, bench.name) as replay:
            return len(replay.put_back(list(chosen(replay, Choice()))))

    with ThreadPoolExecutor(4) as pool:
        counts = list(pool.map(put_back, range(4)))

    assert sum(counts) == 200
    assert set(Counter(fields["replay_of"] for fields in bench.stream()).values()) == {1}
    assert bench.dead() == []


def test_a_letter_stays_if_its_message_cannot_be_added(bench: Bench) -> None:
    bench.bury(message())
    bench.redis.delete(bench.name)
    bench.redis.set(bench.name, "no stream")

    done = bench.run("--all")

    assert done.returncode == 1
    assert "WRONGTYPE" in done.stderr
    assert len(bench.dead()) == 1


def test_a_message_that_was_trimmed_unread_cannot_go_back_and_keeps_its_letter(bench: Bench) -> None:
    [id_] = bench.send(message())
    with StreamConsumer(bench.url, bench.name, "workers", "one", 1_000) as reader:
        reader.join()
        reader.read(10, 1)
        reader.acknowledge([id_], [DeadLetter(Entry(id_, {}), "invalid_message", "trimmed", "2026-11-21T12:00:00+00:00")])

    done = bench.run("--all")

    assert "0 messages are back" in done.stdout
    assert "1 are not" in done.stdout
    assert len(bench.dead()) == 1


def test_a_full_stream_is_waited_for_and_what_did_not_go_back_keeps_its_letter(bench: Bench) -> None:
    bench.bury(message())
    bench.send(*[message()] * 3)

    process = bench.start("--all", module="hearth", HEARTH_STREAM_MAX_LENGTH="3")
    assert process.stderr is not None
    while "the stream holds 3 messages" not in process.stderr.readline():
        assert process.poll() is None
    process.terminate()
    out, _ = process.communicate(timeout=LIMIT_SECONDS)

    assert (process.returncode, out) == (0, "0 messages are back on the stream.\n")
    assert len(bench.dead()) == 1


@pytest.mark.parametrize("wrong", [["--set", "colour=red"], ["--set", "alias"], ["--since", "yesterday"]])
def test_what_cannot_be_read_is_refused(bench: Bench, wrong: list[str]) -> None:
    done = bench.run("--all", *wrong)

    assert done.returncode == 2
    assert wrong[0] in done.stderr
    assert "Traceback" not in done.stderr


def test_a_letter_is_written_once_however_often_its_message_is_settled(bench: Bench) -> None:
    """As when an answer is lost, or another worker has taken the message over."""
    [id_] = bench.send(message())
    with (
        StreamConsumer(bench.url, bench.name, "workers", "one", 1_000) as one,
        StreamConsumer(bench.url, bench.name, "workers", "two", 1_000) as two,
    ):
        one.join()
        [entry] = one.read(10, 1)
        letter = DeadLetter(entry, "unknown_alias", "no such alias", "2026-11-21T12:00:00+00:00")
        for reader in (one, two, one):
            reader.acknowledge([id_], [letter])

    assert [found["message_id"] for found in bench.dead()] == [id_]


def test_a_message_is_not_settled_if_its_letter_cannot_be_written(bench: Bench) -> None:
    [id_] = bench.send(message())
    bench.redis.set(f"{bench.name}_dead", "no stream")
    with StreamConsumer(bench.url, bench.name, "workers", "one", 1_000) as reader:
        reader.join()
        [entry] = reader.read(10, 1)
        with pytest.raises(Exception, match="WRONGTYPE"):
            reader.acknowledge([id_], [DeadLetter(entry, "unknown_alias", "", "2026-11-21T12:00:00+00:00")])

        assert bench.redis.xpending(bench.name, "workers")["pending"] == 1


def test_a_message_of_thousands_of_fields_is_buried_too(bench: Bench) -> None:
    id_ = bench.bury({f"field {number}".encode(): b"1" for number in range(9_000)})

    [letter] = bench.dead()
    assert letter["message_id"] == id_
    assert len(letter) > 1_000


def test_a_new_alias_takes_the_place_of_model_too(bench: Bench) -> None:
    id_ = bench.bury({b"dataset": b"employees", b"model": b"knnn", b"record": b"{}"})

    assert bench.run("--all", "--set", "alias=knn").stdout == "1 messages are back on the stream.\n"

    with StreamConsumer(bench.url, bench.name, "workers", "one", 1_000) as reader:
        [entry] = reader.read(10, 1)
    fields = {name: value for name, value in entry.fields.items() if name != b"traceparent"}
    assert fields == {b"dataset": b"employees", b"record": b"{}", b"alias": b"knn", b"replay_of": id_.encode()}


def test_a_message_with_a_field_that_is_there_twice_goes_back_with_both_values(bench: Bench) -> None:
    id_ = bench.redis.execute_command("XADD", bench.name, "*", "alias", "svm", "alias", "knn", "record", "{bad}", "record", "{}").decode()
    with StreamConsumer(bench.url, bench.name, "workers", "one", 1_000) as reader:
        reader.join()
        [entry] = reader.read(10, 1)
        reader.acknowledge([id_], [DeadLetter(entry, "invalid_message", "twice", "2026-11-21T12:00:00+00:00")])

    assert bench.run("--all", "--set", "alias=champion").stdout == "1 messages are back on the stream.\n"

    with StreamConsumer(bench.url, bench.name, "workers", "one", 1_000) as reader:
        [entry] = reader.read(10, 1)
    assert entry.fields == {b"alias": b"champion", b"record": b"{}", b"replay_of": id_.encode()}
    assert entry.repeated == ((b"record", b"{bad}"),)


def test_put_back_messages_are_scored_once_under_their_first_id(bench: Bench, fresh_database: str) -> None:
    """One asks for an alias that nobody has, one holds a bad record beside a good one: of both, each good record has one row in the end."""
    migrate(fresh_database)
    bench.environment |= {"HEARTH_PREDICTIONS_URL": fresh_database, "HEARTH_STREAM_CLAIM_IDLE_MILLISECONDS": "60000", SECONDS_A_BATCH: "0"}
    lost, mixed = bench.send(message("knnn", [GOOD, GOOD]), message("champion", [GOOD, BAD]))
    worker = bench.start(module="tests.support.worker_process")
    try:
        with PredictionStore(fresh_database) as store:
            wait_until(lambda: len(bench.dead()) == 2 and len(store.of_message(mixed)) == 1)
            before = store.of_message(mixed)
            assert store.of_message(lost) == []

            assert bench.run("--all", "--set", "alias=champion").stdout == "2 messages are back on the stream.\n"

            wait_until(lambda: len(bench.dead()) == 1 and len(store.of_message(lost)) == 2)
            wait_until(lambda: bench.redis.xlen(bench.name) == 0)
            assert [found.row for found in store.of_message(lost)] == [0, 1]
            assert store.of_message(mixed) == before
    finally:
        worker.terminate()
        print(worker.communicate(timeout=LIMIT_SECONDS))  # noqa: T201 - pytest shows it when the test fails
    assert worker.returncode == 0
    [letter] = bench.dead()
    assert letter["message_id"] == mixed
    with DeadLetters(bench.url, bench.name) as letters:
        found = letters.find(mixed)
        assert found is not None
        assert "row 1" in found.reason


def test_a_server_that_is_away_is_named(bench: Bench) -> None:
    bench.environment["HEARTH_REDIS_URL"] = f"redis://:secret-word@127.0.0.1:{temporary_servers.free_port()}/0"

    done = bench.run()

    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret-word" not in done.stderr
