"""Keys and limits on every door of REST: each prediction counts, however it comes in, and stored records need a scope of their own."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from hearth.contracts.names import graphql_names
from hearth_api.app import create_app
from tests.api.running import AS_ADMIN, AS_PAGE, READER_KEY, SCORER_KEY, refused, running, service_settings
from tests.support.models import FakeRegistry, employees, good_record

RECORD = good_record(employees(), Designation=4)
GOOD = {"data": [RECORD]}
NAMES = graphql_names(RECORD)
TYPED = {NAMES[name]: int(value) if isinstance(value, float) else value for name, value in RECORD.items()}
VARIABLES = {"records": {"employees": [TYPED]}}
PREDICT = "query ($records: Records!) { predict(records: $records) { version } }"
THREE = f"query ($records: Records!) {{ {' '.join(f'{name}: predict(records: $records) {{ version }}' for name in 'abc')} }}"
LIVE = "subscription { livePredictions { messageId } }"
STORED = "{ predictions { edges { cursor } } }"
AS_SCORER, AS_READER = {"X-API-Key": SCORER_KEY}, {"X-API-Key": READER_KEY}
CSV = {"content-type": "text/csv"}


@pytest.fixture
def limited() -> Iterator[httpx.Client]:
    with running(create_app(service_settings(api_rate_limit="4/year"), FakeRegistry(champion="2"))) as client:
        yield client


@pytest.fixture(scope="module")
def guarded() -> Iterator[httpx.Client]:
    with running(create_app(service_settings(api_require_key=True), FakeRegistry(champion="2"))) as client:
        yield client


def over_websocket(client: httpx.Client, headers: dict[str, str] | None = None) -> ClientConnection:
    return connect(
        f"ws://{client.base_url.netloc.decode()}/graphql",
        subprotocols=[Subprotocol("graphql-transport-ws")],
        additional_headers=headers or {},
    )


def connected(connection: ClientConnection) -> None:
    connection.send(json.dumps({"type": "connection_init"}))
    assert json.loads(connection.recv(timeout=30))["type"] == "connection_ack"


def errors_of(message: dict[str, Any]) -> list[str]:
    payload = message["payload"]
    return [error["extensions"]["error"] for error in (payload if isinstance(payload, list) else payload.get("errors", []))]


class TestCounts:
    def test_the_subscriptions_of_a_websocket_count(self, limited: httpx.Client) -> None:
        with over_websocket(limited) as connection:
            connected(connection)
            for number in range(5):
                connection.send(json.dumps({"id": str(number), "type": "subscribe", "payload": {"query": LIVE}}))
            message = json.loads(connection.recv(timeout=30))

        assert (message["id"], errors_of(message)) == ("4", ["too_many_requests"])
        refused(limited.post("/predict", json=GOOD), 429, "too_many_requests")

    def test_each_prediction_of_a_query_counts(self, limited: httpx.Client) -> None:
        first = limited.post("/graphql", json={"query": THREE, "variables": VARIABLES}).json()
        second = limited.post("/graphql", json={"query": THREE, "variables": VARIABLES}).json()

        assert "errors" not in first
        assert {(error["extensions"]["error"], error["extensions"]["status"]) for error in second["errors"]} == {("too_many_requests", 429)}
        refused(limited.post("/predict", json=GOOD), 429, "too_many_requests")

    @pytest.mark.parametrize(
        ("path", "body"),
        [
            ("/employees/predict", {"json": GOOD}),
            ("/explain", {"json": GOOD}),
            ("/predict/csv", {"content": b"x", "headers": CSV}),
            ("/predict_stream", {"json": GOOD}),
            ("/invocations", {"json": {"inputs": [RECORD]}}),
            ("/v2/models/employees/infer", {"json": {"inputs": []}}),
            ("/graphql", {"json": {"query": "{ health { status } }"}}),
        ],
    )
    def test_every_door_has_the_same_count(self, limited: httpx.Client, path: str, body: dict[str, Any]) -> None:
        for _ in range(3):
            assert limited.post("/predict", json=GOOD).status_code == 200
        assert limited.post(path, **body).status_code != 429
        refused(limited.post(path, **body), 429, "too_many_requests")


class TestReading:
    """The predictions of everybody's records, and the dead letters, need the scope `read`."""

    PATHS = ("/predictions", "/predictions/1-0", "/stream", "/predictions%0A", "/stream%0A")

    @pytest.mark.parametrize("path", PATHS)
    def test_a_key_for_predictions_alone_reads_nothing(self, guarded: httpx.Client, path: str) -> None:
        assert "'scorer' does not have the scope 'read'" in refused(guarded.get(path, headers=AS_SCORER), 403, "missing_scope")

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("headers", [AS_READER, AS_PAGE, AS_ADMIN])
    def test_a_key_with_the_scope_reads(self, guarded: httpx.Client, path: str, headers: dict[str, str]) -> None:
        assert guarded.get(path, headers=headers).json()["error"] in {"predictions_unavailable", "stream_unavailable"}

    def test_a_key_for_reading_alone_predicts_nothing(self, guarded: httpx.Client) -> None:
        for path in ("/predict", "/employees/predict", "/explain", "/predict_stream", "/invocations"):
            refused(guarded.post(path, json=GOOD, headers=AS_READER), 403, "missing_scope")

    @pytest.mark.parametrize(("headers", "query"), [(AS_SCORER, STORED), (AS_READER, PREDICT)])
    def test_graphql_asks_for_the_scope_of_each_field(self, guarded: httpx.Client, headers: dict[str, str], query: str) -> None:
        body = {"query": query, "variables": VARIABLES if query is PREDICT else {}}
        [problem] = guarded.post("/graphql", json=body, headers=headers).json()["errors"]

        assert (problem["extensions"]["error"], problem["extensions"]["status"]) == ("missing_scope", 403)

    def test_graphql_answers_what_the_scope_allows(self, guarded: httpx.Client) -> None:
        ask: Callable[[str, dict[str, str]], Any] = lambda query, headers: guarded.post(  # noqa: E731
            "/graphql", json={"query": query, "variables": VARIABLES if query is PREDICT else {}}, headers=headers
        ).json()

        assert ask(PREDICT, AS_SCORER)["data"]["predict"]["version"] == "2"
        assert ask(STORED, AS_READER)["errors"][0]["extensions"]["error"] == "predictions_unavailable"

    def test_a_subscription_to_what_is_stored_needs_it_too(self, guarded: httpx.Client) -> None:
        with over_websocket(guarded, AS_SCORER) as connection:
            connected(connection)
            connection.send(json.dumps({"id": "0", "type": "subscribe", "payload": {"query": LIVE}}))
            message = json.loads(connection.recv(timeout=30))

        assert errors_of(message) == ["missing_scope"]
