"""A stack that an earlier release has written starts with this one: predictions, aliases, models, files and messages are as they were."""

import io
import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.embedded import objectstore, ports
from deploy.embedded.state_version import FILE
from deploy.embedded.temporary_servers import EMBEDDED_PYTHON, ROOT, free_ports

# Of 28 November 2026: predictions of schema 0003, one database user for all, no signatures, a tag for each library
EARLIER = "80e23f11430e98f5cb2f1fae6cc7014ca1f9d53d"
SERVE_PYTHON = ROOT / ".venvs/serve/bin/python"
STORES = ("postgres", "valkey", "minio", "mlflow")
_SECONDS = 540

# Both run in the settings of their stack; the first with the code of the earlier release.
_FILL = """
import json, os, sys
from pathlib import Path
sys.path.insert(0, str(Path("src").absolute()))
import hearth
assert str(Path("src").absolute()) in hearth.__file__, hearth.__file__
from datetime import UTC, datetime
import numpy as np
from redis import Redis
from sklearn.pipeline import Pipeline
from hearth.contracts import load_contract
from hearth.data.cleaning import target_codes
from hearth.fakes import FakeRecords
from hearth.modelling.families import FAMILIES
from hearth.modelling.features import build_features
from hearth.predictions import Prediction, PredictionStore
from hearth.predictions.migration import migrate
from hearth.registry import NewVersion, Registry
from hearth.storage import ObjectStore

contract = load_contract("heart", Path("data"))
frame = FakeRecords.load(contract, Path("data")).frame(400, 42)
frame = frame.astype(dict.fromkeys(contract.numeric_features, np.float64))
X, y = frame[list(contract.feature_names)], target_codes(contract, frame[contract.target.column]).to_numpy()
registry, answers = Registry.from_settings(), {}
for family in ("knn", "logistic_regression"):
    estimator = FAMILIES[family].final(FAMILIES[family].defaults, 1, len(X))
    pipeline = Pipeline([("features", build_features(contract)), ("model", estimator)]).fit(X, y)
    version = registry.register(NewVersion("heart", family, "ab12", family, pipeline, X.head(5), {"k": 1}, {"accuracy": 0.9}, {}))
    registry.set_alias("heart", family, version.version)
    answers[version.version] = pipeline.predict_proba(X.head(20)).tolist()
registry.set_alias("heart", "champion", version.version)
X.head(20).to_parquet("records.parquet")
url = os.environ["HEARTH_PREDICTIONS_URL"]
revision = migrate(url)
now = datetime(2026, 11, 28, 10, tzinfo=UTC)
with PredictionStore(url) as store:
    store.put([Prediction("m", n, "heart", "champion", "1", "knn", 1, "1", (0.2, 0.8), {"age": n}, now, now, "rest") for n in range(50)])
ObjectStore.from_settings().put("processed", "heart/ab12/report.json", b"{}")
Redis.from_url(os.environ["HEARTH_REDIS_URL"]).xadd("mlops_stream", {"dataset": "heart"}, id="7-0")
print(json.dumps({"revision": revision, "answers": answers, "aliases": registry.aliases("heart")}))
"""
_READ = """
import json, os, sys
import pandas as pd
from redis import Redis
from hearth.predictions import PredictionStore
from hearth.predictions.migration import migrate
from hearth.registry import Registry
from hearth.storage import ObjectStore
X = pd.read_parquet(sys.argv[1])
registry = Registry.from_settings()
answers = {v.version: registry.load(v).predict_proba(X).tolist() for v in registry.versions("heart")}
url = os.environ["HEARTH_PREDICTIONS_URL"]
revision = migrate(url)
with PredictionStore(url) as store:
    stored = [[p.message_id, p.row, p.version, p.probabilities, p.record, p.scored_at.isoformat(), p.source] for p in store.since()]
print(json.dumps({
    "revision": revision, "answers": answers, "aliases": registry.aliases("heart"), "stored": stored,
    "families": [v.family for v in registry.versions("heart")],
    "report": ObjectStore.from_settings().get("processed", "heart/ab12/report.json").decode(),
    "stream": [key.decode() for key, _ in Redis.from_url(os.environ["HEARTH_REDIS_URL"]).xrange("mlops_stream")],
}))
"""


