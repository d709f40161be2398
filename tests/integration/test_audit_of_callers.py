"""Refused keys and reports of many labels in the audit trail, through REST, GraphQL and gRPC on a real PostgreSQL."""

import time
from collections import Counter
from collections.abc import Iterator
from typing import cast

import grpc
import httpx
import pytest

from grpc_service.v1 import prediction_pb2 as pb
from hearth.audit import AuditStore
from hearth.audit.minutes import WINDOW_SECONDS
from hearth.audit.store import AuditFilter
from hearth.predictions.migration import migrate
from hearth_api.app import create_app
from tests.api.running import ADMIN_KEY, READER_KEY, SCORER_KEY, running, service_settings
from tests.grpc.service import Service, Shelf, serving, settings
from tests.support.models import FakeRegistry

GUESS, HR_KEY = "guessed-long-secret", "hr-departments-secret"
KEYS = f"hr:feedback:{HR_KEY} scorer:predict:{SCORER_KEY} reader:read:{READER_KEY}"
AS_HR = {"X-API-Key": HR_KEY}
MUTATION = "mutation ($reports: [FeedbackInput!]!) { sendFeedback(reports: $reports) { outcomes } }"


@pytest.fixture
def store(fresh_database: str) -> Iterator[AuditStore]:
    migrate(fresh_database)
    with AuditStore(fresh_database, max_connections=2) as store:
        yield store


def rest_of(url: str) -> object:
    return create_app(service_settings(predictions_url=url, api_require_key=True, api_keys=KEYS), FakeRegistry(champion="2"))


def refusals(store: AuditStore) -> dict[tuple[str, str, str, str], int]:
    """Attempts by kind of caller, its name, door and error: the end of a minute may divide them into two rows."""
    found: dict[tuple[str, str, str, str], int] = {}
    for row in store.entries(1_000, AuditFilter(action="key_refused")):
        assert (row.result, row.actor.address) == ("refused", "127.0.0.1")
        name = row.actor.kind, row.actor.name, row.actor.door, str(row.detail["error"])
        found[name] = found.get(name, 0) + int(str(row.detail["attempts"]))
    return found


def test_refused_keys_of_rest_and_graphql_are_rows_without_the_key(store: AuditStore, fresh_database: str) -> None:
    with running(rest_of(fresh_database)) as client:
        for _ in range(5):
            assert client.get(f"/predictions/{GUESS}?key={GUESS}", headers={"X-API-Key": GUESS}).status_code == 401
        assert client.post("/employees/predict", json={}).status_code == 401
        assert client.post("/models/employees/rollback", headers={"Authorization": f"Bearer {GUESS}"}).status_code == 401
        assert client.get("/audit", headers={"X-API-Key": READER_KEY}).status_code == 403
        assert client.post("/graphql", json={"query": "{ datasets { name } }"}, headers={"X-API-Key": GUESS}).status_code == 401
        for query in ("{ predictions(first: 5) { edges { node { messageId } } } }", "{ audit { cursor } }"):
            answer = client.post("/graphql", json={"query": query}, headers={"X-API-Key": SCORER_KEY})
            assert "missing_scope" in answer.text

    assert refusals(store) == {
        ("nobody", "", "rest", "invalid_key"): 7,
        ("key", "reader", "rest", "missing_scope"): 1,
        ("nobody", "", "graphql", "invalid_key"): 1,
        ("key", "scorer", "graphql", "missing_scope"): 2,
    }
    text = repr(store.entries(1_000, AuditFilter()))
    assert not any(secret in text for secret in (GUESS, READER_KEY, SCORER_KEY, ADMIN_KEY))


