"""Models that need no training and no MLflow: the registry is a dictionary, the model is a rule of one line."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from mlflow import MlflowClient

from hearth.contracts import CategoryColumn, Contract, IntegerColumn, NumberColumn, load_contract
from hearth.errors import ModelUnavailable
from hearth.registry import RegisteredVersion
from hearth.serving.model_follower import ModelFollower

DATA = Path(__file__).parents[2] / "data"


def employees() -> Contract:
    return load_contract("employees", DATA)


def good_record(contract: Contract, **changes: object) -> dict[str, object]:
    """A record in the middle of every range."""
    record: dict[str, object] = {}
    for name, column in contract.feature_columns.items():
        if isinstance(column, CategoryColumn):
            record[name] = column.categories[0]
        elif isinstance(column, IntegerColumn | NumberColumn):
            record[name] = (column.minimum + column.maximum) // 2
    return {**record, **changes}


class ByDesignation:
    """Answers Low for designations 0 and 1, Medium for 2 and 3, High for 4 and 5."""

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        codes = (frame["Designation"].to_numpy() // 2).astype(int)
        probabilities: np.ndarray = np.eye(3)[codes] * 0.7 + 0.1
        return probabilities


class Shelf:
    """A registry in memory: `carried` says which version each alias carries."""

    def __init__(self, model: object = None, **carried: str) -> None:
        self.carried = carried
        self.model = model or ByDesignation()
        self.tags: dict[str, dict[str, str]] = {}  # by version

    def aliases(self, dataset: str) -> dict[str, str]:
        return dict(self.carried) if dataset == "employees" else {}

    def version(self, dataset: str, name: str) -> RegisteredVersion:
        number = name if name.isdecimal() else self.carried.get(name)
        if number is None:
            raise ModelUnavailable(dataset, name, "no version carries this alias yet.")
        metrics: Mapping[str, float] = {"macro_f1": 0.81, "accuracy": 0.83}
        tags = dict(self.tags.get(number, {}))
        return RegisteredVersion(dataset, number, "knn", "digest", f"run-{number}", datetime(2026, 11, 21, tzinfo=UTC), metrics, tags)

    def versions(self, dataset: str) -> list[RegisteredVersion]:
        numbers = {*self.carried.values(), *self.tags} if dataset == "employees" else set()
        return [self.version(dataset, number) for number in sorted(numbers, key=int, reverse=True)]

    def load_with_example(self, version: RegisteredVersion) -> tuple[object, pd.DataFrame]:
        return self.model, pd.DataFrame([good_record(load_contract(version.dataset, DATA))])

    def set_alias(self, dataset: str, alias: str, version: str) -> None:
        assert dataset == "employees"
        self.carried[alias] = version

    def annotate(self, version: RegisteredVersion, tags: Mapping[str, str], description: str | None = None) -> None:  # noqa: ARG002 - the registry's interface
        self.tags.setdefault(version.version, {}).update(tags)


def carry(mlflow_uri: str, dataset: str, alias: str) -> None:
    """Register a data set's model in a real MLflow, with a version that has this alias and no files."""
    client = MlflowClient(mlflow_uri, mlflow_uri)
    client.create_registered_model(dataset)
    version = client.create_model_version(dataset, "s3://none/at-all")
    client.set_registered_model_alias(dataset, alias, version.version)


@contextmanager
def served(shelf: Shelf, poll_seconds: float = 0.05) -> Iterator[ModelFollower]:
    with ModelFollower(shelf, {"employees": employees()}, poll_seconds) as models:
        yield models
