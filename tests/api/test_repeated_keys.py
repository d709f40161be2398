"""A key that is there twice in one JSON object is refused by name, wherever a request has JSON."""

import json
from collections.abc import Iterator

import httpx
import pytest
from websockets.sync.client import connect

from hearth_api.app import create_app
from tests.api.running import AS_ADMIN, refused, running, service_settings
from tests.support.models import FakeRegistry, employees, good_record

RECORD = json.dumps(good_record(employees()))
TWICE = RECORD.replace('"Designation":', '"Designation": 0, "Designation":')
REASON = 'has the key "Designation" twice in one object, of which JSON would keep only the last.'
MANY = 300  # records of more bytes than are parsed in the event loop


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    settings = service_settings(api_max_records=MANY, stream_max_length=1_000)
    with running(create_app(settings, FakeRegistry(knn="1", champion="2"))) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predict", '{"data": [%s]}'),
        ("/predict", '{"data": [' + f"{RECORD}, " * (MANY - 1) + "%s]}"),
        ("/employees/predict", '{"data": [%s]}'),
        ("/employees/predict_stream", '{"data": [%s]}'),
        ("/explain", '{"data": [%s]}'),
        ("/invocations", '{"dataframe_records": [%s]}'),
        ("/invocations", '{"instances": [%s]}'),
        ("/v2/models/employees/infer", '{"inputs": [], "parameters": %s}'),
        ("/graphql", '{"query": "{ health { status } }", "variables": {"records": {"employees": [%s]}}}'),
    ],
)
def test_a_column_that_is_there_twice_is_refused(client: httpx.Client, path: str, body: str) -> None:
    answer = client.post(path, content=body.replace("%s", TWICE), headers={"Content-Type": "application/json"})

    assert answer.status_code in {400, 422}, answer.text
    message = answer.json()["error" if path.startswith("/v2") else "detail"]
    assert message == f"The body {REASON}"


@pytest.mark.parametrize("key", ["data", "columns"])
def test_a_key_of_the_body_that_is_there_twice_is_refused(client: httpx.Client, key: str) -> None:
    body = f'{{"data": [{RECORD}], "columns": ["Designation"], "{key}": [{RECORD}]}}'

    assert f'has the key "{key}" twice' in refused(client.post("/predict", content=body), 422, "invalid_body")


def test_a_query_that_has_a_column_twice_is_refused(client: httpx.Client) -> None:
    query = "{ predict(records: {employees: [{designation: 1, designation: 2}]}) { dataset } }"

    answer = client.post("/graphql", json={"query": query}).json()

    assert "There can be only one input field named 'designation'." in [error["message"] for error in answer["errors"]]


def test_a_message_over_a_websocket_that_has_a_key_twice_is_refused(client: httpx.Client) -> None:
    url = str(client.base_url).replace("http", "ws") + "/graphql"
    with connect(url, subprotocols=["graphql-transport-ws"]) as socket:  # type: ignore[list-item]  # a NewType of str
        socket.send('{"type": "connection_init", "type": "ping"}')
        with pytest.raises(Exception, match="4400"):
            socket.recv(timeout=10)


def test_a_request_of_an_administrator_that_has_a_key_twice_is_refused(client: httpx.Client) -> None:
    body = '{"version": "1", "to": "knn", "version": "2"}'

    detail = refused(client.post("/models/employees/promote", content=body, headers=AS_ADMIN), 422, "invalid_body")

    assert detail == 'The body has the key "version" twice in one object, of which JSON would keep only the last.'


def test_texts_with_colons_are_read_as_before(client: httpx.Client) -> None:
    body = json.dumps({"data": [good_record(employees(), Gender="a:b")]})

    assert "'Gender': got 'a:b', expected one of" in refused(client.post("/predict", content=body), 422, "invalid_records")
