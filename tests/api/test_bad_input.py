"""What clients send that they should not: each is answered in the one shape, and none of it disturbs others."""

import contextlib
import json
import socket
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearth_api.app import create_app
from tests.api.running import refused, running, service_settings
from tests.support.models import FakeRegistry, employees, good_record

CONTRACT = employees()
GOOD = good_record(CONTRACT, Designation=4)
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    limits = service_settings(api_max_records=10_000, api_max_body_bytes=10 * MEGABYTE)
    with running(create_app(limits, FakeRegistry(knn="1", champion="2"))) as client:
        yield client


class TestValues:
    @pytest.mark.parametrize("before", [1, 40], ids=["among few", "among many"])
    @pytest.mark.parametrize(
        ("column", "value", "expected"),
        [
            ("Gender", "female", "one of 'Female', 'Male'"),
            ("Gender", None, "one of 'Female', 'Male'"),
            ("Gender", ["Female"], "one of 'Female', 'Male'"),
            ("Designation", 6, "a whole number from 0 to 5 (level)"),
            ("Designation", 2.5, "a whole number from 0 to 5 (level)"),
            ("Designation", "2", "a whole number from 0 to 5 (level); it is a text, not a number"),
            ("Designation", True, "a whole number from 0 to 5 (level); it is a boolean"),
            ("Sleep Hours", -1, "a number from 0 to 24 (hours)"),
            ("Sleep Hours", 10**400, "a number from 0 to 24 (hours)"),
            ("Mental Fatigue Score", 10.01, "a number from 0 to 10 (score) or null"),
        ],
    )
    def test_a_value_that_the_contract_refuses_is_named_with_row_and_expectation(
        self, client: httpx.Client, before: int, column: str, value: object, expected: str
    ) -> None:
        answer = client.post("/predict", content=json.dumps({"data": [GOOD] * before + [{**GOOD, column: value}]}))

        refused(answer, 422, "invalid_records")
        [problem] = answer.json()["errors"]
        assert (problem["row"], problem["column"], problem["expected"]) == (before, column, expected)

    @pytest.mark.parametrize("column", ["Sleep Hours", "Mental Fatigue Score"])
    @pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
    def test_numbers_that_json_does_not_have_are_refused_like_any_other(self, client: httpx.Client, word: str, column: str) -> None:
        content = json.dumps({"data": [{**GOOD, column: "here"}]}).replace('"here"', word)
        answer = client.post("/predict", content=content)

        refused(answer, 422, "invalid_records")
        assert answer.json()["errors"][0]["column"] == column

    def test_missing_and_unknown_columns_are_named(self, client: httpx.Client) -> None:
        record = {name: value for name, value in GOOD.items() if name != "Gender"} | {"gender": "Female"}
        answer = client.post("/predict", json={"data": [record]})

        refused(answer, 422, "invalid_records")
        assert {problem["column"] for problem in answer.json()["errors"]} == {"Gender", "gender"}

    def test_an_unknown_column_in_place_of_one_that_may_be_missing_is_refused(self, client: httpx.Client) -> None:
        record = {name: value for name, value in GOOD.items() if name != "Mental Fatigue Score"} | {"x": 1}
        answer = client.post("/predict", json={"data": [record]})

        refused(answer, 422, "invalid_records")
        assert [problem["column"] for problem in answer.json()["errors"]] == ["x"]

    def test_every_bad_record_is_listed_up_to_a_hundred(self, client: httpx.Client) -> None:
        body = client.post("/predict", json={"data": [{}] * 20}).json()

        assert len(body["errors"]) == 100
        assert body["more_errors"] == 20 * 11 - 100  # eleven columns may not be missing

    @pytest.mark.parametrize("record", [1, "text", None, True])
    def test_a_record_that_is_no_object_is_refused(self, client: httpx.Client, record: object) -> None:
        refused(client.post("/predict", json={"data": [GOOD, record]}), 422, "invalid_records")


