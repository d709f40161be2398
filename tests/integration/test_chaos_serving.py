"""The short form of `make chaos-serving`: servers of the services break under load; and what judges it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.chaos.serving.clock import Clock
from benchmarks.chaos.serving.ending import Ended, end_during
from benchmarks.chaos.serving.ending import problems_of as problems_of_end
from benchmarks.chaos.serving.faults import all_faults
from benchmarks.chaos.serving.run import Latency, Observed, Rows, Run
from benchmarks.chaos.serving.site import Site, open_site
from benchmarks.chaos.serving.verdict import problems_of
from tests.support.waiting import LIMIT_SECONDS

FAULTS = {fault.name: fault for fault in all_faults()}
SECONDS, RATE = 3.0, 30.0
ANY_TIME = 1.0  # the share of slow answers of /health: how fast this machine is at the moment is no matter of a test


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with open_site(tmp_path_factory.mktemp("chaos"), small_disks=False, with_clock=False) as site:
        yield site


@pytest.fixture(scope="module")
def run(site: Site) -> Run:
    return Run(site, SECONDS, RATE, LIMIT_SECONDS, health_aim=0.2)


@pytest.mark.parametrize(
    "name",
    ["PostgreSQL stopped", "PostgreSQL hung", "Valkey hung", "Valkey full", "MLflow stopped", "S3 stopped", "writers killed every second"],
)
def test_predictions_go_on_each_is_stored_once_and_all_heals_by_itself(run: Run, site: Site, name: str) -> None:
    seen = run.observe(FAULTS[name])

    assert problems_of(seen, ANY_TIME) == [], (seen, site.services.rest.tail(), site.services.grpc.tail())


def test_a_service_that_is_to_end_while_postgresql_hangs_answers_what_it_has_begun(run: Run, site: Site) -> None:
    ended = end_during(FAULTS["PostgreSQL hung"], site, run)

    assert problems_of_end(ended, LIMIT_SECONDS) == [], (ended, site.services.rest.tail())
    assert ended.under_way > 0


SOME = Latency(100, 0.01, 0.02, 0.03, 0)
GOOD = Observed("a fault", predictions=SOME, health=SOME, recovery=1.0, rows=Rows(100, 0, 0, 0, 0), queued=5)


@pytest.mark.parametrize(
    ("seen", "said"),
    [
        (GOOD, ""),
        (Observed("a fault", skipped="nobody may"), ""),
        (replace(GOOD, failures=("rest: 503",)), "1 predictions failed: rest: 503"),
        (replace(GOOD, predictions=Latency(0, 0, 0, 0, 0)), "nothing was asked"),
        (replace(GOOD, health_failures=("500",)), "1 answers of /health failed: 500"),
        (replace(GOOD, health=replace(SOME, above=2)), "2 of 100 answers of /health were above the aim"),
        (replace(GOOD, recovery=None, not_recovered="/ready answers 503"), "it did not recover: /ready answers 503"),
        (replace(GOOD, rows=Rows(100, 3, 0, 0, 0)), "3 predictions are not in the store, 0 are counted as lost"),
        (replace(GOOD, rows=Rows(100, 3, 0, 3, 0)), "3 predictions were lost although the queue had room"),
        (replace(GOOD, rows=Rows(100, 0, 2, 0, 0)), "2 predictions are stored twice"),
        (replace(GOOD, rows=Rows(100, 0, 0, 0, 4)), "4 predictions are stored that nobody was answered"),
        (replace(GOOD, queued_missing=1), "1 of 5 queued messages are not in the stream, once each"),
    ],
)
def test_whatever_is_broken_is_said(seen: Observed, said: str) -> None:
    assert list(problems_of(seen, 0.01)) == ([said] if said else [])


END = Ended("a fault", {"REST": 6.0, "gRPC": 5.0}, {"REST": -15, "gRPC": 0}, 6, (), 10, 10)


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (END, ""),
        (replace(END, seconds={"REST": 46.0, "gRPC": 30.0}), "REST took 46.0 s to end"),
        (replace(END, seconds={"REST": 45.0, "gRPC": 31.0}), "gRPC took 31.0 s to end"),
        (replace(END, codes={"gRPC": -9}), "gRPC ended with code -9"),
        (replace(END, broken=("large request: reset",)), "large request: reset"),
        (replace(END, lost=11), "11 predictions are lost, 10 are logged"),
    ],
)
def test_an_end_that_is_late_wrong_or_silent_is_said(ended: Ended, said: str) -> None:
    assert list(problems_of_end(ended)) == ([said] if said else [])


SLEEPER = """
import time
while input():
    before = time.monotonic()
    time.sleep(0.01)
    print(time.time(), time.monotonic() - before, flush=True)
"""


def test_a_clock_that_is_stepped_moves_the_time_and_no_sleep(tmp_path: Path) -> None:
    clock = Clock.make(tmp_path)
    if clock.library is None:
        pytest.skip(clock.why_not)
    with subprocess.Popen(
        [sys.executable, "-c", SLEEPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **clock.environment}
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for seconds in (0, 3_600, -3_600):
            clock.step(seconds)
            before = time.time()
            process.stdin.write("go\n")
            process.stdin.flush()
            seen, slept = map(float, process.stdout.readline().split())
            assert 0 <= seen - seconds - before < LIMIT_SECONDS
            assert 0.01 <= slept < LIMIT_SECONDS
        process.stdin.write("\n")
