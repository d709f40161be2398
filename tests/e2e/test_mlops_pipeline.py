"""The DAG mlops_pipeline, run task by task against a real object store, a real MLflow and a REST service that follows it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow import MlflowClient

from deploy.embedded import temporary_servers
from deploy.embedded.environment import load_environment
from hearth.contracts import load_contract
from hearth.registry import Registry
from tests.support import airflow_home

ROOT = Path(__file__).parents[2]
SERVE_PYTHON = ROOT / ".venvs/serve/bin/python"
HEART = load_contract("heart", ROOT / "data")
TASKS = {
    *("extract_data", "preprocess_data", "select_best_model", "tune_best_model"),
    *(f"{step}_{family}" for step in ("train", "evaluate") for family in ("random_forest", "logistic_regression", "svm")),
    *("register_model", "promote_model", "deploy_model", "cleanup_old_models"),
}
RECORD = [63, 1, 3, 145, 233, 1, 0, 150, 0, 2.3, 0, 0, 1]


@pytest.fixture(scope="module")
def mlflow_uri() -> Iterator[str]:
    """An MLflow in which nobody else has registered a model of this data set."""
    with temporary_servers.mlflow() as uri:
        yield uri


@pytest.fixture(scope="module")
def object_store() -> Iterator[temporary_servers.ObjectStore]:
    """A store without a raw file: the first task has to generate one."""
    with temporary_servers.object_store() as store:
        yield store


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the heart data set alone, and no real file in it."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "heart").mkdir()
    for name in ("contract.yaml", "statistics.json"):
        shutil.copy(ROOT / "data" / "heart" / name, folder / "heart" / name)
    return folder


@pytest.fixture(scope="module")
def api_url(folder: Path, mlflow_uri: str) -> Iterator[str]:
    """The REST service as it is deployed; what it does not need here is away."""
    port = temporary_servers.free_port()
    settings = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")},
        "HEARTH_DATA_DIR": str(folder),
        "HEARTH_API_DEFAULT_DATASET": "heart",
        "HEARTH_MLFLOW_TRACKING_URI": mlflow_uri,
        "HEARTH_ALIAS_POLL_SECONDS": "0.5",
        "HEARTH_RECORD_PREDICTIONS": "none",
    }
    command = [str(SERVE_PYTHON), "-m", "hearth_api", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env=load_environment(ROOT, settings))
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def env(
    folder: Path,
    object_store: temporary_servers.ObjectStore,
    mlflow_uri: str,
    api_url: str,
    airflow_folder: Path,
) -> dict[str, str]:
    return airflow_home.environment(
        airflow_folder,
        HEARTH_DATA_DIR=str(folder),
        **airflow_home.servers(object_store, mlflow_uri),
        HEARTH_API_URL=api_url,
    )


def run(env: dict[str, str], conf: dict[str, object]) -> dict[str, Any]:
    said = airflow_home.run("e2e/run_dags.py", json.dumps({"mlops_pipeline": conf}), "mlops_pipeline", env=env)
    states: dict[str, Any] = json.loads(said.splitlines()[-1])
    return states["mlops_pipeline"]  # type: ignore[no-any-return]


def variables(env: dict[str, str], path: Path) -> dict[str, Any]:
    """Return Airflow's Variables; what is JSON comes as what it says."""
    airflow = str(Path(sys.executable).with_name("airflow"))
    subprocess.run([airflow, "variables", "export", str(path)], env=env, cwd=ROOT, check=True, capture_output=True)
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


@pytest.mark.timeout(1800)
def test_from_nothing_to_an_answer_of_the_best_model_and_again_without_keeping_what_nobody_needs(
    env: dict[str, str], api_url: str, mlflow_uri: str, tmp_path: Path
) -> None:
    first = run(env, {"steps": 1})

    assert first["tasks"] == dict.fromkeys(TASKS, "success")
    registry = Registry(mlflow_uri)
    aliases = registry.aliases("heart")
    found = variables(env, tmp_path / "variables.json")
    best = found["best_model_type"]
    assert aliases == {best: "1", "champion": "1"}
    version = registry.version("heart", "1")
    assert version.metrics["accuracy"] > 0.7
    assert float(found["best_model_tuned_accuracy"]) >= float(found["best_model_accuracy"]) > 0.7
    assert float(found["best_model_tuned_accuracy"]) == pytest.approx(version.metrics["cv_accuracy"], abs=1e-6)
    assert found["best_model_tuning_label"] == version.params["tuning"]
    tuned = found["best_model_tuned_params"]
    assert {name: str(value) for name, value in tuned.items()} == {name: version.params[name] for name in tuned}

    answer = httpx.post(f"{api_url}/heart/predict", json={"features": RECORD}).raise_for_status().json()
    assert (answer["model_version"], answer["family"]) == ("1", best)
    assert answer["prediction"] in (0, 1)
    assert 0.5 <= answer["probability"] <= 1

    client = MlflowClient(mlflow_uri)
    experiment = client.get_experiment_by_name("heart_mlops_pipeline")
    assert experiment is not None
    judged = client.search_runs([experiment.experiment_id], "tags.`hearth.training_key` LIKE '%best of%'")
    assert {run.data.tags["hearth.family"] for run in judged} == set(HEART.families)

    second = run(env, {"steps": 0, "keep": 1, "seed": 7})

    ended = {task: state for task, state in second["tasks"].items() if state != "success"}
    assert set(ended) <= {"promote_model", "deploy_model"}, "the gate may refuse, and then there is nothing to deploy"
    left = {version.version for version in registry.versions("heart")}
    assert left == {"2", *registry.aliases("heart").values()}
