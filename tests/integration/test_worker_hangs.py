"""Servers that take what a worker sends and never answer: it leaves in its time, and the next one loses and doubles nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import psutil
import psycopg
import pytest
from prometheus_client import CollectorRegistry

from deploy.embedded.temporary_servers import Server
from hearth.streaming.messages import encode
from hearth.streaming.worker.reports import Reports
from tests.support.models import FakeRegistry
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.support.worker_bench import Bench, record

LEAVE_SECONDS = 2
GRACE_SECONDS = 30  # what supervisors wait before they kill
BATCH_MESSAGES = 10
ALL_ROOM = 2 * BATCH_MESSAGES + 1  # more than two batches: one is being stored, one waits to be, one is scored, and no more is read


@contextmanager
def locked(bench: Bench, _: Server) -> Iterator[None]:
    with psycopg.connect(bench.database_url) as connection:
        connection.execute("LOCK TABLE predictions IN ACCESS EXCLUSIVE MODE")
        yield


@contextmanager
def frozen(_: Bench, server: Server) -> Iterator[None]:
    """A server whose processes stand still, with all their connections open."""
    leader = psutil.Process(server.pid)
    processes = [leader, *leader.children(recursive=True)]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.suspend()
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


Hang = Callable[[Bench, Server], AbstractContextManager[None]]


def leaves_by_itself(process: "subprocess.Popen[str]") -> None:
    """Stop the worker while a server hangs: one that waits for the server never ends."""
    process.terminate()
    assert process.wait(LIMIT_SECONDS) == 0


def sent_at_once(bench: Bench, process: "subprocess.Popen[str]", messages: int) -> list[str]:
    """Send so that the worker finds all of them when it looks: it has read no more than the first by itself."""
    process.send_signal(signal.SIGSTOP)
    sent = [bench.send(record(number % 6)) for number in range(messages)]
    process.send_signal(signal.SIGCONT)
    return sent


def stored_once(bench: Bench, sent: list[str]) -> bool:
    return sorted(found.message_id for found in bench.stored()) == sorted(sent)


@pytest.mark.parametrize("hang", [locked, frozen])
@pytest.mark.parametrize(("messages", "held"), [(4, 4), (60, ALL_ROOM)], ids=["one batch", "all its room"])
def test_a_worker_leaves_while_postgres_hangs_and_what_it_held_is_written_once_by_the_next(
    own_bench: Bench, postgres: Server, hang: Hang, messages: int, held: int
) -> None:
    bench = own_bench
    process = bench.process(0, stream_batch_messages=BATCH_MESSAGES, stream_leave_seconds=LEAVE_SECONDS)
    sent = [bench.send(record())]
    wait_until(lambda: bench.settled() and bench.count() == 1)

    with hang(bench, postgres):
        sent += sent_at_once(bench, process, messages)
        wait_until(lambda: bench.pending() >= held)
        leaves_by_itself(process)
        left = bench.redis.xpending_range(bench.name, "workers", "-", "+", 100)

    assert [one["times_delivered"] for one in left] == [0] * len(left)
    assert len(left) >= held
    with bench.working(FakeRegistry(champion="3"), stream_consumer="two"):
        wait_until(bench.settled)
    assert stored_once(bench, sent)
    assert bench.dead() == []


def test_what_postgres_answers_within_the_time_to_leave_is_acknowledged(own_bench: Bench, postgres: Server) -> None:
    bench = own_bench
    process = bench.process(0, stream_batch_messages=BATCH_MESSAGES, stream_leave_seconds=LIMIT_SECONDS)
    wait_until(lambda: bool(bench.groups()))
    with locked(bench, postgres):
        sent = sent_at_once(bench, process, 60)
        wait_until(lambda: bench.pending() >= ALL_ROOM)
        process.terminate()
        time.sleep(1)
        assert process.poll() is None

    assert process.wait(LIMIT_SECONDS) == 0
    assert bench.pending() == 0
    assert stored_once(bench, sent[: bench.count()])
    assert ALL_ROOM <= bench.count() < len(sent)  # in order, and no more than was in hand


def test_while_postgres_hangs_and_no_more_is_read_the_age_of_what_waits_still_rises(own_bench: Bench, postgres: Server) -> None:
    bench, registry = own_bench, CollectorRegistry()
    with bench.working(FakeRegistry(champion="3"), reports=Reports(registry), stream_batch_messages=BATCH_MESSAGES):
        with locked(bench, postgres):
            bench.writer.send([encode("employees", "champion", [record()])] * 60)
            wait_until(lambda: bench.pending() >= ALL_ROOM)
            wait_until(lambda: (registry.get_sample_value("hearth_stream_oldest_seconds") or 0) > 6)  # it looks every five seconds
        wait_until(bench.settled)


def test_a_worker_leaves_while_valkey_hangs_and_comes_back_to_what_it_held(own_bench: Bench, valkey: Server) -> None:
    bench = own_bench
    process = bench.process(0.2, stream_batch_messages=5, stream_leave_seconds=LEAVE_SECONDS)
    sent = [bench.send(record(number % 6)) for number in range(100)]
    wait_until(lambda: bench.count() > 0)

    with frozen(bench, valkey):
        leaves_by_itself(process)

    assert not bench.settled()
    with bench.working(FakeRegistry(champion="3")):
        wait_until(bench.settled)
    assert stored_once(bench, sent)
    assert bench.dead() == []


def test_the_program_is_ended_if_postgres_hangs_before_anything_is_read(own_bench: Bench, tmp_path: Path) -> None:
    """The migration waits for a lock that another one holds, and nothing in the process can be asked to stop that."""
    bench, log = own_bench, tmp_path / "log"
    command = [sys.executable, "-P", "-m", "hearth.streaming.worker"]
    environment = {**os.environ, **bench.environment(stream_leave_seconds=0)}

    with psycopg.connect(bench.database_url) as connection, log.open("w") as file:
        connection.execute("LOCK TABLE predictions_version IN ACCESS EXCLUSIVE MODE")
        process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=file)
        wait_until(lambda: waits_for_a_lock(bench))
        process.send_signal(signal.SIGTERM)
        assert process.wait(GRACE_SECONDS) == 1

    assert "ended by force" in log.read_text()
    assert bench.groups() == []


def waits_for_a_lock(bench: Bench) -> bool:
    with psycopg.connect(bench.database_url) as connection:
        query = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        return connection.execute(query).fetchone() is not None
