"""Model cards over REST from a real MLflow."""

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
from tests.api.running import refused, running, service_settings
from tests.support.cards import PNG, small_card
from tests.support.samples import renamed_contract, sample_rows


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def contract(data_dir: Path) -> Contract:
    return renamed_contract(data_dir, f"staff_{uuid4().hex[:8]}")


@pytest.fixture(scope="module")
def registry(mlflow_uri: str, contract: Contract) -> Registry:
    """The first version has a card, the second has none, and the run of the third is gone."""
    registry = Registry(mlflow_uri, revision="0123456789abcdef")
    X, y = sample_rows(contract, 200)
    X = X.astype(dict.fromkeys(contract.numeric_features, np.float64))
    pipeline = Pipeline([("features", build_features(contract)), ("model", KNeighborsClassifier())]).fit(X, y)
    card = small_card("<b>x</b>", contract.name).to_json()
    for number, files in enumerate(({"card.json": card, "card.html": b"<script>"}, {}, {"card.json": card}), 1):
        new = NewVersion(
            dataset=contract.name,
            family="knn",
            digest="0011223344556677",
            training_key=f"{contract.name}/{number}",
            pipeline=pipeline,
            example=X.head(5),
            params={},
            metrics={"macro_f1": 0.8},
            pictures={"groups.png": PNG},
            files=files,
        )
        version = registry.register(new)
    MlflowClient(mlflow_uri).delete_run(version.run_id)
    registry.set_alias(contract.name, "champion", "1")
    return registry


@pytest.fixture(scope="module")
def client(registry: Registry, data_dir: Path, contract: Contract, mlflow_uri: str) -> Iterator[httpx.Client]:
    settings = service_settings(mlflow_tracking_uri=mlflow_uri, data_dir=data_dir, api_default_dataset=contract.name)
    with running(create_app(settings, registry)) as client:
        yield client


def test_a_card_is_read_from_the_run_with_its_pictures(client: httpx.Client, contract: Contract) -> None:
    path = f"/models/{contract.name}/champion/card"

    card = client.get(path, params={"format": "json"}).json()
    page, markdown = client.get(path).text, client.get(path, params={"format": "markdown"}).text

    assert (card["version"], card["aliases"], card["gate"]) == ("1", ["champion"], "not judged")
    assert page.count("data:image/png;base64,") == 1
    assert "<script>" not in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page
    assert f"# Model card: {contract.name.replace('_', chr(92) + '_')}, knn, version 1" in markdown
    assert client.get(client.get("/model-info").json()["card"]).text == page


def test_a_version_without_a_card_or_without_a_version_is_404(client: httpx.Client, contract: Contract) -> None:
    for version, error in (("2", "no_card"), ("9", "unknown_version"), ("previous", "unknown_version")):
        refused(client.get(f"/models/{contract.name}/{version}/card"), 404, error)


def test_the_card_of_a_deleted_run_is_there_until_mlflow_collects_its_garbage(client: httpx.Client, contract: Contract) -> None:
    answer = client.get(f"/models/{contract.name}/3/card", params={"format": "json"})

    assert (answer.status_code, answer.json()["version"]) == (200, "3")


def test_mlflow_that_is_away_is_503(registry: Registry, data_dir: Path, contract: Contract) -> None:
    settings = service_settings(data_dir=data_dir, api_default_dataset=contract.name)
    with running(create_app(settings, Registry(settings.mlflow_tracking_uri))) as client:
        detail = refused(client.get(f"/models/{contract.name}/1/card"), 503, "registry_unavailable")

    assert "does not answer as it should" in detail
    assert registry.aliases(contract.name) == {"champion": "1"}
