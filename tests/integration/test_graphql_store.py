"""GraphQL on a real store: pages of predictions, and predictions as they come."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from strawberry.utils.str_converters import to_camel_case
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from hearth.contracts.names import field_name
from hearth.predictions import Prediction, PredictionStore
from hearth.predictions.migration import migrate
from hearth_api.app import create_app
from tests.api.running import running, service_settings
from tests.support import waiting
from tests.support.models import FakeRegistry, employees, good_record

START = datetime(2026, 11, 21, tzinfo=UTC)
RECORD = {
    to_camel_case(field_name(name)): int(value) if isinstance(value, float) else value for name, value in good_record(employees()).items()
}
PAGE = """query ($after: String) { predictions(first: 7, after: $after) {
  edges { cursor node { messageId label probabilities { label probability } record } } pageInfo { hasNextPage endCursor } } }"""


def prediction(number: int, **changes: object) -> Prediction:
    known: dict[str, Any] = {
        "message_id": f"{number}-0",
        "row": 0,
        "dataset": "employees",
        "alias": "champion",
        "version": "2",
        "family": "knn",
        "code": 1,
        "label": "Medium",
        "probabilities": (0.1, 0.8, 0.1),
        "record": {"Designation": number},
        "enqueued_at": None,
        "scored_at": START + timedelta(seconds=number),
    }
    return Prediction(**{**known, **changes})


@pytest.fixture
def store(fresh_database: str) -> Iterator[PredictionStore]:
    migrate(fresh_database)
    with PredictionStore(fresh_database) as store:
        yield store


@pytest.fixture
def client(store: PredictionStore, fresh_database: str) -> Iterator[httpx.Client]:
    assert store.page(1) == []  # the table is there
    with running(
        create_app(service_settings(predictions_url=fresh_database, record_predictions="all"), FakeRegistry(champion="2"))
    ) as client:
        yield client


def test_pages_joined_are_all_predictions_newest_first(store: PredictionStore, client: httpx.Client) -> None:
    store.put([prediction(number) for number in range(16)])
    seen, after = [], None
    for _ in range(3):
        page = client.post("/graphql", json={"query": PAGE, "variables": {"after": after}}).json()["data"]["predictions"]
        seen += [edge["node"]["record"]["Designation"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
    assert seen == list(reversed(range(16)))
    assert page["pageInfo"]["hasNextPage"] is False


def test_what_was_answered_is_stored_and_found_by_its_id(client: httpx.Client) -> None:
    record = ", ".join(f"{name}: {json.dumps(value)}" for name, value in RECORD.items())
    asked = f"predict(records: {{employees: [{{{record}}}]}}) {{ requestId predictions {{ label }} }}"
    told = client.post("/graphql", json={"query": f"{{ one: {asked} two: {asked} }}"}).json()["data"]
    ids = {answer["requestId"] for answer in told.values()}
    assert len(ids) == 2
    query = "{ predictions { edges { node { messageId source label } } } }"

    def stored() -> set[str]:
        edges = client.post("/graphql", json={"query": query}).json()["data"]["predictions"]["edges"]
        return {edge["node"]["messageId"] for edge in edges if edge["node"]["source"] == "graphql"}

    waiting.wait_until(lambda: stored() == ids)


def test_what_is_stored_while_somebody_watches_is_told_once_and_nothing_older(store: PredictionStore, client: httpx.Client) -> None:
    store.put([prediction(1)])
    with watching(client, '{ livePredictions(dataset: "employees") { messageId label } }') as socket:
        wait_until_watched(store, socket)
        store.put([prediction(1_001), prediction(1_002, dataset="heart"), prediction(1_003)])
        told = [heard(socket)["messageId"] for _ in range(2)]
    assert told == ["1001-0", "1003-0"]


def test_two_watchers_are_told_the_same(store: PredictionStore, client: httpx.Client) -> None:
    query = "{ livePredictions { messageId } }"
    with watching(client, query) as one, watching(client, query) as two:
        wait_until_watched(store, one)
        wait_until_watched(store, two, first=200)
        store.put([prediction(2_000)])
        assert until(one, "2000-0") == until(two, "2000-0") == "2000-0"


@contextmanager
def watching(client: httpx.Client, query: str) -> Iterator[ClientConnection]:
    address = str(client.base_url).replace("http", "ws").rstrip("/") + "/graphql"
    with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket.recv(10))["type"] == "connection_ack"
        socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": f"subscription {query}"}}))
        yield socket


def wait_until_watched(store: PredictionStore, socket: ClientConnection, first: int = 100) -> None:
    """Store one after the other until one is told: from then on the watcher misses nothing."""
    for number in range(first, first + 50):
        store.put([prediction(number)])
        try:
            if number_of(heard(socket, 1)["messageId"]) >= first:
                break
        except TimeoutError:
            continue
    else:
        raise AssertionError("nothing was told")
    drain(socket)


def drain(socket: ClientConnection) -> None:
    try:
        while True:
            socket.recv(1.5)
    except TimeoutError:
        return


def until(socket: ClientConnection, message_id: str) -> str:
    while (found := str(heard(socket)["messageId"])) != message_id:
        pass
    return found


def number_of(message_id: str) -> int:
    return int(message_id.partition("-")[0])


def heard(socket: ClientConnection, seconds: float = 20) -> dict[str, Any]:
    message = json.loads(socket.recv(seconds))
    assert message["type"] == "next", message
    told: dict[str, Any] = message["payload"]["data"]["livePredictions"]
    return told
