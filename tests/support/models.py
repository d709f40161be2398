"""Models that need no training and no MLflow, and the process that serves them."""

from collections.abc import Iterator
from contextlib import contextmanager

from mlflow import MlflowClient

from hearth.serving.model_follower import ModelFollower
from tests.support.contracts import DATA, employees, good_record
from tests.support.fake_registry import ByDesignation, FakeRegistry

__all__ = ["DATA", "ByDesignation", "FakeRegistry", "carry", "employees", "good_record", "served"]


def carry(mlflow_uri: str, dataset: str, alias: str) -> None:
    """Register a data set's model in a real MLflow, with a version that has this alias and no files."""
    client = MlflowClient(mlflow_uri, mlflow_uri)
    client.create_registered_model(dataset)
    version = client.create_model_version(dataset, "s3://none/at-all")
    client.set_registered_model_alias(dataset, alias, version.version)


@contextmanager
def served(registry: FakeRegistry, poll_seconds: float = 0.05) -> Iterator[ModelFollower]:
    with ModelFollower(registry, {"employees": employees()}, poll_seconds) as models:
        models.wait_until_polled(30)
        yield models
