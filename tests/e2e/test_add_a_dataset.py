"""docs/add-a-dataset.md, followed to the letter: its data set has DAGs, and they end in versions under aliases."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from deploy.embedded.temporary_servers import ObjectStore as ObjectStoreServer
from hearth.contracts import load_contract
from hearth.modelling.scorer import Scorer
from hearth.registry import Registry
from tests.support import airflow_home, guide

DAGS = ("tumours_etl_mlflow", "tumours_train_logistic_regression", "tumours_train_knn")
OTHERS = ("tumours_monitor", "tumours_retrain", "tumours_score_batch")


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> guide.Guide:
    return guide.tumours(tmp_path_factory.mktemp("tumours"))


@pytest.fixture(scope="module")
def env(followed: guide.Guide, object_store: ObjectStoreServer, mlflow_uri: str, airflow_folder: Path) -> dict[str, str]:
    return airflow_home.environment(
        airflow_folder,
        **airflow_home.servers(object_store, mlflow_uri),
        HEARTH_DATA_DIR=str(followed.data),
    )


def test_its_dags_are_there_beside_those_of_the_other_data_sets(env: dict[str, str]) -> None:
    found: dict[str, Any] = json.loads(airflow_home.run("dags/parse_dags.py", env=env).splitlines()[-1])

    dags = {dag_id: dag for file in found["files"] for dag_id, dag in file["dags"].items()}
    assert [file["errors"] for file in found["files"] if file["errors"]] == []
    assert {dag_id for dag_id in dags if "tumours" in dags[dag_id]["tags"]} == {*DAGS, *OTHERS}
    assert {"etl_mlflow", "heart_etl_mlflow", "covertype_etl_mlflow"} <= dags.keys()


@pytest.mark.timeout(1200)
def test_its_rows_become_versions_that_score_under_the_aliases_of_its_contract(
    followed: guide.Guide, env: dict[str, str], mlflow_uri: str
) -> None:
    given = {name: value for name, value in env.items() if name.startswith("HEARTH_")}
    said = followed.run("upload", given, replaced={"make ": "make -o setup "})  # the copy shares what is installed
    assert "s3://data/tumours/raw/tumours.csv holds the real file" in said

    conf = {dag_id: {"trials": 2} for dag_id in DAGS[1:]}
    states = json.loads(airflow_home.run("e2e/run_dags.py", json.dumps(conf), *DAGS, env=env).splitlines()[-1])

    assert {dag_id: state["run"] for dag_id, state in states.items()} == dict.fromkeys(DAGS, "success")
    contract, registry = load_contract("tumours", followed.data), Registry(mlflow_uri)
    aliases = registry.aliases("tumours")
    assert {"logistic_regression", "knn", "champion"} <= aliases.keys() <= {"logistic_regression", "knn", "champion", "previous"}
    rows = pd.read_csv(followed.data / "tumours/tumours.csv")
    for alias in aliases:
        scores = Scorer(registry.load(registry.version("tumours", alias)), contract).score_frame(rows)
        assert (scores.codes == rows["Diagnosis"]).mean() > 0.9
