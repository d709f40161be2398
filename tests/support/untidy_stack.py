"""A stack with everything that housekeeping has to keep or may remove, and what is left of it."""

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from mlflow import MlflowClient
from mlflow.entities import ViewType

from deploy.embedded import temporary_servers
from hearth.data.processed import Manifest, ServedPart, write_latest, write_manifest
from hearth.housekeeping import Rules
from hearth.modelling.trials import TrialResult
from hearth.predictions import Prediction, PredictionStore
from hearth.registry import InputData, NewVersion, RegisteredVersion, Registry
from hearth.settings import HousekeepingSettings
from hearth.storage import ObjectStore
from tests.support.backed_up_stack import BackedUpStack
from tests.support.model_files import X, fitted

RULES = Rules(days=30, keep_versions=1, trash_days=7)
LATER = datetime.now(UTC) + timedelta(days=100)
LOST_RUN, LOST_MODEL = f"1/{'ab' * 16}/artifacts/figures/a.png", f"1/models/m-{'cd' * 16}/artifacts/model.skops"
DIGESTS = {name: f"{number:016x}" for number, name in enumerate(["alias", "tag", "rollout", "predicted", "gone", "approved", "newest"], 1)}
LATEST, REFERENCE, UNNAMED, INTERRUPTED = (f"{number:016x}" for number in range(20, 24))
_PASS = """
import json, logging, sys
from datetime import datetime
from hearth.housekeeping import Rules, keep_house
from hearth.settings import HousekeepingSettings
values, moment = json.loads(sys.argv[1]), datetime.fromisoformat(sys.argv[2])
logging.basicConfig(level=logging.INFO, stream=sys.stdout)
keep_house(HousekeepingSettings(_env_file=None, **values), applies=True, rules=Rules(30, 1, 7), now=moment)
"""


@dataclass(frozen=True)
class Kept:
    """What is there: numbers of versions, runs that are not deleted by name, and keys."""

    versions: set[str]
    runs: dict[str, int]
    objects: dict[str, set[str]]


class UntidyStack:
    """Versions of one data set, one for each reason why it stays, and one that nothing refers to."""

    def __init__(self, stack: BackedUpStack) -> None:
        self.stack = stack
        self.registry = Registry(stack.mlflow)
        self.client = MlflowClient(stack.mlflow)
        self.store = ObjectStore.from_settings(self.settings())
        self.versions: dict[str, RegisteredVersion] = {}

    def values(self) -> dict[str, Any]:
        environment = self.stack.environment()
        names = ["environment", "data_dir", "s3_endpoint_url", "s3_region", "s3_access_key", "s3_secret_key", "mlflow_s3_access_key"]
        names += ["mlflow_s3_secret_key", "data_bucket", "processed_bucket", "mlflow_bucket"]
        return {name: environment[f"HEARTH_{name.upper()}"] for name in names} | {
            "monitor_url": self.stack.url("predictions"),
            "mlflow_tracking_uri": self.stack.mlflow,
        }

    def settings(self, **changes: Any) -> HousekeepingSettings:
        return HousekeepingSettings(_env_file=None, **{**self.values(), **changes})

    def fill(self) -> None:
        for name, digest in DIGESTS.items():
            self.versions[name] = self._version(name, digest)
        registry, versions = self.registry, self.versions
        registry.set_alias("employees", "champion", versions["alias"].version)
        registry.annotate(versions["tag"], {"hearth.keep": "for the audit of May"})
        registry.annotate(versions["approved"], {"hearth.approval": "approved", "hearth.approved_by": "Ana"})
        now = datetime.now(UTC)
        with psycopg.connect(self.stack.url("predictions")) as connection:
            connection.execute(
                "INSERT INTO rollouts (id, dataset, version, champion, way, state, share, started_by, started_at, changed_at, ended_at) "
                "VALUES ('r', 'employees', %s, %s, 'canary', 'rolled_back', 0, 'x', now(), now(), now())",
                (versions["rollout"].version, versions["alias"].version),
            )
        with PredictionStore(self.stack.url("predictions")) as store:
            number = versions["predicted"].version
            store.put([Prediction("m", 0, "employees", "knn", number, "knn", 1, "Medium", (0.1, 0.8, 0.1), {}, None, now)])
        somebody = self.client.create_run("0", run_name="somebody's own", tags={"team": "others"})
        self.client.set_terminated(somebody.info.run_id)
        self._fill_stores()

    def _version(self, name: str, digest: str) -> RegisteredVersion:
        key = f"employees/knn/{name}"
        frame = X.head(3).assign(target=1)
        data = InputData("employees", digest, frame, "s3://processed", "etl")
        self.registry.log_etl("employees_etl", params={"name": name}, metrics={"rows": 3}, artifacts={"report.json": b"{}"}, data=data)
        with self.registry.study("employees", "knn", digest=digest, training_key=key, metric="f1", params={"trials": 2}) as study:
            for number in range(2):
                study.log_trial(TrialResult(number, {"k": 3}, (0.5,), pruned=False))
        new = NewVersion("employees", "knn", digest, key, fitted("knn"), X.head(5), {"k": 5}, {"f1": 0.8}, {"a.png": b"picture"})
        version = self.registry.register(new)
        self._digest(digest)
        return version

    def _fill_stores(self) -> None:
        for key in (LOST_RUN, LOST_MODEL, "somebody/else.txt"):
            self.stack.objects.put("mlflow", key, b"lost")
        now = datetime.now(UTC)
        self._digest(LATEST, ServedPart(now, now, 1, "keys", REFERENCE))
        self._digest(REFERENCE)
        self._digest(UNNAMED)
        self.store.put("processed", f"employees/{INTERRUPTED}/X_train.parquet", b"half")
        self.store.put("processed", "employees/notes.txt", b"a person's")
        write_latest(self.store, Manifest("employees", LATEST, 2, 1))

    def _digest(self, digest: str, served: ServedPart | None = None) -> None:
        for name in ("X_train.parquet", "profile.json"):
            self.store.put("processed", f"employees/{digest}/{name}", b"content")
        write_manifest(self.store, Manifest("employees", digest, 2, 1, served=served))

    def kept(self) -> Kept:
        experiments = [experiment.experiment_id for experiment in self.client.search_experiments()]
        runs: dict[str, int] = {}
        for run in self.client.search_runs(experiments, run_view_type=ViewType.ACTIVE_ONLY, max_results=5_000):
            label = run.data.tags.get("hearth.training_key") or run.data.tags.get("hearth.digest") or run.info.run_name
            runs[label] = runs.get(label, 0) + 1
        buckets = {bucket: set(self.stack.objects.keys(bucket)) for bucket in ("processed", "mlflow")}
        return Kept({version.version for version in self.registry.versions("employees")}, runs, buckets)

    def number(self, name: str) -> str:
        return self.versions[name].version

    def start_pass(self, now: datetime = LATER) -> "subprocess.Popen[str]":
        """Start a pass in a process of its own, which writes a line for each thing that it removes."""

        command = [sys.executable, "-c", _PASS, json.dumps(self.values()), now.isoformat()]
        return subprocess.Popen(command, cwd=Path("/"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def garbage_environment(self) -> dict[str, str]:
        backend = self.stack.url("mlflow").replace("postgresql://", "postgresql+psycopg2://")
        return {"MLFLOW_BACKEND_STORE_URI": backend, "MLFLOW_DISABLE_TELEMETRY": "true", "PATH": "/usr/bin:/bin"}


def mlflow_python() -> str:
    return str(temporary_servers.MLFLOW_PYTHON)
