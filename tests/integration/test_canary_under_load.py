"""REST, GraphQL, gRPC and the stream answer while the share of a candidate moves: no request fails, and each has one version."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np
import pytest

from grpc_service.encoding import packed_message, record_message
from grpc_service.v1 import prediction_pb2 as pb
from hearth.contracts.names import graphql_names
from hearth.predictions import Prediction
from hearth.registry import Traffic
from hearth_api.app import create_app
from tests.api.running import running, service_settings
from tests.grpc.service import serving, settings
from tests.support.contracts import good_record
from tests.support.fake_registry import FakeRegistry
from tests.support.samples import EMPLOYEES
from tests.support.waiting import wait_until
from tests.support.worker_bench import Bench

SECONDS = 8.0
SHARES = (0.05, 0.25, 1.0, 0.0, 0.5)
RECORD = {name: value for name, value in good_record(EMPLOYEES).items() if name in EMPLOYEES.feature_names}
GRAPHQL_RECORD = {
    graphql_names(EMPLOYEES.columns)[name]: int(value) if isinstance(value, float) and value.is_integer() else value
    for name, value in RECORD.items()
}


class Sure:
    """Answers one class, so that an answer shows which version it is from."""

    def __init__(self, code: int) -> None:
        self.code = code

    def predict_proba(self, frame: Any) -> np.ndarray:
        return np.tile(np.eye(3)[self.code], (len(frame), 1))


class Unreliable(Sure):
    """Fails now and then, more rarely than makes a process stop it, and not while it is loaded."""

    fails = False
    calls = 0

    def predict_proba(self, frame: Any) -> np.ndarray:
        self.calls += 1
        if self.fails and self.calls % 300 == 0:
            raise ZeroDivisionError
        return super().predict_proba(frame)


@dataclass
class Load:
    """What was answered: the versions by the id of the request, the versions by the caller, and what went wrong."""

    versions: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    by_door: Counter[tuple[str, str]] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answered(self, door: str, request_id: str, version: str, labels: list[str], *, canary: bool) -> None:
        """Note an answer; its classes have to be those of its version."""
        with self.lock:
            self.versions[request_id].add(version)
            self.by_door[door, version] += 1
            if set(labels) != {"Low" if version == "1" else "Medium"} or canary != (version == "2"):
                self.problems.append(f"{door}: version {version} answered {labels}, canary {canary}")


@pytest.fixture
def registry() -> FakeRegistry:
    registry = FakeRegistry(knn="1", champion="1", canary="2", challenger="2")
    registry.models = {"1": Sure(0), "2": Unreliable(1)}
    return registry


@pytest.fixture
def moving(registry: FakeRegistry) -> Iterator[list[float]]:
    """Move the share every half a second."""
    moved: list[float] = []
    end = threading.Event()

    def move() -> None:
        while not end.is_set():
            share = SHARES[len(moved) % len(SHARES)]
            registry.traffic = Traffic(rollout="r1", version="2", champion="1", share=share)
            moved.append(share)
            end.wait(0.5)

    thread = threading.Thread(target=move)
    thread.start()
    yield moved
    end.set()
    thread.join()


def rest(client: httpx.Client, load: Load, turn: int) -> None:
    answer = client.post("/predict", json={"data": [RECORD] * (1 + turn % 3)}, headers={"X-Request-ID": f"rest-{turn}"})
    answer.raise_for_status()
    body = answer.json()
    load.answered("rest", body["request_id"], body["version"], body["labels"], canary=body.get("canary", False))


def graphql(client: httpx.Client, load: Load, turn: int) -> None:
    query = "query ($records: Records!) { predict(records: $records) { requestId version canary predictions { label } } }"
    body = {"query": query, "variables": {"records": {"employees": [GRAPHQL_RECORD]}}}
    answer = client.post("/graphql", json=body, headers={"X-Request-ID": f"graphql-{turn}"})
    body = answer.json()
    assert "errors" not in body, body
    found = body["data"]["predict"]
    load.answered("graphql", found["requestId"], found["version"], [row["label"] for row in found["predictions"]], canary=found["canary"])


def v2(client: httpx.Client, load: Load, turn: int) -> None:
    inputs = [
        {"name": name, "shape": [1], "datatype": "BYTES" if isinstance(RECORD[name], str) else "FP64", "data": [RECORD[name]]}
        for name in EMPLOYEES.feature_names
    ]
    answer = client.post("/v2/models/employees/infer", json={"id": f"v2-{turn}", "inputs": inputs})
    answer.raise_for_status()
    body = answer.json()
    labels = next(output["data"] for output in body["outputs"] if output["name"] == "label")
    parameters = body["parameters"]
    load.answered("v2", parameters["request_id"], body["model_version"], labels, canary=parameters.get("canary") == "true")


def stream_rows(bench: Bench) -> list[Prediction]:
    return [prediction for prediction in bench.stored() if prediction.source == "stream"]


def test_no_request_fails_and_each_has_one_version(  # noqa: C901 - all doors at once
    registry: FakeRegistry, moving: list[float], bench: Bench, fresh_database: str
) -> None:
    load = Load()
    stored = {"record_predictions": "all", "predictions_url": fresh_database, "record_most_per_second": 100_000}
    app = create_app(service_settings(alias_poll_seconds=0.05, record_queue_records=100_000, **stored), registry)
    until = time.monotonic() + SECONDS
    sent: list[str] = []

    def keep(door: Callable[[int], None]) -> None:
        turn = 0
        while time.monotonic() < until:
            turn += 1
            try:
                door(turn)
            except Exception as error:  # noqa: BLE001 - is what the test is about
                load.problems.append(repr(error))
                return

    with running(app) as client, serving(registry, settings(record_queue_records=100_000, **stored)) as grpc, bench.working(registry):  # type: ignore[arg-type]  # what it uses of one
        wait_until(lambda: client.get("/models").is_success)
        registry.models["2"].fails = True  # type: ignore[attr-defined]

        def call(turn: int) -> None:
            packed = turn % 2
            request = (
                pb.PredictRequest(packed=packed_message([RECORD]), request_id=f"grpc-{turn}")
                if packed
                else pb.PredictRequest(records=[record_message(RECORD)], request_id=f"grpc-{turn}")
            )
            answer = grpc.stub.Predict(request)
            load.answered("grpc packed" if packed else "grpc", answer.request_id, answer.version, list(answer.labels), canary=answer.canary)

        def queue(_: int) -> None:
            sent.append(bench.send(RECORD, RECORD))
            time.sleep(0.002)

        doors = [
            lambda turn: rest(client, load, turn),
            lambda turn: graphql(client, load, turn),
            lambda turn: v2(client, load, turn),
            call,
            queue,
        ]
        threads = [threading.Thread(target=keep, args=[door]) for door in doors]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        wait_until(bench.settled, problem=lambda: f"of {len(sent)} messages: {bench.groups()}")

    assert load.problems == []
    assert len(moving) >= SECONDS
    assert {door for door, _ in load.by_door} == {"rest", "graphql", "v2", "grpc", "grpc packed"}
    assert all(load.by_door[door, version] for door in ("rest", "graphql", "v2", "grpc") for version in ("1", "2")), load.by_door
    assert all(len(versions) == 1 for versions in load.versions.values())
    kept: dict[str, set[str]] = defaultdict(set)
    for prediction in bench.stored():
        if prediction.source != "stream":
            kept[prediction.message_id].add(prediction.version)
    assert kept == load.versions  # stored with the version that was answered
    by_message: dict[str, list[str]] = defaultdict(list)
    for prediction in stream_rows(bench):
        by_message[prediction.message_id].append(prediction.version)
        assert prediction.label == ("Low" if prediction.version == "1" else "Medium")
    assert sorted(by_message) == sorted(sent)
    assert all(len(versions) == 2 and len(set(versions)) == 1 for versions in by_message.values())
    assert {version for versions in by_message.values() for version in versions} == {"1", "2"}
    assert not bench.dead()
