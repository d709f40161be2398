"""`python -m hearth.predictions`, run as a user would."""

import csv
import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hearth.predictions import Prediction, PredictionStore
from hearth.predictions.migration import migrate
from tests import servers

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
RECORD = {"Gender": 'a "quoted", one', "Designation": 2.0}


def run(url: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "HEARTH_ENVIRONMENT": "laptop", "HEARTH_DATA_DIR": "data", "HEARTH_PREDICTIONS_URL": url}
    command = [sys.executable, "-W", "error", "-m", "hearth.predictions", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def filled(fresh_database: str) -> str:
    migrate(fresh_database)
    names = ["employees"] * 3 + ["heart"]
    with PredictionStore(fresh_database) as store:
        store.put(
            [
                Prediction(f"{row}-0", 0, name, "knn", "7", "knn", 1, "Medium", (0.1, 0.8, 0.1), RECORD, None, NOON + timedelta(hours=row))
                for row, name in enumerate(names)
            ]
        )
    return fresh_database


def test_an_export_has_a_line_for_each_prediction(filled: str, tmp_path: Path) -> None:
    output = tmp_path / "predicciones.csv"

    done = run(filled, "export", "--format", "csv", "--output", str(output))

    assert (done.returncode, done.stderr) == (0, "")
    with output.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["timestamp"] for row in rows] == [(NOON + timedelta(hours=hour)).isoformat() for hour in range(4)]
    assert {row["prediction"] for row in rows} == {"Medium"}
    assert [row["model"] for row in rows] == ["employees@knn v7"] * 3 + ["heart@knn v7"]
    assert json.loads(rows[0]["data"]) == RECORD
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize(
    ("options", "lines"),
    [(["--since", "2026-11-21T13:00:00"], 3), (["--since", "2026-11-22"], 0), (["--dataset", "employees"], 3), (["--dataset", "none"], 0)],
)
def test_an_export_can_be_narrowed(filled: str, tmp_path: Path, options: list[str], lines: int) -> None:
    output = tmp_path / "some.csv"

    assert run(filled, "export", "--output", str(output), *options).returncode == 0

    assert len(output.read_text("utf-8").splitlines()) == 1 + lines


def test_tail_prints_the_latest_last(filled: str) -> None:
    done = run(filled, "tail", "-n", "2")

    assert [row[0][11:16] for row in csv.reader(done.stdout.splitlines()[1:])] == ["14:00", "15:00"]


def test_an_export_that_fails_leaves_the_file_of_before_alone(tmp_path: Path) -> None:
    output = tmp_path / "predicciones.csv"
    output.write_text("of before", "utf-8")

    done = run(f"postgresql://hearth:secret-word@127.0.0.1:{servers.free_port()}/predictions", "export", "--output", str(output))

    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret-word" not in done.stderr
    assert output.read_text("utf-8") == "of before"
    assert list(tmp_path.iterdir()) == [output]


def test_migrate_makes_an_empty_database_ready(fresh_database: str) -> None:
    assert run(fresh_database, "migrate").stdout == "The predictions store is at revision 0001.\n"

    assert run(fresh_database, "tail").stdout == "timestamp,model,prediction,data\n"