class TestBodies:
    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"{",
            b"[]",
            b"null",
            b"{}",
            b'{"data": {}}',
            b'{"data": []}',
            b'{"data": [{}], "more": 1}',
            b'{"data": [{}], "features": [1]}',
            b"\xff\xfe",
            b'{"data": "x"}',
            b"[" * 100_000,
        ],
    )
    def test_a_body_of_another_form_is_refused(self, client: httpx.Client, content: bytes) -> None:
        refused(client.post("/predict", content=content), 422, "invalid_body")

    def test_more_records_than_the_limit_are_refused(self, client: httpx.Client) -> None:
        detail = refused(client.post("/predict", json={"data": [GOOD] * 10_001}), 422, "invalid_body")

        assert "10001 records, more than the 10000" in detail

    def test_as_many_as_the_limit_are_scored(self, client: httpx.Client) -> None:
        assert client.post("/predict", json={"data": [GOOD] * 10_000}).json()["n_samples"] == 10_000

    def test_a_body_that_announces_50_megabytes_is_refused_before_any_of_it_is_read(self, client: httpx.Client) -> None:
        with _connected(client) as connection:
            connection.sendall(_head(f"Content-Length: {50 * MEGABYTE}"))
            answer = connection.recv(65_536)

        assert b"413" in answer.split(b"\r\n")[0]
        assert b'"error":"body_too_large"' in answer

    def test_a_body_of_50_megabytes_that_announces_nothing_is_refused_on_its_way(self, client: httpx.Client) -> None:
        chunk = b"%x\r\n" % MEGABYTE + b" " * MEGABYTE + b"\r\n"
        with _connected(client) as connection:
            connection.sendall(_head("Transfer-Encoding: chunked"))
            sent = 0
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the service may hang up rather than listen
                while sent < 50:
                    connection.sendall(chunk)
                    sent += 1
            answer = connection.recv(65_536)

        assert b"413" in answer.split(b"\r\n")[0]

    @settings(max_examples=150, deadline=None)
    @given(
        body=st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(st.sampled_from([*CONTRACT.columns, "data", "features", "columns", "x"]), inner, max_size=6)
            ),
            max_leaves=20,
        )
    )
    def test_no_json_makes_the_service_fail(self, client: httpx.Client, body: object) -> None:
        for sent in (body, {"data": body}, {"data": [body]}, {"features": body}, {"columns": body, "data": [GOOD]}):
            answer = client.post("/predict", content=json.dumps(sent))
            assert answer.status_code in {200, 422}, answer.text
            assert "Traceback" not in answer.text


class TestAddresses:
    def test_an_alias_that_the_data_set_cannot_have_is_unknown(self, client: httpx.Client) -> None:
        detail = refused(client.post("/predict?model=best", json={"data": [GOOD]}), 404, "unknown_alias")

        assert "knn, svm, lightgbm, champion" in detail

    def test_an_alias_without_a_version_is_unavailable(self, client: httpx.Client) -> None:
        answer = client.post("/predict?model=svm", json={"data": [GOOD]})

        refused(answer, 503, "model_unavailable")
        assert answer.headers["retry-after"] == "5"

    def test_a_data_set_that_is_not_there_is_unknown(self, client: httpx.Client) -> None:
        detail = refused(client.post("/heartless/predict", json={"data": [GOOD]}), 404, "unknown_dataset")

        assert "'heartless'" in detail
        assert "employees" in detail

    def test_a_path_that_is_not_there_is_answered_in_the_same_shape(self, client: httpx.Client) -> None:
        refused(client.get("/somewhere/else"), 404, "not_found")

    def test_a_wrong_method_is_answered_in_the_same_shape(self, client: httpx.Client) -> None:
        refused(client.get("/predict"), 405, "method_not_allowed")


class TestSlowSenders:
    def test_a_sender_that_takes_its_time_holds_up_nobody(self, client: httpx.Client) -> None:
        content = json.dumps({"data": [GOOD]}).encode()
        with _connected(client) as connection:
            connection.sendall(_head(f"Content-Length: {len(content)}") + content[:10])
            assert client.post("/predict", json={"data": [GOOD]}).status_code == 200
            connection.sendall(content[10:])
            answer = connection.recv(65_536)

        assert b"200" in answer.split(b"\r\n")[0]

    def test_a_body_that_does_not_come_is_given_up(self) -> None:
        with (
            running(create_app(service_settings(api_body_seconds=0.05), FakeRegistry(champion="1"))) as client,
            _connected(client) as connection,
        ):
            connection.sendall(_head("Content-Length: 1000") + b'{"data"')
            answer = connection.recv(65_536)

        assert b"408" in answer.split(b"\r\n")[0]
        assert b'"error":"body_too_slow"' in answer


@contextlib.contextmanager
def _connected(client: httpx.Client) -> Iterator[socket.socket]:
    with socket.create_connection((client.base_url.host, client.base_url.port or 80), timeout=30) as connection:
        yield connection


def _head(*headers: str) -> bytes:
    return "\r\n".join(["POST /predict HTTP/1.1", "Host: localhost", *headers, "", ""]).encode()
