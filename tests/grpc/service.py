"""A real server on a free port, with a registry in memory and models that were really fitted."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any, ClassVar

import grpc
import numpy as np
from google.rpc.status_pb2 import Status
from grpc_health.v1.health_pb2_grpc import HealthStub
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from grpc_service.server import running_server
from grpc_service.v1 import prediction_pb2 as pb
from grpc_service.v1.prediction_pb2_grpc import PredictionStub
from hearth.contracts import Contract
from hearth.errors import ModelUnavailable
from hearth.modelling.features import build_features
from hearth.registry import RegisteredVersion, StoredModel
from hearth.serving.model_follower import ModelFollower
from hearth.settings import GrpcSettings
from tests.support.fake_registry import FakeRegistry
from tests.support.samples import EMPLOYEES, ROOT, sample_rows
from tests.support.waiting import LIMIT_SECONDS

WHEN = datetime(2026, 11, 21, 12, tzinfo=UTC)


@cache
def fitted(classifier: type[BaseEstimator] = LogisticRegression) -> Pipeline:
    X, y = sample_rows(EMPLOYEES, 200)
    return Pipeline([("features", build_features(EMPLOYEES)), ("model", classifier())]).fit(X, y)


class Gated(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Answers when its gate is open, and counts the rows that it was asked for."""

    gate = threading.Event()
    asked = threading.Event()
    rows: list[int] = []  # noqa: RUF012 - one for the whole process is wanted

    @classmethod
    def reset(cls) -> None:
        cls.gate.set()
        cls.asked.clear()
        cls.rows.clear()

    @classmethod
    def wait_at_gate(cls) -> None:
        """From now on; what was asked before, as when a model is loaded, is forgotten."""
        cls.gate.clear()
        cls.asked.clear()
        cls.rows.clear()

    def fit(self, _: np.ndarray, y: np.ndarray) -> "Gated":
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        self.rows.append(len(X))
        self.asked.set()
        assert self.gate.wait(LIMIT_SECONDS)
        return np.tile([0.2, 0.7, 0.1], (len(X), 1))


class Broken(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Fails at requests, not when it is loaded."""

    broken = False

    def fit(self, _: np.ndarray, y: np.ndarray) -> "Broken":
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        if Broken.broken:
            raise ZeroDivisionError("secret of the inside")
        return np.tile([0.2, 0.7, 0.1], (len(X), 1))


class Shelf(FakeRegistry):
    """Holds fitted pipelines by version."""

    digest = "0a1b"
    created = WHEN
    metrics: ClassVar[Mapping[str, float]] = {"macro_f1": 0.81}

    def __init__(
        self, carried: Mapping[str, str] | None = None, pipelines: Mapping[str, Pipeline] | None = None, *, away: bool = False
    ) -> None:
        super().__init__(**(carried or {}))
        self.models = dict(pipelines or {})
        self.tags = {version: {"hearth.family": self.family} for version in self.models}
        self.away = away

    def load_with_example(self, version: RegisteredVersion) -> StoredModel:
        if version.version not in self.models:
            raise ModelUnavailable(version.dataset, version.version, "no such version.")
        return replace(super().load_with_example(version), example=sample_rows(EMPLOYEES, 4)[0])


def settings(**changes: object) -> GrpcSettings:
    given: dict[str, Any] = {
        "environment": "laptop",
        "data_dir": ROOT / "data",
        "mlflow_tracking_uri": "http://127.0.0.1:9",
        "alias_poll_seconds": 0.05,
        "api_default_dataset": "employees",
        "grpc_host": "127.0.0.1",
        "grpc_port": 0,
        "grpc_max_records": 1_000,
        "grpc_max_message_bytes": 1_000_000,
        "grpc_max_concurrent_calls": 50,
        "grpc_grace_seconds": 5,
        "predictions_url": "postgresql://127.0.0.1:9/none",
        "redis_url": "redis://127.0.0.1:9/0",
        "api_admin_key": "operators-long-secret",
        "api_keys": "page:predict:readers-long-secret robot:admin:robots-long-secret",
        "api_failed_keys_limit": "1000/year",
        "record_predictions": "none",
        "record_sample_share": 0.5,
        "record_queue_records": 1_000,
        "record_most_per_second": 10_000,
        "record_drain_seconds": 5,
        "challenger_share": 1,
        **changes,
    }
    return GrpcSettings(_env_file=None, **given)


@dataclass(frozen=True)
class Service:
    """A running service as a caller sees it."""

    address: str
    channel: grpc.Channel
    stub: PredictionStub
    shelf: Shelf
    models: ModelFollower


@contextmanager
def serving(shelf: Shelf, options: GrpcSettings | None = None, contract: Contract = EMPLOYEES, *, waits: bool = True) -> Iterator[Service]:
    """Serve from a loop in a thread of its own; at the end the server stops as it does at SIGTERM. It `waits` until models are loaded."""
    options = options or settings()
    contracts = {"employees": contract}
    started = threading.Event()
    port = 0
    stop = asyncio.Event()
    loop: asyncio.AbstractEventLoop

    with ModelFollower(shelf, contracts, options.alias_poll_seconds) as models:
        if waits:
            models.wait_until_polled(LIMIT_SECONDS)

        async def serve() -> None:
            nonlocal port, loop
            loop = asyncio.get_running_loop()
            async with running_server(options, contracts, models) as port:
                started.set()
                await stop.wait()

        # asyncio.run, as the process does: it ends the calls that the stop of the server has cancelled before it closes the loop
        thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
        thread.start()
        assert started.wait(LIMIT_SECONDS)
        address = f"127.0.0.1:{port}"
        try:
            with grpc.insecure_channel(address) as channel:
                yield Service(address, channel, PredictionStub(channel), shelf, models)
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(LIMIT_SECONDS)
            assert not thread.is_alive(), "the server did not stop"


def health_stub(channel: grpc.Channel) -> Any:
    """The standard health service; the types of its package do not know its calls."""
    return HealthStub(channel)


def error_in(failed: grpc.RpcError) -> pb.Error:
    """What a failed call carries in its details, read as any client would."""
    [details] = [entry.value for entry in failed.trailing_metadata() if entry.key == "grpc-status-details-bin"]
    status, message = Status.FromString(details), pb.Error()
    assert (status.code, status.message) == (failed.code().value[0], failed.details())
    assert status.details[0].Unpack(message)
    return message
