"""The four DAGs, run task by task against a real object store and a real MLflow server on a small data set."""

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest
from mlflow import MlflowClient

from deploy.embedded.temporary_servers import ObjectStore as ObjectStoreServer
from hearth.contracts import load_contract
from hearth.fakes import FakeRecords
from hearth.modelling.scorer import Scorer
from hearth.predictions import PredictionStore
from hearth.predictions.migration import migrate
from hearth.registry import Registry
from hearth.storage import ObjectStore
from tests.support import airflow_home

ROOT = Path(__file__).parents[2]
States = dict[str, Any]  # what run_dags prints

DAGS = ("etl_mlflow", "train_knn", "train_svm", "train_lightgbm")


@pytest.fixture(scope="module")
def env(object_store: ObjectStoreServer, mlflow_uri: str, airflow_folder: Path) -> dict[str, str]:
    return airflow_home.environment(
        airflow_folder,
        **airflow_home.servers(object_store, mlflow_uri),
        HEARTH_ALIAS_POLL_SECONDS="1",
    )


def upload(store: ObjectStore, rows: int, seed: int) -> None:
    contract = load_contract("employees", ROOT / "data")
    frame = FakeRecords.load(contract, ROOT / "data").frame(rows, seed)
    store.put("data", f"employees/raw/{contract.source.file}", frame.to_csv(index=False).encode())


@pytest.fixture(scope="module")
def store(object_store: ObjectStoreServer) -> ObjectStore:
    return ObjectStore(
        object_store.endpoint_url, region=object_store.region, access_key=object_store.access_key, secret_key=object_store.secret_key
    )


@pytest.fixture(scope="module")
def states(env: dict[str, str], store: ObjectStore) -> States:
    upload(store, rows=800, seed=1)
    conf = {dag_id: {"trials": 2} for dag_id in DAGS}
    states: States = json.loads(airflow_home.run("e2e/run_dags.py", json.dumps(conf), *DAGS, env=env).splitlines()[-1])
    return states


@pytest.mark.timeout(1200)
def test_all_tasks_of_the_four_dags_succeed(states: States) -> None:
    assert {dag_id: state["run"] for dag_id, state in states.items()} == dict.fromkeys(DAGS, "success")
    for state in states.values():
        assert set(state["tasks"].values()) == {"success"}


def test_the_trials_that_the_etl_is_asked_for_go_along_with_its_publication(states: States, env: dict[str, str]) -> None:
    assert states
    with contextlib.closing(sqlite3.connect(env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].removeprefix("sqlite:///"))) as database:
        [(extra,)] = database.execute("SELECT extra FROM asset_event WHERE source_dag_id = 'etl_mlflow'").fetchall()

    assert json.loads(extra)["trials"] == 2


def test_every_family_and_the_champion_can_be_loaded_and_score_raw_records(states: States, mlflow_uri: str) -> None:
    assert states
    contract = load_contract("employees", ROOT / "data")
    registry = Registry(mlflow_uri)
    aliases = registry.aliases("employees")
    assert {"knn", "svm", "lightgbm", "champion"} <= aliases.keys()
    assert aliases["champion"] in {aliases[family] for family in ("knn", "svm", "lightgbm")}
    records = FakeRecords.load(contract, ROOT / "data").records(50, seed=5)
    for alias in ("knn", "svm", "lightgbm", "champion"):
        scores = Scorer(registry.load(registry.version("employees", alias)), contract).score(records)
        assert scores.probabilities.shape == (50, 3)
        assert set(scores.codes) <= {0, 1, 2}


def test_the_etl_on_the_same_bytes_publishes_the_same_data_and_writes_nothing_new(
    states: States, env: dict[str, str], store: ObjectStore
) -> None:
    assert states
    before = sorted(store.keys("processed", "employees/"))
    airflow_home.run("e2e/run_dags.py", "{}", "etl_mlflow", env=env)
    assert sorted(store.keys("processed", "employees/")) == before


def test_a_batch_is_scored_by_the_champion_in_two_tasks_and_a_second_run_writes_nothing(
    states: States, env: dict[str, str], store: ObjectStore, fresh_database: str
) -> None:
    assert states
    migrate(fresh_database)
    frame = FakeRecords.load(load_contract("employees", ROOT / "data"), ROOT / "data").frame(300, seed=7)
    store.put("data", "employees/score/a.csv", frame.to_csv(index=False).encode())
    store.put_frame("data", "employees/score/day=2/b.parquet", frame)
    conf = json.dumps({"employees_score_batch": {"tasks": 2, "keep": ["Employee ID"], "chunk_rows": 100}})

    runs = []
    for _ in range(2):
        output = airflow_home.run("e2e/run_dags.py", conf, "employees_score_batch", env={**env, "HEARTH_MONITOR_URL": fresh_database})
        answer = json.loads(output.splitlines()[-1])["employees_score_batch"]
        assert answer["run"] == "success"
        objects = {found.key: found.etag for found in store.objects("data", "employees/scored/")}
        summary = json.loads(store.get("data", "employees/scored/summary.json"))
        with PredictionStore(fresh_database) as predictions:
            stored = predictions.page(500, dataset="employees", source="batch")
        runs.append((objects, summary, len(stored)))
    assert runs[0] == runs[1]

    parts = sorted(key.removeprefix("employees/scored/") for key in objects if "/scored/scored/" in key)
    assert parts == [f"scored/{name}.0000{part}.parquet" for name in ("a.csv", "day=2/b.parquet") for part in range(3)]
    assert (summary["rows"], summary["rejected"], summary["sampled"], len(stored)) == (600, 0, 250, 250)
    assert MlflowClient(env["HEARTH_MLFLOW_TRACKING_URI"]).get_run(summary["run_id"]).data.metrics["rows"] == 600


