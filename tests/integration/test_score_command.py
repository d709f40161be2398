"""`hearth score` of a batch: from a registry, through files and objects, to parts, the predictions store and MLflow."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pyarrow.parquet as pq
import pytest
from mlflow import MlflowClient

from deploy.embedded import temporary_servers
from hearth.modelling.prediction_sets import PredictionSets
from hearth.modelling.trust import Trust
from hearth.predictions import PredictionStore
from hearth.predictions.migration import migrate
from hearth.registry import NewVersion, Registry
from hearth.storage import ObjectStore
from tests.support.batches import HEADER, csv_text, pipeline, rows
from tests.support.samples import ROOT, renamed_contract, sample_rows

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def name(tmp_path: Path, mlflow_uri: str) -> str:
    """A data set of its own with a champion."""
    contract = renamed_contract(tmp_path / "contracts", f"data_{uuid4().hex}")
    X, _ = sample_rows(contract, 5)
    registry = Registry(mlflow_uri, revision="0123")
    trust = Trust(PredictionSets(0.9, (0.2, 0.3, 0.2)))
    new = NewVersion(contract.name, "lightgbm", "digest", uuid4().hex, pipeline(), X, {}, {}, {}, trust=trust)
    registry.set_alias(contract.name, "champion", registry.register(new).version)
    return contract.name


@pytest.fixture
def run(tmp_path: Path, mlflow_uri: str, object_store: temporary_servers.ObjectStore, fresh_database: str) -> Run:
    migrate(fresh_database)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")}
    environment |= {
        "HEARTH_ROOT": str(ROOT),  # the settings are those below
        "HEARTH_ENVIRONMENT": "laptop",
        "HEARTH_DATA_DIR": str(tmp_path / "contracts"),
        "HEARTH_MLFLOW_TRACKING_URI": mlflow_uri,
        "HEARTH_PREDICTIONS_URL": fresh_database,
        "HEARTH_S3_ENDPOINT_URL": object_store.endpoint_url,
        "HEARTH_S3_REGION": object_store.region,
        "HEARTH_S3_ACCESS_KEY": object_store.access_key,
        "HEARTH_S3_SECRET_KEY": object_store.secret_key,
        "HEARTH_DATA_BUCKET": "data",
        "HEARTH_PROCESSED_BUCKET": "processed",
    }

    def run_command(*arguments: object) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "hearth", "score", *map(str, arguments)]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run_command


def test_a_prefix_is_scored_to_a_folder_and_again_without_work(  # noqa: PLR0913, PLR0917 - fixtures
    run: Run, name: str, tmp_path: Path, object_store: temporary_servers.ObjectStore, fresh_database: str, mlflow_uri: str
) -> None:
    store = ObjectStore(
        object_store.endpoint_url, region=object_store.region, access_key=object_store.access_key, secret_key=object_store.secret_key
    )
    cells = rows(90)
    cells[3][HEADER.index("Sleep Hours")] = "99"
    store.put("data", f"{name}/score/a.csv", csv_text(cells))
    store.put("data", f"{name}/score/b.csv", b"a,b\n")
    arguments = [f"s3://data/{name}/score", "-o", "out/", "--dataset", name, "--keep", "Employee ID", "--include", "set", "--explain"]

    first = run(*arguments)

    assert first.returncode == 1  # for b.csv
    assert "89 of 90 rows of 2 objects scored by version 1 (lightgbm), 1 rejected" in first.stdout
    assert "1 of 2 objects could not be read: b.csv: The header lacks columns" in first.stderr
    assert "Traceback" not in first.stderr
    table = pq.read_table(tmp_path / "out/scored/a.csv.00000.parquet")
    contributions = [column for column in table.column_names if column.startswith("contribution_")]
    assert table.column_names[:4] == ["line", "Employee ID", "prediction", "label"]
    assert (len(contributions), table.num_rows) == (13, 89)
    summary = json.loads((tmp_path / "out/summary.json").read_bytes())
    with PredictionStore(fresh_database) as predictions:
        assert len(predictions.page(200, dataset=name, source="batch")) == summary["sampled"] == 89
    [experiment] = MlflowClient(mlflow_uri).search_experiments(filter_string=f"name = '{name}_batch'")
    logged = MlflowClient(mlflow_uri).search_runs([experiment.experiment_id])
    assert [each.info.run_id for each in logged] == [summary["run_id"]]
    assert (logged[0].data.metrics["rows"], logged[0].data.params["version"]) == (90, "1")

    store.delete("data", f"{name}/score/b.csv")
    again = run(*arguments, "--strict")
    assert "s (" in again.stdout
    assert again.returncode == 1
    assert "1 rows break the contract" in again.stderr


def test_a_version_that_is_not_there_or_lacks_what_is_wanted_is_named_before_anything_is_done(run: Run, name: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(csv_text(rows(3)))
    absent = run("a.csv", "-o", "out/", "--dataset", name, "--model", "99")
    assert (absent.returncode, "version 99 is not in the registry" in absent.stderr) == (1, True)
    unknown = run("a.csv", "-o", "out/", "--dataset", name, "--include", "unusual")
    assert (unknown.returncode, "what is unusual was" in unknown.stderr) == (1, True)
    assert not (tmp_path / "out").exists()
