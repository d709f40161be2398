"""The stream worker as a process: killed, stopped, ended by a message, and what is left then."""

import os
import socket
import subprocess
import sys
import urllib.request
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded import temporary_servers
from tests.support.models import ByDesignation, FakeRegistry
from tests.support.waiting import LIMIT_SECONDS, wait_until
from tests.support.worker_bench import Bench, has_more, is_over, record
from tests.support.worker_process import DEADLY_SLEEP_HOURS


def test_a_worker_that_is_killed_again_and_again_loses_and_doubles_nothing(bench: Bench) -> None:
    sent: set[str] = set()
    in_hand = []
    for _ in range(3):
        sent |= {bench.send(record(number % 6), record(5)) for number in range(60)}  # so each life has something to do
        before = bench.count()
        process = bench.process(0.2, stream_batch_messages=5)
        wait_until(partial(has_more, bench, before))
        process.kill()
        process.wait(LIMIT_SECONDS)
        in_hand.append(bench.pending())
    assert any(in_hand), "no kill came while a message was in hand: the test shows nothing"

    with bench.working(FakeRegistry(champion="3")):
        wait_until(bench.settled)

    stored = bench.stored()
    assert len(stored) == 2 * len(sent)
    assert {found.message_id for found in stored} == sent
    assert bench.dead() == []


def test_a_message_that_ends_its_worker_is_buried_alone(bench: Bench) -> None:
    good = {bench.send(record(0)) for _ in range(3)}
    deadly = bench.send(record(**{"Sleep Hours": DEADLY_SLEEP_HOURS}))
    good |= {bench.send(record(0)) for _ in range(3)}

    ends = 0
    while not bench.dead():
        process = bench.process(0, stream_max_deliveries=3)
        wait_until(partial(is_over, bench, process))
        if process.poll() is None:
            wait_until(bench.settled)
            process.terminate()
        else:
            ends += 1
        process.wait(LIMIT_SECONDS)

    assert ends == 3  # together, together once more, alone
    [letter] = bench.dead()
    assert letter["message_id"] == deadly
    assert "delivered 3 times" in letter["reason"]
    assert {found.message_id for found in bench.stored()} == good


def test_what_a_worker_dropped_is_taken_over_by_another(bench: Bench) -> None:
    for number in range(40):
        bench.send(record(number % 6))
    process = bench.process(120, stream_batch_messages=40)  # it is killed long before it is done
    wait_until(lambda: bench.pending() > 0)
    process.kill()
    process.wait(LIMIT_SECONDS)

    with bench.working(FakeRegistry(champion="3"), stream_consumer="two", stream_claim_idle_milliseconds=1_000):
        wait_until(lambda: bench.settled() and bench.count() == 40)


def test_sigterm_finishes_the_batch_in_hand(bench: Bench) -> None:
    for _ in range(100):
        bench.send(record())
    process = bench.process(0.5, stream_batch_messages=10)
    wait_until(lambda: bench.count() > 0)

    process.terminate()
    assert process.wait(LIMIT_SECONDS) == 0
    assert bench.pending() == 0
    assert 0 < bench.count() < 100


def test_the_program_itself_starts_without_its_servers_and_leaves_when_told(tmp_path: Path) -> None:
    port = temporary_servers.free_port()
    bench = Bench(f"redis://127.0.0.1:{port}/0", f"postgresql://hearth:secret-word@127.0.0.1:{port}/predictions")
    log = tmp_path / "log"
    environment = {**os.environ, **bench.environment()}
    with log.open("w") as file:
        process = subprocess.Popen([sys.executable, "-P", "-m", "hearth.streaming.worker"], cwd=tmp_path, env=environment, stderr=file)
    wait_until(lambda: "waiting" in log.read_text())
    process.terminate()

    assert process.wait(LIMIT_SECONDS) == 0
    lines = log.read_text().splitlines()
    assert len(lines) == 2, lines
    assert "secret-word" not in log.read_text()
    bench.close()


def test_a_model_that_fails_ends_the_worker_loudly_and_acknowledges_nothing(bench: Bench) -> None:
    class Broken(ByDesignation):
        def predict_proba(self, frame: Any) -> Any:
            if (frame["Sleep Hours"] == DEADLY_SLEEP_HOURS).any():
                raise ZeroDivisionError
            return super().predict_proba(frame)

    bench.send(record(), record(**{"Sleep Hours": DEADLY_SLEEP_HOURS}))

    with pytest.raises(ZeroDivisionError), bench.working(FakeRegistry(Broken(), champion="3")):
        wait_until(lambda: bench.pending() == 1)
    assert bench.pending() == 1


def test_the_program_tells_prometheus_how_the_stream_is(bench: Bench, tmp_path: Path) -> None:
    bench.send(record())
    port = temporary_servers.free_port()
    command = [sys.executable, "-P", "-m", "hearth.streaming.worker"]
    environment = {**os.environ, **bench.environment(worker_metrics_port=port)}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)

    def told() -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    try:
        wait_until(lambda: "hearth_stream_pending 1.0" in told())
        found = told()
    finally:
        process.terminate()

    assert process.wait(LIMIT_SECONDS) == 0
    assert "hearth_stream_length 1.0" in found
    assert 'hearth_stream_waits{server="predictions"} 0.0' in found
    assert "hearth_model_follower_problem 1.0" in found  # MLflow is not there


def test_a_metrics_port_that_is_taken_is_said_before_anything_is_read(bench: Bench, tmp_path: Path) -> None:
    bench.send(record())
    command = [sys.executable, "-P", "-m", "hearth.streaming.worker"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        environment = {**os.environ, **bench.environment(worker_metrics_port=taken.getsockname()[1])}
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)

    assert done.returncode == 1
    assert "Each process needs a metrics port of its own" in done.stderr
    assert bench.groups() == []
