"""Trainings whose contract requires the approval of a person: real DAG runs wait, and `hearth approve` answers over Airflow's REST API."""

import contextlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.embedded import temporary_servers
from deploy.embedded.temporary_servers import ObjectStore as ObjectStoreServer
from hearth.cli.application import CommandError
from hearth.cli.approval import _answer, _Waiting
from hearth.contracts import load_contract
from hearth.fakes import FakeRecords
from hearth.jobs import etl
from hearth.registry import RegisteredVersion, Registry
from hearth.storage import ObjectStore
from tests.support import airflow_home
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
HEART = load_contract("heart", ROOT / "data")
LIMIT = 600.0  # seconds; a busy machine takes long
WORDS = "\ngate: {approval: required, approval_hours: 1}\n"


@pytest.fixture(scope="module")
def mlflow_uri() -> Iterator[str]:
    """An MLflow in which nobody else has registered a model of this data set."""
    with temporary_servers.mlflow() as uri:
        yield uri


@pytest.fixture(scope="module")
def object_store() -> Iterator[ObjectStoreServer]:
    """A store in which nobody else publishes heart: the rows of others may be generated, and those of this test are not."""
    with temporary_servers.object_store() as server:
        yield server


@pytest.fixture(scope="module")
def env(object_store: ObjectStoreServer, mlflow_uri: str, airflow_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An Airflow whose heart data set needs the approval of a person."""
    data = tmp_path_factory.mktemp("data")
    shutil.copytree(ROOT / "data/heart", data / "heart")
    contract = data / "heart/contract.yaml"
    contract.write_text(contract.read_text("utf-8") + WORDS, "utf-8")
    passwords = data / "passwords.json"
    passwords.write_text('{"alice": "alice"}', "utf-8")
    settings = airflow_home.servers(object_store, mlflow_uri)
    return airflow_home.environment(airflow_folder, **settings) | {
        "HEARTH_DATA_DIR": str(data),
        "AIRFLOW__API_AUTH__JWT_SECRET": "of-these-tests-" * 5,
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "alice:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
    }


@pytest.fixture(scope="module")
def airflow_url(env: dict[str, str]) -> Iterator[str]:
    """Airflow's API server on the database of the runs."""
    port = temporary_servers.free_port()
    airflow = str(Path(sys.executable).with_name("airflow"))
    process = subprocess.Popen([airflow, "api-server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"], env=env, cwd=ROOT)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_until(lambda: _answers(url), seconds=LIMIT)
        yield url
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module")
def registry(mlflow_uri: str, object_store: ObjectStoreServer) -> Registry:
    """The registry, after data of heart were published."""
    store = ObjectStore(
        object_store.endpoint_url, region=object_store.region, access_key=object_store.access_key, secret_key=object_store.secret_key
    )
    content = FakeRecords.load(HEART, ROOT / "data").frame(400, 3).to_csv(index=False).encode()
    store.put("data", f"heart/raw/{HEART.source.file}", content)
    digest = etl.process("heart", etl.validate("heart", etl.find_raw("heart", store=store), store=store), store=store)
    etl.publish("heart", digest, store=store)
    return Registry(mlflow_uri)


@pytest.mark.timeout(900)
def test_a_version_waits_and_takes_its_alias_once_a_person_approves(
    env: dict[str, str], airflow_url: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    _log_in(monkeypatch, airflow_url)
    with running(env, "heart_train_logistic_regression") as ended:
        version = _waiting(registry)
        assert version.tags["hearth.gate"] == "waiting"
        assert registry.aliases("heart") == {}
        assert version.approval is not None
        answer(version, "Approve", "Groups\nchecked")
        with pytest.raises(CommandError, match="has had an answer already"):
            _answer(_Waiting("heart", version.version, version.approval.task), "Reject", "", 60)

    assert ended["run"] == "success"
    assert registry.aliases("heart") == {"logistic_regression": version.version, "champion": version.version}
    approved = registry.version("heart", version.version)
    assert approved.tags["hearth.gate"] == "passed"
    assert approved.approval is not None
    assert (approved.approval.state, approved.approval.by, approved.approval.comment) == ("approved", "alice", "Groups checked")
    assert approved.approval.at
    assert approved.decision is not None
    assert approved.decision.approval == approved.approval
    assert approved.decision.reasons[0] == "alice has approved it: Groups checked"


@pytest.mark.timeout(900)
def test_a_version_that_a_person_refuses_gets_no_alias(
    env: dict[str, str], airflow_url: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    _log_in(monkeypatch, airflow_url)
    before = registry.aliases("heart")
    with running(env, "heart_train_random_forest") as ended:
        version = _waiting(registry)
        answer(version, "Reject", "Too few women")

    assert ended["run"] == "success"
    assert ended["tasks"] == {"train": "success", "judge": "success", "approve": "success", "promote": "skipped"}
    assert registry.aliases("heart") == before
    refused = registry.version("heart", version.version)
    assert refused.tags["hearth.gate"] == "refused"
    assert refused.tags["hearth.approved_by"] == "alice"
    assert refused.decision is not None
    assert "alice has refused it: Too few women" in refused.decision.reasons


@pytest.mark.timeout(900)
def test_the_pipeline_of_all_families_waits_too(
    env: dict[str, str], airflow_url: str, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    _log_in(monkeypatch, airflow_url)
    known = {version.version for version in registry.versions("heart")}
    with running(env, "mlops_pipeline") as ended:
        wait_until(lambda: any(version.version not in known and version.decision for version in registry.versions("heart")), seconds=LIMIT)
        decision = registry.versions("heart")[0].decision
        assert decision is not None
        if waits := decision.waits:
            answer(_waiting(registry), "Reject", "")

    assert ended["run"] == "success"
    assert ended["tasks"]["approve"] == ("success" if waits else "skipped")  # skipped where the gate refuses it before
    assert ended["tasks"]["promote_model"] == ended["tasks"]["deploy_model"] == "skipped"
    assert ended["tasks"]["cleanup_old_models"] == "success"


@contextlib.contextmanager
def running(env: dict[str, str], dag: str) -> Iterator[dict[str, Any]]:
    """Run a DAG beside the test; the dictionary has its states once it has ended."""
    conf = json.dumps({dag: {"trials": 1} if "train" in dag else {"steps": 0}})
    command = [sys.executable, str(ROOT / "tests/e2e/run_dags.py"), conf, dag]
    ended: dict[str, Any] = {}
    with subprocess.Popen(command, env=env, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            yield ended
            output, _ = process.communicate(timeout=LIMIT)
            ended.update(json.loads(output.splitlines()[-1])[dag])
        finally:
            process.kill()


def answer(version: RegisteredVersion, option: str, comment: str) -> None:
    """Answer as `hearth approve` does, again until the task waits: its version says so a moment before."""
    assert version.approval is not None
    waiting = _Waiting("heart", version.version, version.approval.task)

    def given() -> bool:
        try:
            _answer(waiting, option, comment, 60)
        except CommandError as error:
            if "does not wait yet" not in str(error):
                raise
            return False
        return True

    wait_until(given, seconds=LIMIT)


def _log_in(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Set what `hearth approve` logs in to Airflow with."""
    for name, value in {"HEARTH_AIRFLOW_URL": url, "HEARTH_AIRFLOW_USER": "alice", "HEARTH_AIRFLOW_PASSWORD": "alice"}.items():
        monkeypatch.setenv(name, value)


def _waiting(registry: Registry) -> RegisteredVersion:
    def found() -> list[RegisteredVersion]:
        return [version for version in registry.versions("heart") if version.approval and version.approval.state == "waiting"]

    wait_until(lambda: bool(found()), seconds=LIMIT)
    return found()[0]


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/v2/version", timeout=5).is_success
    except httpx.RequestError:
        return False
