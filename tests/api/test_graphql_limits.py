"""Small queries that cost much: each is refused before it costs anything, by an error that names the limit."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import strawberry.schema.schema as strawberry_schema
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from hearth_api.app import create_app
from tests.api.running import refused, running, service_settings
from tests.api.test_graphql import PREDICT, record
from tests.support.fake_registry import ByDesignation
from tests.support.models import FakeRegistry


class WhereScored(ByDesignation):
    """Remembers in which threads it scored."""

    threads: set[str] = set()  # noqa: RUF012 - one for the whole process is wanted

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        self.threads.add(threading.current_thread().name)
        return super().predict_proba(frame)


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    limits = service_settings(
        api_max_records=50, graphql_max_records=60, graphql_max_body_bytes=200_000, graphql_max_query_characters=10_000
    )
    with running(create_app(limits, FakeRegistry(WhereScored(), champion="2"))) as client:
        yield client


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What GraphQL was made to parse and to validate."""
    done: list[str] = []

    def counted(name: str) -> None:
        original: Any = getattr(strawberry_schema, name)

        def count(*arguments: Any, **options: Any) -> Any:
            done.append(name if name != "parse" else f"parse {len(arguments[0])}")
            return original(*arguments, **options)

        monkeypatch.setattr(strawberry_schema, name, count)

    counted("parse")
    counted("validate_document")
    return done


def refusal(client: httpx.Client, query: str, **variables: object) -> str:
    answer = client.post("/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == 200, answer.text
    found = answer.json()["errors"][0]
    assert (found["extensions"]["error"], found["extensions"]["status"]) == ("invalid_query", 422)
    return str(found["message"])


@pytest.mark.parametrize("query", ["{ health { status } } #" + "x" * 10_000, "{ " + "x" * 10_000 + " }"], ids=["comment", "name"])
def test_a_long_text_is_not_parsed(client: httpx.Client, query: str, work: list[str]) -> None:
    assert "HEARTH_GRAPHQL_MAX_QUERY_CHARACTERS" in refusal(client, query)
    assert work == ["parse 14"]  # what stands in its place


@pytest.mark.parametrize("brackets", ["[]", "{}", "()"])
def test_deep_brackets_are_not_parsed(client: httpx.Client, brackets: str, work: list[str]) -> None:
    query = "{ health " + brackets[0] * 2_000 + brackets[1] * 2_000 + " }"
    assert "brackets" in refusal(client, query)
    assert work == ["parse 14"]


def test_brackets_in_texts_and_comments_do_not_count(client: httpx.Client) -> None:
    signs = "[{(" * 100
    query = f'# {signs}\n{{ modelInfo(model: "{signs}") {{ version }} }}'
    answer = client.post("/graphql", json={"query": query}).json()
    assert answer["errors"][0]["extensions"]["error"] == "unknown_alias"


@pytest.mark.parametrize(
    ("query", "setting"),
    [
        ("{ " + " ".join(f"h{number}: health {{ status }}" for number in range(300)) + " }", "HEARTH_GRAPHQL_MAX_ALIASES"),
        ("{ " + "health { status } " * 300 + " }", "HEARTH_GRAPHQL_MAX_FIELDS"),
        ("query { ...F } fragment F on Query { " + "health { status } " * 300 + " }", "HEARTH_GRAPHQL_MAX_FIELDS"),
    ],
    ids=["aliases", "the same field", "the same field in a fragment"],
)
def test_many_fields_are_not_compared_with_each_other(client: httpx.Client, query: str, setting: str, work: list[str]) -> None:
    assert setting in refusal(client, query)
    assert "validate_document" not in work


def test_records_count_over_all_aliases(client: httpx.Client) -> None:
    query = "query ($records: Records!) { a: predict(records: $records) { version } b: predict(records: $records) { version } }"
    WhereScored.threads.clear()
    assert "60 of HEARTH_GRAPHQL_MAX_RECORDS" in refusal(client, query, records={"employees": [record()] * 40})
    field = "predict(records: {employees: $some}) { version }"
    parts = f"query ($some: [EmployeesRecord!]) {{ a: {field} b: {field} }}"
    assert "80 records in all its fields" in refusal(client, parts, some=[record()] * 40)
    assert not WhereScored.threads  # nothing of it was scored
    assert "60 of HEARTH_GRAPHQL_MAX_RECORDS" in refusal(client, "{ predictions(first: 61) { pageInfo { hasNextPage } } }")


def test_explained_records_count_over_all_aliases(client: httpx.Client) -> None:
    query = "query ($records: Records!) { a: explain(records: $records) { version } b: explain(records: $records) { version } }"
    assert "20 of HEARTH_EXPLAIN_MAX_RECORDS" in refusal(client, query, records={"employees": [record()] * 11})


def test_the_next_request_counts_anew(client: httpx.Client) -> None:
    for _ in range(3):
        answer = client.post("/graphql", json={"query": PREDICT, "variables": {"records": {"employees": [record()] * 40}}}).json()
        assert answer["data"]["predict"]["nSamples"] == 40


def test_a_body_has_a_limit_of_its_own(client: httpx.Client) -> None:
    answer = client.post("/graphql", content=b" " * 200_001, headers={"content-type": "application/json"})
    assert "HEARTH_GRAPHQL_MAX_BODY_BYTES" in refused(answer, 413, "body_too_large")


@pytest.mark.parametrize("depth", [100, 2_000, 50_000])
@pytest.mark.parametrize("value", ['{"employees": []}', "[]"])
def test_variables_that_are_deep_are_an_error_of_the_caller(client: httpx.Client, depth: int, value: str) -> None:
    brackets = ("[" * depth, "]" * depth) if value == "[]" else ('{"employees":' * depth, "}" * depth)
    deep = f"{brackets[0]}{'1'}{brackets[1]}"
    content = json.dumps({"query": PREDICT, "variables": {"records": "here"}}).replace('"here"', deep)
    answer = client.post("/graphql", content=content, headers={"content-type": "application/json"})
    assert answer.status_code in {200, 400, 413}
    assert "internal_error" not in answer.text


def test_queries_run_outside_the_event_loop(client: httpx.Client) -> None:
    WhereScored.threads.clear()
    client.post("/graphql", json={"query": PREDICT, "variables": {"records": {"employees": [record()]}}}).raise_for_status()
    assert WhereScored.threads <= {"graphql", "compute_0"}


def test_a_query_over_a_websocket_is_refused_where_it_would_run_in_the_event_loop(client: httpx.Client) -> None:
    url = str(client.base_url).replace("http", "ws") + "/graphql"
    with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(socket.recv())["type"] == "connection_ack"
        socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": "{ health { status } }"}}))
        answer = json.loads(socket.recv(timeout=20))
    assert answer["type"] == "error"
    assert "send queries with POST" in answer["payload"][0]["message"]
