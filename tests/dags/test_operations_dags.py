"""The tasks of the DAGs that look after the stack, run on real servers as Airflow runs them."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hearth.backup.listing import list_backups
from hearth.backup.places import FolderPlace
from hearth.backup.verify import find_problems, open_backup
from tests.dags import dag_files
from tests.support.airflow_home import ROOT
from tests.support.backed_up_stack import KEY, BackedUpStack, running
from tests.support.stack_contents import AIRFLOW, fill_databases, fill_stores


@pytest.fixture(scope="module")
def stack() -> Iterator[BackedUpStack]:
    with running(AIRFLOW) as stack:
        fill_databases(stack)
        fill_stores(stack)
        yield stack


@pytest.fixture
def settings(stack: BackedUpStack, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The settings of the stack are those of this process, as they are those of a task."""
    monkeypatch.syspath_prepend(str(ROOT / "airflow" / "dags"))  # as Airflow does for the modules that DAG files share
    more = {"HEARTH_MLFLOW_TRACKING_URI": stack.mlflow, "HEARTH_MONITOR_URL": stack.url("predictions")}
    for name, value in {**stack.environment(), **more}.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def task_of(dag: str, task: str) -> Any:
    return dag_files.load(dag).dag.get_task(task).python_callable


def test_the_backup_task_makes_a_whole_backup_and_leaves_as_many_as_it_should(settings: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings.setenv("HEARTH_BACKUP_TO", str(tmp_path))
    settings.setenv("HEARTH_BACKUP_KEEP", "1")
    backup = task_of("hearth_backup", "backup")
    place = FolderPlace(tmp_path)

    first = backup()
    second = backup()

    assert first != second
    assert [entry.id for entry in list_backups(place)] == [second]
    manifest, vault = open_backup(place, second, KEY)
    assert list(find_problems(place, manifest, vault)) == []
    assert manifest.streams["records"]["entries"] == 2_199


@pytest.fixture
def keep_house(settings: pytest.MonkeyPatch) -> Any:  # noqa: ARG001 - the settings hold when the DAG is read
    """The task, made before the test is called: the first import of Airflow sets up logging anew, without what captures a test's log."""
    return task_of("hearth_housekeeping", "keep_house")


def test_the_housekeeping_task_returns_its_report_and_writes_it_to_its_log(keep_house: Any, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="hearth"):
        report = keep_house(params={"apply": False})

    assert report["applied"] is False
    versions = [(row["action"], row["why"], row["count"]) for row in report["rows"] if row["what"] == "version"]
    assert versions == [("kept", "has an alias", 1)]
    assert "What would be done (nothing was changed):" in caplog.messages
