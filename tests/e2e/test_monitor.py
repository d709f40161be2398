"""The DAG monitor, run by Airflow against a real object store, MLflow and PostgreSQL."""

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded.temporary_servers import ObjectStore as ObjectStoreServer
from hearth.contracts import Contract
from hearth.predictions.drift_store import DriftStore
from hearth.predictions.migration import migrate
from hearth.registry import Registry
from hearth.settings import get_settings
from hearth.storage import ObjectStore
from tests.support import airflow_home
from tests.support.monitored_site import Site, contract_with_statistics


@pytest.fixture
def contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Contract]:
    contract = contract_with_statistics(tmp_path)
    monkeypatch.setenv("HEARTH_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield contract
    get_settings.cache_clear()


def updates(env: dict[str, str], contract: Contract) -> list[dict[str, Any]]:
    """Return what the events of the asset carry, the earliest first."""
    with contextlib.closing(sqlite3.connect(env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].removeprefix("sqlite:///"))) as database:
        query = "SELECT e.extra FROM asset_event e JOIN asset a ON a.id = e.asset_id WHERE a.name = ? ORDER BY e.id"
        return [json.loads(extra) for (extra,) in database.execute(query, [f"{contract.name}/drift"]).fetchall()]


@pytest.mark.timeout(900)
def test_the_dag_skips_without_news_and_updates_the_asset_when_the_level_changes(  # noqa: PLR0913, PLR0917 - fixtures
    contract: Contract, object_store: ObjectStoreServer, mlflow_uri: str, airflow_folder: Path, fresh_database: str, tmp_path: Path
) -> None:
    migrate(fresh_database)
    env = airflow_home.environment(
        airflow_folder,
        **airflow_home.servers(object_store, mlflow_uri),
        HEARTH_MONITOR_URL=fresh_database,
    ) | {"HEARTH_DATA_DIR": str(tmp_path)}
    dag = f"{contract.name}_monitor"

    measured = []

    def run() -> str:
        states = json.loads(airflow_home.run("e2e/run_dags.py", "{}", dag, env=env).splitlines()[-1])
        measured.append(states[dag]["tasks"]["measure"])
        return str(states[dag]["tasks"]["check"])

    assert run() == "skipped"  # no champion yet
    store = ObjectStore(
        object_store.endpoint_url, region=object_store.region, access_key=object_store.access_key, secret_key=object_store.secret_key
    )
    with DriftStore(fresh_database) as drift:
        site = Site(contract, store, Registry(mlflow_uri), drift)
        site.train()
        site.serve(1_000)
        assert run() == "success"
        site.serve(1_000, "Sleep Hours=-1sd/min")
        assert run() == "success"
        site.serve(1_000, "Sleep Hours=-1sd/min")
        assert run() == "success"

    assert measured == ["skipped", "success", "success", "success"]  # no champion; then by hand, which writes each time
    found = updates(env, contract)
    assert [update["level"] for update in found] == ["ok", "drift", "act"]
    assert "Sleep Hours" in found[-1]["columns"]
    assert found[-1]["run_id"]
