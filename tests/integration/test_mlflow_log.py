"""The log of the real MLflow server, by the program that both stacks start: with JSON every line is an object with the fields of all."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from deploy.embedded import temporary_servers
from deploy.embedded.temporary_servers import MLFLOW_PYTHON
from tests.support.older_mlflow import make_older, run
from tests.support.waiting import wait_until

PASSWORD = "correct-horse-battery"
FIELDS = {"timestamp", "level", "service", "event", "logger"}


def lines(log: str) -> list[dict[str, str]]:
    found = [json.loads(line) for line in log[: log.rfind("\n")].splitlines()]  # the last line may be half there
    assert all(line.keys() >= FIELDS and line["service"] == "mlflow" for line in found)
    return found


def test_the_server_its_worker_and_the_upgrade_of_its_database_write_json(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    latest = make_older(uri)
    settings = {"HEARTH_LOG_FORMAT": "json", "MLFLOW_BACKEND_STORE_URI": uri}
    with temporary_servers.mlflow_server(uri, password=PASSWORD, settings=settings) as server:
        path = "/api/2.0/mlflow/experiments/get"
        answer = httpx.get(f"{server.url}{path}?experiment_id=77777777777", auth=("hearth", PASSWORD), timeout=60)
        assert answer.status_code == 404
        wait_until(lambda: f"GET {path} HTTP" in server.log)
        log = server.log

    found = lines(log)
    events = [line["event"] for line in found]
    assert any(f"of an older MLflow and is upgraded to {latest}" in event for event in events)
    assert any("Uvicorn running on" in event for event in events)
    assert any(f"GET {path} HTTP/1.1" in event and event.endswith("404") for event in events)
    assert "77777777777" not in log, "the query of a request may hold values"
    assert PASSWORD not in log
    assert all(line["timestamp"].endswith("Z") for line in found)


def test_a_database_of_a_newer_mlflow_is_refused_in_json(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    make_older(uri)
    with closing(sqlite3.connect(tmp_path / "mlflow.db")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = 'ffff00000000'")

    ended = run(MLFLOW_PYTHON, "-m", "deploy.mlflow_server", HEARTH_LOG_FORMAT="json", MLFLOW_BACKEND_STORE_URI=uri)

    [line] = lines(ended.stderr)
    assert (ended.returncode, ended.stdout, line["level"]) == (1, "", "critical")
    assert "a newer release has written it" in line["event"]


@pytest.mark.parametrize("form", ["", "text"])
def test_text_is_the_form_of_people(tmp_path: Path, form: str) -> None:
    settings = {"HEARTH_LOG_FORMAT": form, "MLFLOW_BACKEND_STORE_URI": f"sqlite:///{tmp_path}/mlflow.db"}
    with temporary_servers.mlflow_server(settings["MLFLOW_BACKEND_STORE_URI"], settings=settings) as server:
        log = server.log

    assert "Uvicorn running on" in log
    assert '{"timestamp"' not in log
