"""The DAG retrain, run by Airflow against a real object store, MLflow and PostgreSQL."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded.temporary_servers import ObjectStore as ObjectStoreServer
from hearth.contracts import Contract
from hearth.contracts.aliases import CHAMPION
from hearth.monitoring.retraining import State
from hearth.predictions.migration import migrate
from hearth.registry import Registry
from hearth.settings import get_settings
from hearth.storage import ObjectStore
from tests.support import airflow_home
from tests.support.labelled_site import LabelledSite, retrained_contract


@pytest.fixture
def contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Contract]:
    contract = retrained_contract(tmp_path)
    monkeypatch.setenv("HEARTH_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield contract
    get_settings.cache_clear()


@pytest.mark.timeout(900)
def test_the_dag_trains_again_once_there_are_labels_and_skips_with_its_reason_before_and_after(  # noqa: PLR0913, PLR0917 - fixtures
    contract: Contract, object_store: ObjectStoreServer, mlflow_uri: str, airflow_folder: Path, fresh_database: str, tmp_path: Path
) -> None:
    migrate(fresh_database)
    servers = airflow_home.servers(object_store, mlflow_uri)
    env = airflow_home.environment(airflow_folder, **servers, HEARTH_MONITOR_URL=fresh_database, HEARTH_RETRAIN_SCHEDULE="none")
    env |= {"HEARTH_DATA_DIR": str(tmp_path)}
    dag = f"{contract.name}_retrain"
    store = ObjectStore(
        object_store.endpoint_url, region=object_store.region, access_key=object_store.access_key, secret_key=object_store.secret_key
    )

    def run(*labels: str, **conf: Any) -> dict[str, dict[str, str]]:
        parameters = json.dumps({label: {"trials": 1, **conf} for label in labels})
        states = json.loads(
            airflow_home.run("e2e/run_dags.py", parameters, *(f"{label}={dag}" for label in labels), env=env).splitlines()[-1]
        )
        return {label: states[label]["tasks"] for label in labels}

    with LabelledSite(contract, store, Registry(mlflow_uri), fresh_database) as site:
        site.publish()
        early = run("early")["early"]
        assert (early["decide"], early["deploy"], early["end"]) == ("skipped", "skipped", "skipped")
        site.serve_labelled(1_300, concept=0.15)
        both = run("first", "second")
        assert both["first"] == dict.fromkeys(["decide", "write_data", "train", "register", "judge", "deploy", "end"], "success"), [
            row.why for row in site.retrains.latest(contract.name, 10)
        ]
        assert both["second"]["decide"] == "skipped"
        assert site.registry.aliases(contract.name)[CHAMPION] == "2"
        assert [row.state for row in site.retrains.latest(contract.name, 10)] == [State.WAITING, State.DEPLOYED, State.WAITING]
