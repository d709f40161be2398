"""Bad candidates on real processes, two of REST and one of gRPC: each is rolled back by itself, and no request fails."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import uuid4

import httpx
import numpy as np
import pytest
import yaml
from sklearn.pipeline import Pipeline

from deploy.embedded import health, temporary_servers
from hearth.alerts.alert_store import AlertStore
from hearth.contracts import Contract
from hearth.contracts.aliases import CHAMPION
from hearth.contracts.loading import read_contract
from hearth.data.cleaning import target_codes
from hearth.fakes import FakeRecords
from hearth.modelling.families import FAMILIES
from hearth.modelling.features import build_features
from hearth.monitoring.window import features_of
from hearth.predictions.migration import migrate
from hearth.predictions.rollout_store import Rollout, RolloutStore
from hearth.registry import NewVersion, Registry
from hearth.rollouts.start import start_rollout, stop_rollout
from tests.support.samples import ROOT, renamed_contract
from tests.support.waiting import wait_until

ROWS, EXTREME = 800, "Resource Allocation"
LARGEST = float(np.finfo(np.float64).max)


@dataclass
class Place:
    """Processes that serve the versions of a data set."""

    contract: Contract
    registry: Registry
    rollouts: RolloutStore
    alerts: AlertStore
    clients: list[httpx.Client]
    fakes: FakeRecords
    records: list[dict[str, object]]

    def register(self, pipeline: Pipeline, family: str) -> str:
        """Register a fitted pipeline; returns its number."""
        example = features_of(self.contract, self.records[:5])
        new = NewVersion(self.contract.name, family, "raw", uuid4().hex, pipeline, example, {}, {}, {})
        return self.registry.register(new).version

    def predict(self, turn: int) -> str:
        """Ask one of the processes about a record, and return the version that answered."""
        body = {"data": [self.records[turn % len(self.records)]]}
        answer = self.clients[turn % len(self.clients)].post(f"/{self.contract.name}/predict", json=body)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["version"])

    def try_out(self, version: str, seconds: float = 150) -> Rollout:
        """Let a version answer half of the requests until its rollout has ended; returns the rollout."""
        rollout = start_rollout(self.contract, version, "a training", store=self.rollouts, registry=self.registry, family="knn")
        until, turn = time.monotonic() + seconds, 0
        try:
            while time.monotonic() < until and self.rollouts.running(self.contract.name):
                self.predict(turn := turn + 1)
        finally:
            if running := self.rollouts.running(self.contract.name):  # else the next test could start none
                print(running, self.rollouts.counts([running.id]))  # noqa: T201 - pytest shows it when a test fails
                stop_rollout(self.rollouts, self.registry, self.contract.name, "the end of the test")
                wait_until(lambda: not self.rollouts.running(self.contract.name))
        ended = self.rollouts.rollout(rollout.id)
        assert ended is not None
        return ended


def fitted(fakes: FakeRecords, family: str, *, shuffled: bool = False, **params: int) -> Pipeline:
    """Fit a family on made-up rows; with `shuffled` their classes say nothing."""
    contract = fakes.contract
    frame = fakes.frame(ROWS, 1)
    X = features_of(contract, fakes.records(ROWS, 1))
    y = target_codes(contract, frame[contract.target.column].astype("float64").fillna(0.0)).to_numpy()
    y = np.random.default_rng(1).permutation(y) if shuffled else y
    estimator = FAMILIES[family].final({**FAMILIES[family].defaults, **params}, 1, len(X))
    return Pipeline([("features", build_features(contract)), ("model", estimator)]).fit(X, y)


def overflowing(fakes: FakeRecords) -> Pipeline:
    """Answers no probabilities where one number is near its largest."""
    contract, pipeline = fakes.contract, fitted(fakes, "logistic_regression")
    column = contract.feature_columns[EXTREME]
    record = {**fakes.records(1, 1)[0], EXTREME: column.maximum}  # type: ignore[union-attr]  # a number
    place = next(i for i, name in enumerate(pipeline["features"].get_feature_names_out()) if EXTREME in name)
    largest = float(np.asarray(pipeline["features"].transform(features_of(contract, [record])))[0, place])
    pipeline["model"].coef_[:2, place] = LARGEST / largest * 1.001
    return pipeline


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, mlflow_uri: str, postgres_url: str, valkey_url: str) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("bad-candidates")
    contract = renamed_contract(folder / "data", f"canary_{uuid4().hex[:12]}")
    path = folder / "data" / contract.name / "contract.yaml"
    words = {"way": "canary", "answers": 200, "minutes": 5, "steps": [0.5, 1.0], "latency_milliseconds": 0, "latency_seconds": 1}
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text("utf-8")), "deploy": words}, sort_keys=False), "utf-8")
    statistics = ROOT / "data/employees/statistics.json"
    path.with_name("statistics.json").write_text(statistics.read_text("utf-8").replace('"employees"', json.dumps(contract.name)), "utf-8")
    contract = read_contract(path)
    database = temporary_servers.create_database(postgres_url, f"test_{uuid4().hex}")
    migrate(database)
    registry, fakes = Registry(mlflow_uri), FakeRecords.load(contract, folder / "data")
    ports = temporary_servers.free_ports(3)
    settings = {
        "HEARTH_DATA_DIR": str(folder / "data"),
        "HEARTH_MLFLOW_TRACKING_URI": mlflow_uri,
        "HEARTH_PREDICTIONS_URL": database,
        "HEARTH_REDIS_URL": valkey_url,
        "HEARTH_STREAM_NAME": f"stream-{uuid4().hex}",
        "HEARTH_LABELS_STREAM_NAME": f"labels-{uuid4().hex}",
        "HEARTH_ALIAS_POLL_SECONDS": "0.2",
        "HEARTH_RECORD_PREDICTIONS": "all",
        "HEARTH_API_DEFAULT_DATASET": contract.name,
        "HEARTH_GRPC_PORT": str(ports[2]),
        "HEARTH_GRPC_METRICS_PORT": "0",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HEARTH_", "PYTHON"))}
    commands = (["hearth_api", "--port", str(ports[0])], ["hearth_api", "--port", str(ports[1])], ["grpc_service.server"])
    with ExitStack() as stack:
        rollouts, alerts = stack.enter_context(RolloutStore(database)), stack.enter_context(AlertStore(database))
        clients = [stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)) for port in ports[:2]]
        place = Place(contract, registry, rollouts, alerts, clients, fakes, fakes.records(500, 3))
        champion = place.register(fitted(fakes, "logistic_regression"), "logistic_regression")
        registry.set_alias(contract.name, CHAMPION, champion)
        started = []
        for number, command in enumerate(commands):
            output = stack.enter_context((folder / f"{number}.log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", *command], env={**inherited, **settings}, cwd=ROOT, stdout=output, stderr=output
            )
            stack.callback(process.wait)
            stack.callback(process.terminate)
            started.append(process)

        def ready() -> bool:
            ended = [number for number, process in enumerate(started) if process.poll() is not None]
            assert not ended, (folder / f"{ended[0]}.log").read_text("utf-8")
            urls = [f"http://127.0.0.1:{port}/{contract.name}/model-info" for port in ports[:2]]
            return all(map(health.http_ok, urls)) and health.grpc_serves(ports[2])

        wait_until(ready, problem=lambda: (folder / "0.log").read_text("utf-8"))
        yield place


@pytest.mark.parametrize("wrong", ["fails now and then", "slow", "knows nothing"])
def test_it_is_rolled_back_by_itself_and_no_request_fails(place: Place, wrong: str) -> None:
    contract = place.contract
    if wrong == "fails now and then":
        pipeline, family, reason = overflowing(place.fakes), "logistic_regression", "answers failed"
    elif wrong == "slow":
        pipeline, family, reason = fitted(place.fakes, "random_forest", n_estimators=600), "random_forest", "answers took longer than"
    else:
        pipeline, family, reason = fitted(place.fakes, "logistic_regression", shuffled=True), "logistic_regression", "below the champion's"
    version = place.register(pipeline, family)
    champion = place.registry.aliases(contract.name)[CHAMPION]
    if wrong == "fails now and then":
        column = contract.feature_columns[EXTREME]
        place.records = [{**record, EXTREME: column.maximum} if row % 5 == 0 else record for row, record in enumerate(place.records)]  # type: ignore[union-attr]  # a number

    ended = place.try_out(version)

    assert ended.state == "rolled_back", (ended, place.rollouts.counts([ended.id]))
    assert reason in ended.reason
    assert [(event.event, event.share) for event in place.rollouts.events([ended.id])] == [
        ("started", 0.5),
        ("failed", 0.5),
        ("rolled_back", 0.5),
    ]
    model = place.registry.registered_model(contract.name)
    assert (model.aliases, model.traffic) == ({CHAMPION: champion}, None)
    assert place.registry.version(contract.name, version).tags["hearth.rollout"].startswith("rolled_back")
    [alert] = [alert for alert in place.alerts.alerts(dataset=contract.name) if alert.kind == "rollback"]
    assert f"Version {version} was rolled back" in alert.summary
    wait_until(lambda: Counter(place.predict(turn) for turn in range(20)) == {champion: 20})
