"""The program that stands in for an HTTP API of batches, asked as a client asks it."""

import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.embedded.temporary_servers import ROOT, free_port
from hearth.contracts import load_contract
from hearth.contracts.records import split_records
from hearth.fakes import FakeRecords
from hearth.settings import BatchApiSettings
from tests.support.sources import batch_contract, stand_in
from utils.batch_api import Generator, Groups, create_app


class Clock:
    """A clock that stands still unless it is set."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class TestGroups:
    def test_a_new_batch_is_handed_out_when_its_time_has_come_and_the_same_one_until_then(self) -> None:
        clock = Clock()
        groups = Groups(batches=3, seconds=300, clock=clock)

        found = []
        for seconds in (0, 10, 289.9, 0.2, 299, 1000, 299.9, 0.2):
            clock.now += seconds
            found.append(groups.next(1))

        assert found == [1, 1, 1, 2, 2, 3, 3, None]

    def test_groups_know_nothing_of_each_other_and_can_begin_anew(self) -> None:
        groups = Groups(batches=1, seconds=0)

        assert [groups.next(1), groups.next(1), groups.next(2), groups.next(2)] == [1, None, 1, None]
        groups.restart(1)
        assert [groups.next(1), groups.next(2)] == [1, None]

    @given(st.lists(st.floats(0, 1000), max_size=50), st.integers(1, 5), st.floats(0, 500))
    def test_batches_come_in_order_none_is_left_out_and_none_comes_too_soon(self, waits: list[float], batches: int, seconds: float) -> None:
        clock = Clock()
        groups = Groups(batches, seconds, clock)
        first_seen: dict[int, float] = {}
        last = 0
        for wait in waits:
            clock.now += wait
            number = groups.next(1)
            if number is None:
                assert last == batches
                continue
            assert number - last in {0, 1}
            last = number
            first_seen.setdefault(number, clock.now)
        times = list(first_seen.values())
        assert list(first_seen) == list(range(1, last + 1))
        assert all(later - sooner >= seconds for sooner, later in itertools.pairwise(times))

    def test_callers_at_the_same_time_get_the_same_batch(self) -> None:
        groups = Groups(batches=9, seconds=3600)
        barrier = threading.Barrier(8)

        def ask(_: int) -> int | None:
            barrier.wait()
            return groups.next(1)

        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(ask, range(8))) == [1] * 8


def test_batches_are_the_same_every_time_and_differ_from_each_other() -> None:
    fakes = FakeRecords.load(load_contract("employees", ROOT / "data"), ROOT / "data")

    def batch(group: int = 1, number: int = 1, seed: int = 42) -> object:
        return Generator(fakes, 5, seed, "lists").batch(group, number)

    assert batch() == batch()
    assert len({str(found) for found in (batch(), batch(group=2), batch(number=2), batch(seed=1))}) == 4


def test_rows_keep_the_contract_and_are_lists_of_texts_or_objects(tmp_path: Path) -> None:
    contract = batch_contract(tmp_path, "meadow")
    fakes = FakeRecords.load(contract, tmp_path)

    lists = Generator(fakes, 50, 1, "lists").batch(1, 1)
    objects = Generator(fakes, 50, 1, "objects").batch(1, 1)

    assert [dict(zip(contract.columns, row, strict=True)) for row in lists] == objects
    assert all(value is None or isinstance(value, str) for row in lists for value in row)
    records = [{name: number(value) for name, value in row.items()} for row in objects if isinstance(row, dict)]
    assert split_records(contract, records).count == 0


def number(text: str | None) -> object:
    try:
        return float(text or "")
    except ValueError:
        return text


def get(url: str, path: str) -> tuple[int, Any]:
    answer = httpx.get(f"{url}{path}", trust_env=False, timeout=30)
    return answer.status_code, answer.json()


def test_every_data_set_that_comes_in_batches_is_served_under_its_path(tmp_path: Path) -> None:
    contracts = [batch_contract(tmp_path, name) for name in ("marsh", "meadow")]
    with stand_in([*contracts, load_contract("employees", ROOT / "data")], tmp_path, rows=2, batches=1) as url:
        assert get(url, "/health") == (200, {"data_sets": {"/marsh": "marsh", "/meadow": "meadow"}})
        status, body = get(url, "/meadow?group_number=7")
        assert (status, body["group_number"], body["batch_number"], len(body["data"])) == (200, 7, 1, 2)
        assert get(url, "/meadow?group_number=7") == (400, {"detail": "All 1 batches of group 7 have been collected."})
        assert get(url, "/restart_data_generation?group_number=7")[0] == 200
        assert get(url, "/meadow?group_number=7") == (200, body)
        assert get(url, "/meadow")[0] == get(url, "/meadow?group_number=x")[0] == 422


def test_two_data_sets_of_one_path_are_refused_by_name(tmp_path: Path, settings: Callable[[Path], BatchApiSettings]) -> None:
    source = {"kind": "batches", "path": "/data", "table": "t", "file": "t.csv"}
    contracts = [batch_contract(tmp_path, name, source=source) for name in ("marsh", "meadow")]

    with pytest.raises(ValueError, match=r"'marsh' and 'meadow' both come from /data"):
        create_app(contracts, settings(tmp_path))


@pytest.fixture
def settings() -> Callable[[Path], BatchApiSettings]:
    return lambda folder: BatchApiSettings(
        data_dir=folder, batch_api_host="127.0.0.1", batch_api_port=0, batch_api_rows=1, batch_api_batches=1, batch_api_seconds=0
    )


def test_the_program_serves_the_covertype_data_and_stops_when_asked() -> None:
    port = free_port()
    environment = {**os.environ, "HEARTH_BATCH_API_PORT": str(port), "HEARTH_BATCH_API_ROWS": "3"}
    command = [sys.executable, "utils/batch_api.py"]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as program:
        assert program.stdout is not None
        log = []
        for line in program.stdout:
            log.append(line)
            if "running on" in line:
                break
        try:
            status, body = get(f"http://127.0.0.1:{port}", "/data?group_number=1")
        finally:
            program.send_signal(signal.SIGTERM)
            program.communicate(timeout=30)

    columns = load_contract("covertype", ROOT / "data").columns
    assert (status, [len(row) for row in body["data"]]) == (200, [len(columns)] * 3), log