def test_a_key_that_is_no_param_fails_the_run_before_anything_is_done(states: States, env: dict[str, str], store: ObjectStore) -> None:
    assert states
    before = sorted(store.keys("data", "employees/"))
    conf = json.dumps({"etl_mlflow": {"fiel": "typo.csv"}})
    answer = json.loads(airflow_home.run("e2e/run_dags.py", conf, "etl_mlflow", env=env).splitlines()[-1])
    assert answer["etl_mlflow"]["run"] == "failed"
    assert answer["etl_mlflow"]["tasks"]["extract"] == "failed"
    assert answer["etl_mlflow"]["tries"]["extract"] == 1
    assert sorted(store.keys("data", "employees/")) == before


def test_an_etl_on_a_file_that_is_not_the_data_set_fails_at_once_and_keeps_what_was_published(
    states: States, env: dict[str, str], store: ObjectStore
) -> None:
    assert states
    contract = load_contract("employees", ROOT / "data")
    before = sorted(store.keys("processed", "employees/"))
    store.put("data", f"employees/raw/{contract.source.file}", b"a,b\n1,2\n")
    answer = json.loads(airflow_home.run("e2e/run_dags.py", "{}", "etl_mlflow", env=env).splitlines()[-1])
    assert answer["etl_mlflow"]["run"] == "failed"
    assert answer["etl_mlflow"]["tasks"]["validate"] == "failed"
    assert answer["etl_mlflow"]["tries"]["validate"] == 1
    assert sorted(store.keys("processed", "employees/")) == before


@pytest.mark.timeout(900)
def test_two_search_tasks_share_the_trials_of_a_training_and_leave_nothing_behind(
    states: States, env: dict[str, str], fresh_database: str
) -> None:
    assert states
    env = {**env, "HEARTH_STUDIES_URL": fresh_database, "HEARTH_SEARCH_WORKERS": "2", "HEARTH_SEARCH_MIN_ROWS": "0"}
    conf = json.dumps({"train_knn": {"trials": 10, "seed": 5}})

    answer = json.loads(airflow_home.run("e2e/run_dags.py", conf, "train_knn", env=env).splitlines()[-1])["train_knn"]

    assert answer["run"] == "success"
    assert answer["mapped"] == {"search": 2}
    assert set(answer["tasks"].values()) == {"success"}
    client = MlflowClient(env["HEARTH_MLFLOW_TRACKING_URI"])
    newest = max(client.search_model_versions("name = 'employees'"), key=lambda version: int(version.version))
    experiment = client.get_experiment_by_name("knn_optuna")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], f"tags.`hearth.training_key` = '{newest.tags['hearth.training_key']}'")
    [parent] = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert parent.info.status == "FINISHED"
    assert (parent.data.params["workers"], parent.data.metrics["trials"]) == ("2", 10)
    assert sorted(int(run.data.tags["hearth.trial"]) for run in runs if run is not parent) == list(range(10))
    assert {point.step for point in client.get_metric_history(parent.info.run_id, "trial_macro_f1")} == set(range(10))  # as it grew
    assert [file.path for file in client.list_artifacts(parent.info.run_id, "figures")] == ["figures/search.png"]
    with psycopg.connect(fresh_database) as connection:
        assert connection.execute("SELECT count(*) FROM studies").fetchone() == (0,)


@pytest.mark.timeout(900)
def test_for_small_data_no_search_task_is_planned(states: States, env: dict[str, str], fresh_database: str) -> None:
    assert states
    env = {**env, "HEARTH_STUDIES_URL": fresh_database, "HEARTH_SEARCH_WORKERS": "2"}
    conf = json.dumps({"train_knn": {"trials": 1, "seed": 6}})

    answer = json.loads(airflow_home.run("e2e/run_dags.py", conf, "train_knn", env=env).splitlines()[-1])["train_knn"]

    assert answer["run"] == "success"
    assert answer["tasks"] == {"plan_search": "success", "search": "skipped", "train": "success", "promote": "success"}
