"""GraphQL as clients see it: a real uvicorn, the real schema, and a registry that is a dictionary."""

import gzip
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from hearth_api.app import create_app
from tests.api.running import AS_PAGE, refused, running, service_settings
from tests.support.models import FakeRegistry, employees, good_record

CONTRACT = employees()
RECORD = good_record(CONTRACT, Designation=4)
FIELDS = {
    "Gender": "gender",
    "Company Type": "companyType",
    "WFH Setup Available": "wfhSetupAvailable",
    "Designation": "designation",
    "Resource Allocation": "resourceAllocation",
    "Mental Fatigue Score": "mentalFatigueScore",
    "Work Hours per Week": "workHoursPerWeek",
    "Sleep Hours": "sleepHours",
    "Work-Life Balance Score": "workLifeBalanceScore",
    "Manager Support Score": "managerSupportScore",
    "Deadline Pressure Score": "deadlinePressureScore",
    "Team Size": "teamSize",
    "Recognition Frequency": "recognitionFrequency",
}
PREDICT = """query ($records: Records!, $model: String! = "champion") {
  predict(records: $records, model: $model) {
    predictions { row prediction label probability probabilities { label probability } }
    dataset alias model version family nSamples requestId
  }
}"""


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with running(create_app(service_settings(), FakeRegistry(knn="1", champion="2"))) as client:
        yield client


def record(**changes: object) -> dict[str, object]:
    values = {FIELDS[name]: value for name, value in {**RECORD, **changes}.items()}
    return {name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in values.items()}


