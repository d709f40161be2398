"""What tests of recording share: models that were really scored, and a recorder on a store."""

import threading
from datetime import UTC, datetime
from typing import Any

import numpy as np
from pydantic import SecretStr
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline

from hearth.contracts.record_parser import Columns
from hearth.errors import ModelUnavailable
from hearth.modelling.features import build_features
from hearth.modelling.scorer import Scores
from hearth.registry import RegisteredVersion
from hearth.serving.compiled.scorer import CompiledScorer
from hearth.serving.loaded_model import LoadedModel
from hearth.settings import RecordingSettings
from tests.support.samples import EMPLOYEES, ROOT, records, sample_rows

FRAME, _ = sample_rows(EMPLOYEES, 300, seed=11)
RECORDS = records(FRAME)
CONTRACTS = {"employees": EMPLOYEES}


class Always(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Answers one class; it can fail, and wait at a gate."""

    def __init__(self, code: int = 0) -> None:
        self.code = code
        self.failing = False
        self.called = threading.Event()
        self.gate = threading.Event()
        self.gate.set()

    def fit(self, _: np.ndarray, y: np.ndarray) -> "Always":
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        self.called.set()
        assert self.gate.wait(20)
        if self.failing:
            raise ZeroDivisionError("a candidate's own fault")
        return np.tile(np.eye(3)[self.code] * 0.75 + 0.125, (len(X), 1))


def loaded(alias: str, version: str, classifier: BaseEstimator) -> LoadedModel:
    """A version that serves under an alias."""
    X, y = sample_rows(EMPLOYEES, 60)
    pipeline = Pipeline([("features", build_features(EMPLOYEES)), ("model", classifier)]).fit(X, y)
    registered = RegisteredVersion("employees", version, "knn", "d", f"run-{version}", datetime.now(UTC), {}, {})
    return LoadedModel(alias, registered, CompiledScorer(pipeline, EMPLOYEES), datetime.now(UTC))


class Loaded:
    """The models of a process, as far as a recorder asks for them."""

    def __init__(self, *models: LoadedModel) -> None:
        self.models = {(model.dataset, model.alias): model for model in models}

    def get(self, dataset: str, alias: str) -> LoadedModel:
        if (dataset, alias) not in self.models:
            raise ModelUnavailable(dataset, alias, "no version carries this alias yet.")
        return self.models[dataset, alias]


def scored(model: LoadedModel, rows: int, start: int = 0) -> tuple[Columns, Scores]:
    columns = model.scorer.parser.parse(RECORDS[start : start + rows])
    return columns, model.scorer.score_columns(columns)


def settings(url: str, **changes: Any) -> RecordingSettings:
    values: dict[str, Any] = {
        "environment": "laptop",
        "data_dir": ROOT / "data",
        "predictions_url": SecretStr(url),
        "record_predictions": "all",
        "record_sample_share": 0.5,
        "record_queue_records": 20_000,
        "record_most_per_second": 1_000_000,
        "record_drain_seconds": 600,  # a bound: on a machine that is full the writing process takes minutes to start
        "challenger_share": 0,
    }
    return RecordingSettings(_env_file=None, **{**values, **changes})