@dataclass
class Site:
    """A state folder, and the checkouts that write and read it."""

    earlier: Path
    settings: dict[str, str]

    def run(self, root: Path, *words: str | Path) -> "subprocess.CompletedProcess[str]":
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HEARTH_", "PYTHON"))}
        return subprocess.run(
            [EMBEDDED_PYTHON, "-m", *words],
            cwd=root,
            env={**inherited, **self.settings},
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )

    def stack(self, root: Path, *words: str) -> None:
        ended = self.run(root, "deploy.embedded.stack", *words)
        assert ended.returncode == 0, ended.stdout + ended.stderr

    def ask(self, root: Path, program: str, *words: str) -> Any:
        ended = self.run(root, "deploy.embedded.run", SERVE_PYTHON, "-c", program, *words)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return json.loads(ended.stdout.splitlines()[-1])


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    git = ["git", "-C", str(ROOT)]
    if subprocess.run([*git, "cat-file", "-e", f"{EARLIER}^{{commit}}"], capture_output=True, check=False).returncode:
        pytest.skip(f"needs the history of the repository: the commit {EARLIER[:8]} is not here (a shallow clone, or an archive)")
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    archive = subprocess.run([*git, "archive", EARLIER], capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(earlier, filter="data")
    (earlier / ".venvs").symlink_to(ROOT / ".venvs")
    names = list(dict.fromkeys(port.setting for port in ports.PORTS))
    numbers = free_ports(len(names), with_grpc=True)
    settings = {name: str(number) for name, number in zip(names, numbers, strict=True)}
    site = Site(earlier, {**settings, "HEARTH_STATE_DIR": str(tmp_path / "state")})
    try:
        yield site
    finally:
        for root in (earlier, ROOT):
            site.run(root, "deploy.embedded.stack", "down")
        for path in objectstore.stale_sockets(numbers):
            path.unlink()


@pytest.mark.timeout(900)  # the servers start twice, and MLflow takes its time
def test_a_stack_of_an_earlier_release_is_upgraded_and_nothing_is_lost(site: Site) -> None:
    site.stack(site.earlier, "up", *STORES)
    before = site.ask(site.earlier, _FILL)
    assert before["revision"] == "0003"
    site.stack(site.earlier, "down")
    state = Path(site.settings["HEARTH_STATE_DIR"])
    assert not (state / FILE).exists()

    site.stack(ROOT, "up", *STORES)
    after = site.ask(ROOT, _READ, str(site.earlier / "records.parquet"))

    assert after["revision"] > "0003"
    assert after["aliases"] == before["aliases"]
    assert after["answers"] == before["answers"]
    assert sorted(after["families"]) == ["knn", "logistic_regression"]
    moment = "2026-11-28T10:00:00+00:00"
    assert after["stored"] == [["m", n, "1", [0.2, 0.8], {"age": n}, moment, "rest"] for n in range(50)]
    assert (after["report"], after["stream"]) == ("{}", ["7-0"])
    written = json.loads((state / FILE).read_text(encoding="utf-8"))
    assert written["PostgreSQL"].startswith((state / "postgres/PG_VERSION").read_text(encoding="utf-8").strip())
    site.stack(ROOT, "down")

    (state / "postgres/PG_VERSION").write_text("12\n", encoding="utf-8")  # as another PostgreSQL would have left it
    refused = site.run(ROOT, "deploy.embedded.stack", "up", "postgres")
    assert refused.returncode == 1
    assert "was written by PostgreSQL 12, and PostgreSQL 18 is installed" in refused.stderr