def test_refused_keys_of_grpc_are_rows(store: AuditStore, fresh_database: str) -> None:
    options = settings(predictions_url=fresh_database, api_require_key=True, api_keys=KEYS)
    with serving(Shelf(), options) as service:
        for metadata in ([], [("x-api-key", GUESS)], [("x-api-key", READER_KEY)]):
            with pytest.raises(grpc.RpcError):
                service.stub.Predict(pb.PredictRequest(), metadata=metadata, timeout=10)

    assert refusals(store) == {("nobody", "", "grpc", "invalid_key"): 2, ("key", "reader", "grpc", "missing_scope"): 1}
    assert GUESS not in repr(store.entries(1_000, AuditFilter()))


def reports(count: int) -> list[dict[str, str]]:
    return [{"id": f"m{number}", "truth": "High", "dataset": "employees"} for number in range(count)]


def send_by_grpc(service: Service, count: int) -> None:
    items = [pb.Feedback(id=each["id"], dataset=each["dataset"], truth=pb.Value(text=each["truth"])) for each in reports(count)]
    service.stub.SendFeedback(pb.SendFeedbackRequest(reports=items), metadata=[("x-api-key", HR_KEY)], timeout=10)


def labels_rows(store: AuditStore) -> dict[tuple[str, str, str], Counter[str]]:
    """Requests and outcomes by door, data set and result: the end of a minute may divide them into two rows."""
    found: dict[tuple[str, str, str], Counter[str]] = {}
    for row in store.entries(1_000, AuditFilter(action="labels_reported")):
        outcomes = cast("dict[str, int]", row.detail["outcomes"])
        assert row.detail["reports"] == sum(outcomes.values())
        assert (row.actor.kind, row.actor.name, row.actor.address) == ("key", "hr", "127.0.0.1")
        counts = found.setdefault((row.actor.door, row.dataset, row.result), Counter())
        counts.update({"requests": cast("int", row.detail["requests"]), **outcomes})
    return found


def test_requests_of_many_reports_are_a_row_for_each_data_set_and_those_of_one_report_none(store: AuditStore, fresh_database: str) -> None:
    def post(client: httpx.Client, body: object) -> None:
        assert client.post("/feedback", json=body, headers=AS_HR).status_code == 200

    def mutate(client: httpx.Client) -> None:
        answer = client.post("/graphql", json={"query": MUTATION, "variables": {"reports": reports(4)}}, headers=AS_HR)
        assert "errors" not in answer.json()

    options = settings(predictions_url=fresh_database, api_require_key=True, api_keys=KEYS)
    with running(rest_of(fresh_database)) as client, serving(Shelf(), options) as service:
        post(client, reports(1)[0])
        post(client, {"feedback": [*reports(3), {"id": "m1"}]})
        send_by_grpc(service, 1)
        for _ in range(10):
            post(client, {"feedback": [{"id": "m1"}, {"truth": "High"}]})
            mutate(client)
            send_by_grpc(service, 5)

    assert labels_rows(store) == {
        ("rest", "employees", "done"): {"requests": 1, "waiting": 2, "same": 1},
        ("rest", "", "refused"): {"requests": 11, "refused": 21},
        ("graphql", "employees", "done"): {"requests": 10, "waiting": 1, "same": 39},
        ("grpc", "employees", "done"): {"requests": 10, "waiting": 1, "same": 49},
    }


def test_whoever_reports_again_and_again_decides_not_how_many_rows_there_are(store: AuditStore, fresh_database: str) -> None:
    bad, minutes_before = {"feedback": [{"id": "m1"}, {"truth": "High"}]}, time.monotonic()
    with running(create_app(service_settings(predictions_url=fresh_database), FakeRegistry(champion="2"))) as client:
        for _ in range(100):
            assert client.post("/feedback", json=bad).status_code == 200
    most = 2 + (time.monotonic() - minutes_before) // WINDOW_SECONDS

    rows = store.entries(1_000, AuditFilter(action="labels_reported"))
    assert 1 <= len(rows) <= most
    assert sum(cast("int", row.detail["requests"]) for row in rows) == 100
    assert {(row.actor.kind, row.actor.door, row.dataset, row.result) for row in rows} == {("nobody", "rest", "", "refused")}
