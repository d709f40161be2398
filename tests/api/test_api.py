"""The REST service as clients see it: a real uvicorn, the real application, and a registry that is a dictionary."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st

from hearth.settings import ApiSettings
from hearth_api.app import create_app
from tests.models import Shelf, employees, good_record
from tests.servers import free_port

CONTRACT = employees()
GOOD = good_record(CONTRACT, Designation=4)


def api_settings(**changes: object) -> ApiSettings:
    given: dict[str, Any] = {
        "environment": "laptop",
        "data_dir": Path(__file__).parents[2] / "data",
        "mlflow_tracking_uri": "http://127.0.0.1:9",
        "alias_poll_seconds": 0.05,
        "api_default_dataset": "employees",
        "api_max_records": 50,
        "api_max_body_bytes": 100_000,
    }
    return ApiSettings(**{**given, **changes})


@contextmanager
def running(app: object) -> Iterator[httpx.Client]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None))  # type: ignore[arg-type]
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 30
    while not server.started:
        assert thread.is_alive(), "the service ended instead of starting"
        assert time.monotonic() < deadline, "the service did not start"
        time.sleep(0.01)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def shelf() -> Shelf:
    return Shelf(knn="1", champion="2")


@pytest.fixture(scope="module")
def client(shelf: Shelf) -> Iterator[httpx.Client]:
    with running(create_app(api_settings(), shelf)) as client:
        yield client


def refused(answer: httpx.Response, status: int, error: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["error"]) == (status, error), body
    assert set(body) - {"more_errors"} == {"error", "detail", "errors"}
    return body


class TestPredict:
    def test_answers_in_the_order_of_the_records(self, client: httpx.Client) -> None:
        data = [{**GOOD, "Designation": level} for level in (5, 0, 2)]
        body = client.post("/predict", params={"model": "knn"}, json={"data": data}).json()
        assert body["predictions"] == [2, 0, 1]
        assert body["labels"] == ["High", "Low", "Medium"]
        assert body["probabilities"][0] == pytest.approx({"Low": 0.1, "Medium": 0.1, "High": 0.8})
        assert {key: body[key] for key in ("alias", "model", "version", "family", "dataset", "n_samples")} == {
            "alias": "knn",
            "model": "employees",
            "version": "1",
            "family": "knn",
            "dataset": "employees",
            "n_samples": 3,
        }

    def test_the_champion_answers_if_nobody_is_named(self, client: httpx.Client) -> None:
        assert client.post("/predict", json={"data": [GOOD]}).json()["version"] == "2"

    def test_the_data_set_can_be_named(self, client: httpx.Client) -> None:
        assert client.post("/employees/predict", json={"data": [GOOD]}).json()["dataset"] == "employees"

    def test_a_row_of_the_raw_file_can_be_sent_as_it_is(self, client: httpx.Client) -> None:
        row = {**GOOD, "Employee ID": "fffe32", "Date of Joining": "2008-09-30", "Years in Company": 16, "Burn Rate": 0.5}
        assert client.post("/predict", json={"data": [row]}).status_code == 200

    def test_a_missing_value_may_be_null_or_left_out_where_the_contract_allows_it(self, client: httpx.Client) -> None:
        left_out = {name: value for name, value in GOOD.items() if name != "Mental Fatigue Score"}
        answer = client.post("/predict", json={"data": [{**GOOD, "Mental Fatigue Score": None}, left_out]})
        assert answer.json()["n_samples"] == 2

    @pytest.mark.parametrize(
        ("column", "value", "expected"),
        [
            ("Gender", "female", "one of 'Female', 'Male'"),
            ("Gender", None, "one of 'Female', 'Male'"),
            ("Gender", ["Female"], "one of 'Female', 'Male'"),
            ("Designation", 6, "a whole number from 0 to 5 (level)"),
            ("Designation", 2.5, "a whole number from 0 to 5 (level)"),
            ("Designation", "2", "a whole number from 0 to 5 (level)"),
            ("Designation", True, "a whole number from 0 to 5 (level)"),
            ("Sleep Hours", -1, "a number from 0 to 24 (hours)"),
            ("Sleep Hours", 10**400, "a number from 0 to 24 (hours)"),
            ("Mental Fatigue Score", 10.01, "a number from 0 to 10 (score) or null"),
        ],
    )
    def test_a_value_that_the_contract_refuses_is_named_with_row_and_expectation(
        self, client: httpx.Client, column: str, value: object, expected: str
    ) -> None:
        content = json.dumps({"data": [GOOD, {**GOOD, column: value}]})
        body = refused(client.post("/predict", content=content), 422, "invalid_records")
        [problem] = body["errors"]
        assert (problem["row"], problem["column"], problem["expected"]) == (1, column, expected)

    @pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999"])
    def test_numbers_that_json_does_not_have_are_refused_like_any_other(self, client: httpx.Client, word: str) -> None:
        content = json.dumps({"data": [GOOD]}).replace('"Sleep Hours": 12.0', f'"Sleep Hours": {word}')
        assert word in content
        assert refused(client.post("/predict", content=content), 422, "invalid_records")["errors"][0]["column"] == "Sleep Hours"

    def test_missing_and_unknown_columns_are_named(self, client: httpx.Client) -> None:
        record = {name: value for name, value in GOOD.items() if name != "Gender"} | {"gender": "Female"}
        body = refused(client.post("/predict", json={"data": [record]}), 422, "invalid_records")
        assert {problem["column"] for problem in body["errors"]} == {"Gender", "gender"}

    def test_every_bad_record_is_listed_up_to_a_hundred(self, client: httpx.Client) -> None:
        body = refused(client.post("/predict", json={"data": [{}] * 20}), 422, "invalid_records")
        assert len(body["errors"]) == 100
        assert body["more_errors"] == 20 * 11 - 100  # eleven columns may not be missing

    @pytest.mark.parametrize(
        "content",
        [b"", b"{", b"[]", b"null", b"{}", b'{"data": {}}', b'{"data": []}', b'{"data": [{}], "more": 1}', b"\xff\xfe", b'{"data": "x"}'],
    )
    def test_a_body_of_another_form_is_refused(self, client: httpx.Client, content: bytes) -> None:
        refused(client.post("/predict", content=content), 422, "invalid_body")

    @pytest.mark.parametrize("record", [1, "text", None, [1, 2]])
    def test_a_record_that_is_no_object_is_refused(self, client: httpx.Client, record: object) -> None:
        refused(client.post("/predict", json={"data": [record]}), 422, "invalid_records")

    def test_more_records_than_the_limit_are_refused(self, client: httpx.Client) -> None:
        body = refused(client.post("/predict", json={"data": [GOOD] * 51}), 422, "invalid_body")
        assert "51 records, more than the 50" in body["detail"]

    def test_a_body_that_announces_too_much_is_refused(self, client: httpx.Client) -> None:
        refused(client.post("/predict", content=b" " * 100_001), 413, "body_too_large")

    def test_a_body_that_turns_out_too_large_is_refused(self, client: httpx.Client) -> None:
        refused(client.post("/predict", content=iter([b" " * 60_000] * 3)), 413, "body_too_large")

    def test_an_alias_that_the_data_set_cannot_have_is_unknown(self, client: httpx.Client) -> None:
        assert (
            "knn, svm, lightgbm, champion"
            in refused(client.post("/predict?model=best", json={"data": [GOOD]}), 404, "unknown_alias")["detail"]
        )

    def test_an_alias_without_a_version_is_unavailable(self, client: httpx.Client) -> None:
        answer = client.post("/predict?model=svm", json={"data": [GOOD]})
        refused(answer, 503, "model_unavailable")
        assert answer.headers["retry-after"] == "5"

    def test_another_data_set_is_not_found(self, client: httpx.Client) -> None:
        refused(client.post("/heartless/predict", json={"data": [GOOD]}), 404, "not_found")

    def test_a_wrong_method_is_answered_in_the_same_shape(self, client: httpx.Client) -> None:
        refused(client.get("/predict"), 405, "method_not_allowed")

    @settings(max_examples=150, deadline=None)
    @given(
        body=st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
            lambda inner: (
                st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from([*CONTRACT.columns, "data", "x"]), inner, max_size=6)
            ),
            max_leaves=20,
        )
    )
    def test_no_json_makes_the_service_fail(self, client: httpx.Client, body: object) -> None:
        for sent in (body, {"data": body}, {"data": [body]}):
            answer = client.post("/predict", content=json.dumps(sent))
            assert answer.status_code in {200, 422}, answer.text


class TestModels:
    def test_every_alias_is_listed_with_what_it_serves(self, client: httpx.Client) -> None:
        [dataset] = client.get("/models").json()["datasets"]
        aliases = {entry["alias"]: entry for entry in dataset["aliases"]}
        assert set(aliases) == {"knn", "svm", "lightgbm", "champion", "challenger", "previous"}
        assert aliases["knn"] | {"since": ""} == {
            "alias": "knn",
            "version": "1",
            "registered": "1",
            "family": "knn",
            "run_id": "run-1",
            "metrics": {"macro_f1": 0.81, "accuracy": 0.83},
            "since": "",
            "problem": "",
        }
        assert aliases["svm"]["version"] is None

    def test_a_moved_alias_is_followed_without_a_restart(self) -> None:
        shelf = Shelf(champion="1")
        with running(create_app(api_settings(), shelf)) as client:
            assert client.post("/predict", json={"data": [GOOD]}).json()["version"] == "1"
            shelf.carried["champion"] = "2"
            deadline = time.monotonic() + 10
            while (version := client.post("/predict", json={"data": [GOOD]}).json()["version"]) != "2":
                assert version == "1"
                assert time.monotonic() < deadline, "the alias was not followed"


class TestService:
    def test_the_root_says_who_answers(self, client: httpx.Client) -> None:
        body = client.get("/").json()
        assert (body["name"], body["datasets"]) == ("hearth", ["employees"])
        for link in ("documentation", "models", "health"):
            assert client.get(body["links"][link]).status_code == 200

    def test_it_is_healthy_while_the_registry_is_away(self) -> None:
        with running(create_app(api_settings(mlflow_tracking_uri="http://127.0.0.1:9"))) as client:
            assert client.get("/health").json() == {"status": "ok"}
            refused(client.post("/predict", json={"data": [GOOD]}), 503, "model_unavailable")

    def test_the_documentation_needs_no_other_host(self, client: httpx.Client) -> None:
        page = client.get("/docs").text
        assert "http://" not in page
        assert "https://" not in page

    def test_the_example_of_the_documentation_works(self, client: httpx.Client) -> None:
        body = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
        assert client.post("/predict", json=body["example"]).status_code == 200
        columns = body["schema"]["properties"]["data"]["items"]["properties"]
        assert columns["Designation"] == {
            "type": "integer",
            "minimum": 0,
            "maximum": 5,
            "title": "Designation",
            "description": "Seniority, 0 is the most junior (a whole number from 0 to 5 (level))",
        }

    def test_a_default_data_set_that_is_not_there_stops_the_start(self) -> None:
        with pytest.raises(Exception, match="There is no data set 'planets'; there are: employees"):
            create_app(api_settings(api_default_dataset="planets"))
