"""Retrainings and erasures over REST, GraphQL, the client and the command line, from a real store."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from hearth.client import ApiError, Client
from hearth.contracts import load_contract
from hearth.modelling.comparison import Comparison, Interval
from hearth.modelling.retrain_gate import RetrainVerdict
from hearth.monitoring.retraining import Choice, State
from hearth.predictions import Prediction
from hearth.predictions.label import Label
from hearth.predictions.label_store import LabelStore
from hearth.predictions.migration import migrate
from hearth.predictions.retrain_store import RetrainStore
from hearth_api.app import create_app
from tests.api.running import ADMIN_KEY, READER_KEY, SCORER_KEY, refused, running, service_settings
from tests.support.command_line import run_command
from tests.support.models import FakeRegistry

CONTRACT = load_contract("employees", Path(__file__).parents[2] / "data")
OPERATOR_KEY = "operators-only-secret"
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
GAIN = Comparison(500, Interval(0.1, 0.05, 0.15), Interval(-0.2, -0.3, -0.1), Interval(0.2, 0.1, 0.3), 1.0)
VERDICT = RetrainVerdict("3", "2", passed=True, reasons=("better by more than noise",), candidates=2, recent=GAIN)


@pytest.fixture
def store(fresh_database: str) -> Iterator[RetrainStore]:
    migrate(fresh_database)
    with RetrainStore(fresh_database) as store:
        yield store


@pytest.fixture
def client(store: RetrainStore, fresh_database: str) -> Iterator[httpx.Client]:
    store.ping()
    with running(create_app(service_settings(predictions_url=fresh_database), FakeRegistry(champion="2"))) as client:
        yield client


def answer(message_id: str, row: int) -> Prediction:
    return Prediction(message_id, row, "employees", "champion", "2", "knn", 1, "Medium", (0.2, 0.7, 0.1), {}, None, NOON, "rest")


def store_past(store: RetrainStore) -> None:
    store.record("employees_retrain/early", "employees", Choice(State.WAITING, "none", "nothing asks"), NOON - timedelta(hours=2))
    store.record("employees_retrain/run", "employees", Choice(State.RUNNING, "drift", "served records have drifted"), NOON)
    detail = {"records": 1_700, "family": "lightgbm", "verdict": VERDICT.to_json().decode()}
    store.note("employees_retrain/run", detail, digest="0123456789abcdef", version="3")
    store.end("employees_retrain/run", State.DEPLOYED, "version 3 is deployed", NOON + timedelta(minutes=9))


def test_decisions_are_listed_by_every_door_with_what_would_be_decided_now(
    store: RetrainStore, client: httpx.Client, tmp_path: Path
) -> None:
    refused(client.get("/retrains/nothing"), 404, "unknown_dataset")
    assert client.get("/retrains/employees").json()["retrains"] == []
    store_past(store)

    listed = client.get("/retrains/employees").json()

    assert (listed["next"]["state"], listed["next"]["trigger"], listed["next"]["needed"]) == ("waiting", "none", 1_500)
    newest, oldest = listed["retrains"]
    assert (newest["state"], newest["version"], newest["champion"], newest["records"]) == ("deployed", "3", "2", 1_700)
    assert newest["recent"] == {"rows": 500, "value": 0.1, "low": 0.05, "high": 0.15}
    assert newest["old"] is None
    assert oldest["state"] == "waiting"
    assert len(client.get("/retrains/employees", params={"limit": 1}).json()["retrains"]) == 1

    query = '{ retrains(dataset: "employees", last: 1) { next { state needed } retrains { id version recent { low } } } }'
    graphql = client.post("/graphql", json={"query": query}).json()["data"]["retrains"]
    assert graphql["next"] == {"state": "waiting", "needed": 1_500}
    assert graphql["retrains"] == [{"id": "employees_retrain/run", "version": "3", "recent": {"low": 0.05}}]

    with Client(str(client.base_url)) as python:
        assert python.retrains("employees").retrains[0].version == "3"
    url = str(client.base_url)
    done = run_command("retrains", "employees", "--url", url, folder=tmp_path)
    assert "+0.100 (+0.050 to +0.150)" in done.output
    dry = run_command("retrain", "employees", "--dry-run", "--url", url, folder=tmp_path)
    assert "employees: waiting: nothing asks for a retraining" in dry.output
    assert "0 labelled records, 0 of them new; a retraining takes 1500." in dry.output


def test_a_record_is_erased_by_an_admin_alone_and_the_answer_names_what_was_trained_on_it(
    store: RetrainStore, fresh_database: str, tmp_path: Path
) -> None:
    store.put([answer("a/1", row) for row in range(3)])
    with LabelStore(fresh_database) as labels:
        labels.add([Label("a/1", row, "employees", 1, "Medium", NOON, "test", "rest") for row in range(3)])
    store_past(store)
    store.add_records("employees_retrain/run", [("a/1", 1)])
    keys = f"{service_settings().api_keys.get_secret_value()} ops:admin:{OPERATOR_KEY}"
    settings = service_settings(predictions_url=fresh_database, api_require_key=True, api_keys=keys)
    with running(create_app(settings, FakeRegistry(champion="2"))) as client:
        path = "/predictions/a%2F1"
        refused(client.delete(path), 401, "invalid_key")
        for key in (READER_KEY, SCORER_KEY):
            refused(client.delete(path, headers={"X-API-Key": key}), 403, "missing_scope")
        admin = {"X-API-Key": ADMIN_KEY}
        for unknown in ("none", "a%00"):
            refused(client.delete(f"/predictions/{unknown}", headers=admin), 404, "unknown_message")
        refused(client.delete(path, params={"row": -1}, headers=admin), 422, "invalid_request")
        assert len(client.get(path, headers={"X-API-Key": READER_KEY}).json()["predictions"]) == 3

        refused(client.get(path, headers={"X-API-Key": OPERATOR_KEY}), 403, "missing_scope")

        erased = client.delete(path, params={"row": 1}, headers={"X-API-Key": OPERATOR_KEY}).json()

        assert (erased["row"], erased["predictions"], erased["labels"], erased["dataset"]) == (1, 1, 1, "employees")
        [trained] = erased["trained_on"]
        assert (trained["digest"], trained["version"], trained["state"]) == ("0123456789abcdef", "3", "deployed")
        assert [prediction.row for prediction in store.of_message("a/1")] == [0, 2]

        url = str(client.base_url)
        with Client(url, api_key=READER_KEY) as reader, pytest.raises(ApiError, match="admin"):
            reader.forget("a/1")
        done = run_command("predictions", "forget", "a/1", "--url", url, "--api-key", ADMIN_KEY, folder=tmp_path)
        assert "message a/1 of employees: 2 predictions and 2 labels are erased." in done.output
        assert "still in the data 0123456789abcdef of the retraining employees_retrain/run (deployed, version 3)" in done.output
        again = run_command("predictions", "forget", "a/1", "--json", "--url", url, "--api-key", ADMIN_KEY, folder=tmp_path)
        assert json.loads(again.output)["predictions"] == 0
