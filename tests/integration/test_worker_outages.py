"""Servers of the stream worker that are really stopped, or refuse, and then are well again: nothing is lost, doubled or given up."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from deploy.embedded import temporary_servers
from tests.support.models import FakeRegistry
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.support.worker_bench import Bench, record


@pytest.fixture
def bench(own_bench: Bench) -> Bench:
    return own_bench


def lines(caplog: pytest.LogCaptureFixture, beginning: str) -> list[str]:
    return [line for line in caplog.messages if line.startswith(beginning)]


def execute(bench: Bench, *statements: str) -> None:
    with psycopg.connect(bench.database_url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_postgres_stopped_for_a_while_stops_acknowledging_and_then_all_is_stored_once(
    bench: Bench, postgres: temporary_servers.Server, caplog: pytest.LogCaptureFixture, how: signal.Signals
) -> None:
    caplog.set_level(logging.INFO)
    with bench.working(FakeRegistry(champion="3"), stream_batch_messages=10):
        sent = {bench.send(record()) for _ in range(20)}
        wait_until(bench.settled)
        postgres.stop(how)
        try:
            sent |= {bench.send(record(number % 6)) for number in range(50)}
            wait_until(lambda: bool(lines(caplog, "waiting")))
            assert 0 < bench.pending() <= 30  # a batch that is being stored, one that waits to be, one that is scored: no more is read
        finally:
            postgres.start()
        wait_until(bench.settled)

    assert sorted(found.message_id for found in bench.stored()) == sorted(sent)
    assert (len(lines(caplog, "waiting")), len(lines(caplog, "going on"))) == (1, 1)


def test_a_read_only_postgres_stops_acknowledging_and_heals(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with bench.working(FakeRegistry(champion="3")):
        execute(bench, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
        try:
            bench.send(record())
            wait_until(lambda: bool(lines(caplog, "waiting")))
            assert bench.pending() == 1
        finally:
            execute(
                bench,
                "SET default_transaction_read_only = off",
                "ALTER SYSTEM RESET default_transaction_read_only",
                "SELECT pg_reload_conf()",
            )
        wait_until(bench.settled)

    assert bench.count() == 1
    assert "read-only" in lines(caplog, "waiting")[0]


def test_a_full_postgres_stops_acknowledging_and_heals(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """The server itself says what it says when its disk is full; filling the disk of this machine would stop more than the test."""
    caplog.set_level(logging.INFO)
    execute(
        bench,
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$",
        "CREATE TRIGGER full_disk BEFORE INSERT ON predictions EXECUTE FUNCTION full_disk()",
    )
    with bench.working(FakeRegistry(champion="3")):
        bench.send(record())
        wait_until(lambda: bool(lines(caplog, "waiting")))
        assert bench.pending() == 1
        execute(bench, "DROP TRIGGER full_disk ON predictions")
        wait_until(bench.settled)

    assert bench.count() == 1
    assert "No space left" in lines(caplog, "waiting")[0]


def test_a_table_that_is_not_there_yet_is_waited_for(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    execute(bench, "ALTER TABLE predictions RENAME TO elsewhere")
    with bench.working(FakeRegistry(champion="3")):
        bench.send(record())
        wait_until(lambda: bool(lines(caplog, "waiting")))
        execute(bench, "ALTER TABLE elsewhere RENAME TO predictions")
        wait_until(bench.settled)

    assert bench.count() == 1
    assert "hearth store migrate" in lines(caplog, "waiting")[0]


def test_valkey_killed_and_started_again_keeps_what_was_queued_and_what_was_in_hand(
    bench: Bench, valkey: temporary_servers.Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for number in range(300):
        bench.send(record(number % 6))
    with bench.working(FakeRegistry(champion="3"), stream_batch_messages=10):
        wait_until(lambda: bench.count() > 0)
        valkey.stop(signal.SIGKILL)
        try:
            wait_until(lambda: bool(lines(caplog, "waiting")))
        finally:
            valkey.start()
        bench.send(record())
        wait_until(lambda: bench.settled() and bench.count() == 301)

    assert len({found.message_id for found in bench.stored()}) == 301
    assert (len(lines(caplog, "waiting")), len(lines(caplog, "going on"))) == (1, 1)
    assert bench.dead() == []


def test_a_registry_that_is_away_at_the_start_is_waited_for(bench: Bench) -> None:
    shelf = FakeRegistry()
    shelf.away = True
    bench.send(record())
    with bench.working(shelf):
        wait_until(lambda: bench.pending() == 1)
        shelf.carried["champion"], shelf.away = "3", False
        wait_until(bench.settled)

    assert bench.count() == 1


def test_the_program_starts_without_mlflow_and_gives_back_what_it_could_not_score(bench: Bench, tmp_path: Path) -> None:
    bench.send(record())
    log = tmp_path / "log"
    environment = {**os.environ, **bench.environment()}
    with log.open("w") as file:
        process = subprocess.Popen([sys.executable, "-P", "-m", "hearth.streaming.worker"], cwd=tmp_path, env=environment, stderr=file)
    wait_until(lambda: "messages wait" in log.read_text())
    process.terminate()

    assert process.wait(LIMIT_SECONDS) == 0
    assert "1 messages are left to the next worker" in log.read_text()
    with bench.working(FakeRegistry(champion="3"), stream_consumer="two", stream_claim_idle_milliseconds=10_000):
        wait_until(bench.settled)
    assert bench.count() == 1
