"""The program that searches parameters outside Airflow, on a real object store and a real MLflow."""

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import psutil
import psycopg
import pytest
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run

from deploy.embedded import temporary_servers
from hearth.contracts import Contract
from hearth.data import processed
from hearth.data.cleaning import digest
from hearth.storage import ObjectStore
from tests.support import airflow_home
from tests.support.samples import renamed_contract, sample_split
from tests.support.waiting import wait_until


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    return renamed_contract(tmp_path, f"data_{uuid4().hex}")


@pytest.fixture
def env(tmp_path: Path, object_store: temporary_servers.ObjectStore, mlflow_uri: str, studies_url: str) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")},
        "HEARTH_ROOT": str(airflow_home.ROOT),
        "HEARTH_ENVIRONMENT": "laptop",
        "HEARTH_DATA_DIR": str(tmp_path),
        "HEARTH_STUDIES_URL": studies_url,
        "HEARTH_SEARCH_GRACE_SECONDS": "5",
        **airflow_home.servers(object_store, mlflow_uri),
    }


@pytest.fixture(scope="module")
def studies_url(postgres_url: str) -> str:
    return temporary_servers.create_database(postgres_url, f"studies_{uuid4().hex}")


def publish(contract: Contract, store: ObjectStore) -> str:
    split = sample_split(contract)
    manifest = processed.Manifest(contract.name, digest(split), len(split.X_train), len(split.X_test))
    processed.write_split(store, contract.name, manifest.digest, split)
    processed.write_manifest(store, manifest)
    processed.write_latest(store, manifest)
    return manifest.digest


def in_experiment(mlflow_uri: str, contract: Contract) -> list[Run]:
    client = MlflowClient(mlflow_uri)
    experiment = client.get_experiment_by_name(f"{contract.name}_knn_optuna")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], f"tags.`hearth.dataset` = '{contract.name}'"))


def workers(process: "subprocess.Popen[str]") -> list[psutil.Process]:
    """Return the processes of a search: the children of the process that forks them."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # one that has just ended
            if child.ppid() != process.pid:
                found.append(child)
    return found


def tune(env: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "hearth", "tune", *arguments], env=env, capture_output=True, text=True, check=False)


@pytest.mark.timeout(600)
def test_trials_are_runs_and_the_best_parameters_are_printed_as_the_pipeline_takes_them(
    contract: Contract, env: dict[str, str], store: ObjectStore, mlflow_uri: str
) -> None:
    data = publish(contract, store)

    done = tune(env, contract.name, "--family", "knn", "--trials", "4", "--jobs", "2")

    assert done.returncode == 0, done.stderr
    assert "4/4" in done.stderr  # the progress bar
    assert f"{contract.name} knn, data {data}: 4 trials" in done.stdout
    params = yaml.safe_load(done.stdout[done.stdout.index(f"\n{contract.name}:") :])[contract.name]["knn"]
    assert params.keys() == {"n_neighbors", "weights", "algorithm"}
    runs = in_experiment(mlflow_uri, contract)
    [parent] = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert len(runs) == 5
    assert parent.info.status == "FINISHED"
    assert parent.data.params["best_n_neighbors"] == str(params["n_neighbors"])
    assert not MlflowClient(mlflow_uri).search_model_versions(f"name = '{contract.name}'")


@pytest.mark.timeout(600)
def test_a_process_that_is_killed_is_replaced_and_the_trials_are_as_many_as_asked_for(
    contract: Contract, env: dict[str, str], store: ObjectStore, mlflow_uri: str, studies_url: str
) -> None:
    publish(contract, store)
    command = [sys.executable, "-m", "hearth", "tune", contract.name, "--family", "knn", "--trials", "20", "--jobs", "2"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: len(workers(process)) == 2)
        workers(process)[0].kill()
        said, log = process.communicate()

    assert process.returncode == 0, log
    assert "was killed by signal 9" in log
    assert "20 trials" in said
    assert sorted(
        int(run.data.tags["hearth.trial"]) for run in in_experiment(mlflow_uri, contract) if "hearth.trial" in run.data.tags
    ) == list(range(20))
    with psycopg.connect(studies_url) as connection:  # the search is gone with its trials
        assert connection.execute("SELECT count(*) FROM studies").fetchone() == (0,)


@pytest.mark.timeout(600)
def test_a_search_outlives_a_database_that_is_away_for_a_moment(
    contract: Contract, env: dict[str, str], store: ObjectStore, postgres_url: str, tmp_path: Path
) -> None:
    publish(contract, store)
    database, log = env["HEARTH_STUDIES_URL"].rpartition("/")[2], tmp_path / "log"
    command = [sys.executable, "-m", "hearth", "tune", contract.name, "--family", "knn", "--trials", "20", "--jobs", "2"]
    patient = {**env, "HEARTH_SEARCH_GRACE_SECONDS": "30"}
    with (
        psycopg.connect(postgres_url, autocommit=True) as connection,
        log.open("w") as errors,
        subprocess.Popen(command, env=patient, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        wait_until(lambda: len(workers(process)) == 2)
        connection.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS false')
        try:
            connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,))
            wait_until(lambda: "It is asked again" in log.read_text() or process.poll() is not None)
        finally:
            connection.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS true')
        said, _ = process.communicate()

    assert process.returncode == 0, log.read_text()
    assert "20 trials" in said


def test_one_process_needs_no_database_of_searches(contract: Contract, env: dict[str, str], store: ObjectStore) -> None:
    publish(contract, store)

    done = tune({**env, "HEARTH_STUDIES_URL": "postgresql://nobody@127.0.0.1:1/none"}, contract.name, "--family", "knn", "--trials", "1")

    assert done.returncode == 0, done.stderr


def test_without_the_database_of_searches_several_processes_say_what_is_missing(
    contract: Contract, env: dict[str, str], store: ObjectStore
) -> None:
    publish(contract, store)

    done = tune({**env, "HEARTH_STUDIES_URL": "postgresql://nobody@127.0.0.1:1/none"}, contract.name, "--family", "knn", "--jobs", "2")

    assert done.returncode == 1
    assert "HEARTH_STUDIES_URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_processed_data_it_says_which_dag_to_run(contract: Contract, env: dict[str, str]) -> None:
    done = tune(env, contract.name, "--family", "knn")

    assert done.returncode == 1
    assert f"{contract.name}_etl_mlflow" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--family", "forest"], 1, "forest"),
        (["--family", "knn", "--trials", "0"], 2, "expected a whole number from 1 to"),
    ],
)
def test_a_mistake_on_the_command_line_is_named(
    contract: Contract, env: dict[str, str], arguments: list[str], status: int, said: str
) -> None:
    done = tune(env, contract.name, *arguments)

    assert (done.returncode, said in done.stderr) == (status, True), done.stderr
    assert "Traceback" not in done.stderr
