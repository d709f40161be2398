"""What the smoke test says before it waits for anything, and the key that it calls with."""

from pathlib import Path

import pytest

from hearth.contracts import list_contracts, load_contract
from hearth.registry import Registry
from tests.support.fake_registry import FakeRegistry
from utils import smoke
from utils.smoke import SmokeFailure, SmokeSettings

ROOT = Path(__file__).parents[2]


def settings(**more: str) -> SmokeSettings:
    return SmokeSettings.model_validate(
        {
            "environment": "laptop",
            "data_dir": ROOT / "data",
            "airflow_url": "http://127.0.0.1:9",
            "airflow_user": "airflow",
            "airflow_password": "airflow",
            "api_url": "http://127.0.0.1:9",
            "grpc_address": "127.0.0.1:9",
            "mlflow_tracking_uri": "http://127.0.0.1:9",
            "predictions_url": "postgresql://127.0.0.1:9/none",
            **more,
        }
    )


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> FakeRegistry:
    registry = FakeRegistry()
    monkeypatch.setattr(Registry, "from_settings", lambda _: registry)
    return registry


def test_a_data_set_without_versions_is_named_at_once_with_what_to_run(registry: FakeRegistry) -> None:
    with pytest.raises(SmokeFailure) as failed:
        smoke._require_trained(settings(), [load_contract("employees", ROOT / "data")])

    assert str(failed.value) == (
        "employees is not trained: no version has the alias knn, svm, lightgbm, champion. Train it first: "
        "hearth smoke --dataset employees, or with Compose: make compose-smoke DATASET=employees"
    )
    assert registry.polls == 1


def test_one_data_set_of_several_that_was_never_trained_is_the_one_that_is_named(registry: FakeRegistry) -> None:
    registry.carried = {"knn": "1", "svm": "2", "lightgbm": "3", "champion": "3"}

    smoke._require_trained(settings(), [load_contract("employees", ROOT / "data")])
    with pytest.raises(SmokeFailure, match="covertype is not trained"):
        smoke._require_trained(settings(), list_contracts(ROOT / "data"))


@pytest.mark.parametrize(
    ("keys", "key"),
    [
        ({"api_admin_key": ""}, ""),
        ({"api_admin_key": "the-admins-secret"}, "the-admins-secret"),
        ({"api_admin_key": "a", "api_key": "own"}, "own"),
    ],
)
def test_it_calls_with_its_own_key_or_with_that_of_the_stack(keys: dict[str, str], key: str) -> None:
    assert settings(**keys).key == key
