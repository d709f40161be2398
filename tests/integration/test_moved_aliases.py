"""Administration over REST against a real MLflow: versions are registered, promoted, rolled back, and followed by the service."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import httpx
import numpy as np
import pytest
from mlflow import MlflowClient
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline

from hearth.contracts import Contract
from hearth.modelling.features import build_features
from hearth.registry import NewVersion, Registry
from hearth_api.app import create_app
from tests.api.running import AS_ADMIN, refused, running, service_settings
from tests.support.models import good_record
from tests.support.samples import renamed_contract, sample_rows


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def contract(data_dir: Path) -> Contract:
    """A data set of the test's own: all tests share the registry."""
    return renamed_contract(data_dir, f"staff_{uuid4().hex[:8]}")


@pytest.fixture(scope="module")
def registry(mlflow_uri: str, contract: Contract) -> Registry:
    """Three versions, of which the third has not passed the gate and the fourth is of a smaller contract."""
    registry = Registry(mlflow_uri, revision="0123456789abcdef")
    X, y = sample_rows(contract, 200)
    X = X.astype(dict.fromkeys(contract.numeric_features, np.float64))
    columns = {name: column for name, column in contract.columns.items() if name != "Designation"}
    smaller = contract.model_copy(update={"columns": columns})
    for number, of in enumerate((contract, contract, contract, smaller), 1):
        features = X[list(of.feature_names)]
        pipeline = Pipeline([("features", build_features(of)), ("model", KNeighborsClassifier(n_neighbors=number))]).fit(features, y)
        version = registry.register(
            NewVersion(
                dataset=contract.name,
                family="knn",
                digest="0011223344556677",
                training_key=f"{contract.name}/{number}",
                pipeline=pipeline,
                example=features.head(5),
                params={"n_neighbors": number},
                metrics={"macro_f1": 0.8},
                pictures={},
            )
        )
        assert version.version == str(number)
        registry.annotate(version, {"hearth.gate": "refused" if number == 3 else "passed"}, f"why version {number} was judged so")
    registry.set_alias(contract.name, "previous", "1")
    registry.set_alias(contract.name, "champion", "2")
    return registry


@pytest.fixture(scope="module")
def client(registry: Registry, data_dir: Path, contract: Contract, mlflow_uri: str) -> Iterator[httpx.Client]:
    settings = service_settings(mlflow_tracking_uri=mlflow_uri, data_dir=data_dir, api_default_dataset=contract.name)
    with running(create_app(settings, registry)) as client:
        yield client


def test_promoted_and_rolled_back_versions_serve_when_that_is_answered(
    client: httpx.Client, registry: Registry, contract: Contract, mlflow_uri: str
) -> None:
    record = {"data": [good_record(contract)]}

    def serving() -> str:
        return str(client.post("/predict", json=record).json()["version"])

    assert serving() == "2"
    assert client.post(f"/models/{contract.name}/rollback", headers=AS_ADMIN).json()["serving"] == "1"
    assert (serving(), registry.aliases(contract.name)) == ("1", {"champion": "1", "previous": "2"})

    path = f"/models/{contract.name}/promote"
    refused(client.post(path, headers=AS_ADMIN, json={"version": "3"}), 409, "alias_not_moved")
    assert client.post(path, headers=AS_ADMIN, json={"version": "3", "to": "challenger"}).json()["serving"] == "3"
    answer = client.post(path, headers=AS_ADMIN, json={"from": "challenger", "over_gate": True}).json()
    assert (answer["serving"], answer["gate"]) == ("3", "refused")
    assert (serving(), registry.aliases(contract.name)) == ("3", {"champion": "3", "previous": "1", "challenger": "3"})

    found = MlflowClient(mlflow_uri, mlflow_uri).get_model_version(contract.name, "3")
    assert found.description == "**Decision:** why version 3 was judged so"
    written = [text for name, text in sorted(found.tags.items()) if name.startswith("hearth.moved.")]
    assert written == ["challenger by admin, before it version none", "champion by admin, over the gate (refused), before it version 1"]


def test_a_version_that_does_not_keep_the_contract_is_refused(client: httpx.Client, registry: Registry, contract: Contract) -> None:
    before = registry.aliases(contract.name)

    answer = client.post(f"/models/{contract.name}/promote", headers=AS_ADMIN, json={"version": "4"})

    assert answer.status_code == 409, answer.text
    assert answer.json()["error"] == "refused_model"
    assert registry.aliases(contract.name) == before


def test_a_version_that_is_not_in_the_registry_is_not_found(client: httpx.Client, contract: Contract) -> None:
    refused(client.post(f"/models/{contract.name}/promote", headers=AS_ADMIN, json={"version": "99"}), 404, "unknown_version")


def test_while_the_registry_is_away_nothing_is_moved_and_that_is_said(registry: Registry, data_dir: Path, contract: Contract) -> None:
    before = registry.aliases(contract.name)
    settings = service_settings(data_dir=data_dir, api_default_dataset=contract.name)
    with running(create_app(settings)) as client:
        answer = client.post(f"/models/{contract.name}/rollback", headers=AS_ADMIN)
        refused(answer, 503, "registry_unavailable")
        assert client.post("/model/reload", headers=AS_ADMIN).json()["problem"]
    assert registry.aliases(contract.name) == before
