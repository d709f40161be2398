"""The DAGs load_data and clear_data, run task by task against a source, a database and an object store that are real."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded import temporary_servers
from hearth.alerts import AlertStore
from hearth.contracts import load_contract
from hearth.contracts.model import BatchSource
from hearth.data.ingest import BatchTable
from hearth.predictions.migration import migrate
from tests.support import airflow_home
from tests.support.sources import stand_in

ROOT = Path(__file__).parents[2]
States = dict[str, Any]  # what run_dags prints
CONTRACT = load_contract("covertype", ROOT / "data")
assert isinstance(CONTRACT.source, BatchSource)
SOURCE = CONTRACT.source


@pytest.fixture(scope="module")
def source_url() -> Iterator[str]:
    with stand_in([CONTRACT], ROOT / "data", rows=50, batches=3) as url:
        yield url


@pytest.fixture(scope="module")
def database(postgres_url: str) -> str:
    return temporary_servers.create_database(postgres_url, "load_dags").replace("postgresql://", "postgresql+psycopg2://")


@pytest.fixture
def table(database: str) -> BatchTable:
    return BatchTable(database, CONTRACT, SOURCE.table)


@pytest.fixture(scope="module")
def env(
    object_store: temporary_servers.ObjectStore,
    source_url: str,
    database: str,
    airflow_folder: Path,
) -> dict[str, str]:
    return airflow_home.environment(
        airflow_folder,
        **airflow_home.storage(object_store),
        HEARTH_BATCH_API_URL=source_url,
        HEARTH_DATA_DB_URL=database,
        HEARTH_LOAD_DATA_WAIT_SECONDS="1",
    )


def run(env: dict[str, str], conf: dict[str, dict[str, object]], *steps: str) -> States:
    states: States = json.loads(airflow_home.run("e2e/run_dags.py", json.dumps(conf), *steps, env=env).splitlines()[-1])
    return states


@pytest.fixture
def alerts(fresh_database: str) -> Iterator[AlertStore]:
    migrate(fresh_database)
    with AlertStore(fresh_database) as alerts:
        yield alerts


@pytest.mark.timeout(1200)
def test_batches_are_loaded_until_there_are_no_more_and_cleared_only_on_confirmation(
    env: dict[str, str], table: BatchTable, alerts: AlertStore, fresh_database: str
) -> None:
    env["HEARTH_MONITOR_URL"] = fresh_database
    refusals: dict[str, dict[str, object]] = {"nothing": {}, "yes": {"confirm": "yes"}, "other": {"confirm": "employees"}}
    steps = ["two=load_data", "rest=load_data", "none=load_data", *(f"{label}=clear_data" for label in refusals)]

    states = run(env, {"two": {"batches": 2}, **refusals}, *steps)

    both = {"fetch": "success", "export": "success"}
    ended = {"run": "success", "tasks": both, "tries": {"fetch": 1, "export": 1}, "mapped": {}}
    assert states["two"] == {**ended, "deferrals": 1}  # one wait between two batches
    assert states["rest"] == {**ended, "deferrals": 1}  # the third; then the source has no more
    assert states["none"] == {**ended, "tasks": {**both, "export": "skipped"}, "deferrals": 0}  # no asset is updated
    assert {states[label]["tasks"]["confirm"] for label in refusals} == {"failed"}
    assert (table.count(), table.export().rows) == (3, 150)
    [alert] = alerts.alerts()
    assert (alert.kind, alert.dataset, alert.times, alert.severity) == ("dag_failed/clear_data", "covertype", 3, "warning")
    assert "The DAG clear_data has failed in the task confirm" in alert.summary

    states = run(env, {"cleared": {"confirm": "covertype"}}, "cleared=clear_data", "exhausted=load_data")

    assert states["cleared"]["run"] == "success"
    assert table.count() == 0
    assert {alert.kind: alert.state for alert in alerts.alerts()} == {"dag_failed/load_data": "open", "dag_failed/clear_data": "resolved"}
    assert states["exhausted"]["tasks"]["fetch"] == "failed"  # nothing is stored, and the source has nothing: somebody has to act