def ask(client: httpx.Client, query: str, **variables: object) -> Any:
    answer = client.post("/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == 200, answer.text
    return answer.json()


def data(client: httpx.Client, query: str, **variables: object) -> Any:
    answer = ask(client, query, **variables)
    assert "errors" not in answer, answer
    return answer["data"]


def error(client: httpx.Client, query: str, **variables: object) -> dict[str, Any]:
    return dict(ask(client, query, **variables)["errors"][0])


class TestPredict:
    def test_answers_what_rest_answers(self, client: httpx.Client) -> None:
        told = data(client, PREDICT, records={"employees": [record(), record(Designation=0)]}, model="knn")["predict"]
        rest = client.post("/predict?model=knn", json={"data": [RECORD, {**RECORD, "Designation": 0}]}).json()
        assert [row["prediction"] for row in told["predictions"]] == rest["predictions"] == [2, 0]
        assert [row["label"] for row in told["predictions"]] == rest["labels"]
        given = [{part["label"]: part["probability"] for part in row["probabilities"]} for row in told["predictions"]]
        assert given == rest["probabilities"]
        assert [told["dataset"], told["alias"], told["version"], told["nSamples"]] == ["employees", "knn", "1", 2]

    def test_records_may_stand_in_the_query_itself(self, client: httpx.Client) -> None:
        inline = ", ".join(f"{name}: {json.dumps(value)}" for name, value in record().items())
        told = data(client, f"{{ predict(records: {{employees: [{{{inline}}}]}}) {{ alias predictions {{ label }} }} }}")
        assert told["predict"] == {"alias": "champion", "predictions": [{"label": "High"}]}

    def test_a_nullable_column_may_be_left_out(self, client: httpx.Client) -> None:
        some = record()
        del some["mentalFatigueScore"]
        assert data(client, PREDICT, records={"employees": [some]})["predict"]["nSamples"] == 1

    def test_a_refused_record_is_told_as_in_rest(self, client: httpx.Client) -> None:
        found = error(client, PREDICT, records={"employees": [record(), record(**{"Sleep Hours": 25, "Gender": "x"})]})
        rest = client.post("/predict", json={"data": [RECORD, {**RECORD, "Sleep Hours": 25, "Gender": "x"}]})
        told = refused(rest, 422, "invalid_records")
        assert found["message"] == told
        assert found["extensions"] == {**rest.json(), "status": 422}
        assert {problem["column"] for problem in found["extensions"]["errors"]} == {"Sleep Hours", "Gender"}

    @pytest.mark.parametrize(
        ("records", "said"),
        [
            ({"employees": [{"gender": "Female"}]}, "required field"),
            ({"employees": [record(Designation="two")]}, "Int cannot represent"),
            ({"employees": [record(Designation=None)]}, "to be None"),
            ({}, "exactly one"),
            ({"nobody": [record()]}, "nobody"),
        ],
    )
    def test_what_the_types_rule_out_is_refused_by_graphql(self, client: httpx.Client, records: object, said: str) -> None:
        assert said in error(client, PREDICT, records=records)["message"]

    def test_an_empty_list_and_too_many_records_are_refused(self, client: httpx.Client) -> None:
        assert error(client, PREDICT, records={"employees": []})["extensions"]["error"] == "invalid_query"
        found = error(client, PREDICT, records={"employees": [record()] * 51})
        assert "more than the 50" in found["message"]

    @pytest.mark.parametrize(("model", "word", "status"), [("nobody", "unknown_alias", 404), ("svm", "model_unavailable", 503)])
    def test_an_alias_that_does_not_serve_is_told_as_in_rest(self, client: httpx.Client, model: str, word: str, status: int) -> None:
        found = error(client, PREDICT, records={"employees": [record()]}, model=model)["extensions"]
        assert (found["error"], found["status"]) == (word, status)


class TestModels:
    def test_lists_every_alias(self, client: httpx.Client) -> None:
        aliases = data(client, '{ availableModels(dataset: "employees") { alias version family metrics problem } }')["availableModels"]
        serving = {alias["alias"]: alias["version"] for alias in aliases if alias["version"]}
        assert serving == {"knn": "1", "champion": "2"}
        assert {alias["alias"] for alias in aliases} > {"svm", "lightgbm", "challenger", "previous"}

    def test_an_unknown_data_set_is_an_error(self, client: httpx.Client) -> None:
        found = error(client, '{ availableModels(dataset: "nobody") { alias } }')
        assert found["extensions"]["error"] == "unknown_dataset"

    def test_lists_every_version_as_rest_does(self, client: httpx.Client) -> None:
        plain = "version family aliases metrics gate why origin created run_id: runId data_digest: dataDigest"
        query = f"{{ registeredVersions {{ {plain} standing {{ score }} decision {{ passed }} approval {{ state }} }} }}"
        found = data(client, query)["registeredVersions"]
        assert [(version["version"], version["aliases"]) for version in found] == [("2", ["champion"]), ("1", ["knn"])]
        told = [{**version, "created": version["created"].replace("+00:00", "Z")} for version in found]
        assert told == client.get("/models/employees/versions").json()["versions"]
        assert error(client, '{ registeredVersions(dataset: "nobody") { version } }')["extensions"]["error"] == "unknown_dataset"

    def test_tells_all_of_a_version_and_how_its_columns_are_called_here(self, client: httpx.Client) -> None:
        query = "{ modelInfo { version family metrics features { name field kind minimum maximum categories nullable } classes } }"
        info = data(client, query)["modelInfo"]
        assert info["version"] == "2"
        assert info["classes"] == list(CONTRACT.target.classes)
        assert {column["name"]: column["field"] for column in info["features"]} == FIELDS

    def test_is_healthy(self, client: httpx.Client) -> None:
        assert data(client, "{ health { status datasets } }")["health"]["status"] == "ok"


class TestLimits:
    def test_a_deep_query_is_refused(self, client: httpx.Client) -> None:
        query = "{ predictions { edges { node { probabilities { label { a { b { c { d { e } } } } } } } } } }"
        assert any("depth" in found["message"] for found in ask(client, query)["errors"])

    def test_many_aliases_are_refused(self, client: httpx.Client) -> None:
        query = "{ " + " ".join(f"h{number}: health {{ status }}" for number in range(21)) + " }"
        assert "aliases" in error(client, query)["message"]

    def test_many_tokens_are_refused(self, client: httpx.Client) -> None:
        assert "tokens" in error(client, "{ health { " + "status " * 5_001 + "} }")["message"]

    def test_a_large_body_is_refused_before_it_is_parsed(self, client: httpx.Client) -> None:
        refused(client.post("/graphql", content=b"x" * 1_000_001, headers={"content-type": "application/json"}), 413, "body_too_large")

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"query": 1}', b'{"variables": {}}'])
    def test_what_is_no_query_is_refused(self, client: httpx.Client, content: bytes) -> None:
        answer = client.post("/graphql", content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 400
        assert set(answer.json()) == {"error", "detail", "errors"}

    def test_a_variable_that_the_query_does_not_declare_is_refused(self, client: httpx.Client) -> None:
        found = error(client, PREDICT, records={"employees": [record()]}, modle="knn")
        assert (found["extensions"]["error"], found["extensions"]["status"]) == ("invalid_query", 422)
        assert found["message"] == "The operation does not declare the variables 'modle'; it declares: model, records."

    def test_of_several_operations_only_the_variables_of_the_chosen_one_count(self, client: httpx.Client) -> None:
        query = "query A { health { status } } query B($model: String!) { modelInfo(model: $model) { version } }"
        chosen = client.post("/graphql", json={"query": query, "operationName": "B", "variables": {"model": "knn"}}).json()
        assert chosen["data"] == {"modelInfo": {"version": "1"}}
        other = client.post("/graphql", json={"query": query, "operationName": "A", "variables": {"model": "knn"}}).json()
        assert "'model'; it declares: none" in other["errors"][0]["message"]

    def test_an_unknown_key_of_the_body_or_parameter_of_the_query_is_refused(self, client: httpx.Client) -> None:
        query = "{ health { status } }"
        detail = refused(client.post("/graphql", json={"query": query, "variabels": {}}), 422, "invalid_body")
        assert "'variabels'; GraphQL takes query, variables" in detail
        refused(client.post("/graphql?model=knn", json={"query": query}), 422, "invalid_request")

    def test_a_query_over_get_is_refused(self, client: httpx.Client) -> None:
        refused(client.get("/graphql", params={"query": "{ health { status } }"}), 422, "invalid_request")

    def test_needs_a_key_where_predictions_need_one(self) -> None:
        with running(create_app(service_settings(api_require_key=True), FakeRegistry(champion="2"))) as client:
            refused(client.post("/graphql", json={"query": "{ health { status } }"}), 401, "invalid_key")
            answer = client.post("/graphql", json={"query": "{ health { status } }"}, headers=AS_PAGE)
            assert answer.json()["data"]["health"]["status"] == "ok"


class TestPredictions:
    def test_a_store_that_is_away_is_told_as_in_rest(self, client: httpx.Client) -> None:
        found = error(client, "{ predictions { edges { node { label } } } }")["extensions"]
        assert (found["error"], found["status"]) == ("predictions_unavailable", 503)

    @pytest.mark.parametrize("arguments", ["first: 0", "first: 1001", 'after: "nonsense"', 'dataset: "\\u0000"'])
    def test_nonsense_is_refused(self, client: httpx.Client, arguments: str) -> None:
        found = error(client, f"{{ predictions({arguments}) {{ pageInfo {{ hasNextPage }} }} }}")["extensions"]
        assert found["status"] == 422


class TestPage:
    def test_a_browser_gets_a_page_that_needs_no_content_network(self, client: httpx.Client) -> None:
        page = client.get("/graphql", headers={"accept": "text/html"})
        assert page.status_code == 200
        assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", page.text)
        for path in re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text):
            assert client.get(f"/{path}").status_code == 200

    def test_its_files_come_compressed(self, client: httpx.Client) -> None:
        with client.stream("GET", "/graphql/page/react.production.min.js") as answer:
            raw = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == "gzip"
        assert b"React" in gzip.decompress(raw)

    @pytest.mark.parametrize("name", ["page.html", "LICENSE.react", "..%2Frouter.py", "nothing.js"])
    def test_nothing_else_is_answered(self, client: httpx.Client, name: str) -> None:
        assert client.get(f"/graphql/page/{name}").status_code == 404
