"""docs/add-a-model.md, followed to the letter: its family has a DAG, which ends in a version that has passed the gate."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.embedded.temporary_servers import ROOT
from deploy.embedded.temporary_servers import ObjectStore as ObjectStoreServer
from hearth.registry import Registry
from tests.support import airflow_home, guide

DAGS = ("heart_etl_mlflow", "heart_train_boosted_trees")


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> guide.Guide:
    return guide.boosted_trees(tmp_path_factory.mktemp("boosted-trees"))


@pytest.mark.timeout(1200)
def test_its_entry_passes_the_tests_of_the_catalogue(followed: guide.Guide) -> None:
    said = followed.run("test", {"PYTHONPATH": followed.python_path})

    assert " passed" in said
    assert "skipped" not in said


@pytest.mark.timeout(1200)
def test_its_dag_trains_a_version_that_passes_the_gate_and_has_the_alias(
    followed: guide.Guide, object_store: ObjectStoreServer, mlflow_uri: str, airflow_folder: Path
) -> None:
    env = airflow_home.environment(
        airflow_folder,
        **airflow_home.servers(object_store, mlflow_uri),
        HEARTH_DATA_DIR=str(followed.data),
        PYTHONPATH=followed.python_path,
    )
    upload = [sys.executable, "-m", "hearth", "data", "upload", "--dataset", "heart", "--rows", "800"]
    subprocess.run(upload, env={**env, "HEARTH_ROOT": str(ROOT), "HEARTH_STATE_DIR": str(followed.root)}, cwd=ROOT, check=True)

    states = json.loads(airflow_home.run("e2e/run_dags.py", json.dumps({DAGS[1]: {"trials": 2}}), *DAGS, env=env).splitlines()[-1])

    assert {dag_id: state["run"] for dag_id, state in states.items()} == dict.fromkeys(DAGS, "success")
    version = Registry(mlflow_uri).version("heart", "boosted_trees")
    assert (version.family, version.tags["hearth.gate"]) == ("boosted_trees", "passed")
