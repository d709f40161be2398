"""Explanations as clients see them: a real service and models that were really fitted."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline
from strawberry.utils.str_converters import to_camel_case

from hearth.contracts.names import field_name
from hearth.data.cleaning import target_codes
from hearth.fakes import FakeRecords
from hearth.modelling.families import FAMILIES
from hearth.modelling.features import build_features
from hearth_api.app import create_app
from tests.api.running import refused, running, service_settings
from tests.support.models import DATA, FakeRegistry, employees

CONTRACT = employees()
FAKES = FakeRecords.load(CONTRACT, DATA)
[RECORD] = FAKES.records(1, seed=5)


def fitted(model: object) -> Pipeline:
    frame = FAKES.frame(300, seed=3)
    frame = frame[frame[CONTRACT.target.column].notna()]
    X = frame[list(CONTRACT.feature_names)].astype(dict.fromkeys(CONTRACT.numeric_features, np.float64))
    pipeline = Pipeline([("features", build_features(CONTRACT)), ("model", model)])
    return pipeline.fit(X, target_codes(CONTRACT, frame[CONTRACT.target.column]).to_numpy())


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    family = FAMILIES["lightgbm"]
    shelf = FakeRegistry(fitted(family.build({**family.defaults, "n_estimators": 10}, 1)), lightgbm="1", champion="1")
    with running(create_app(service_settings(explain_max_records=5), shelf)) as client:
        yield client


@pytest.fixture(scope="module")
def linear() -> Iterator[httpx.Client]:
    with running(
        create_app(service_settings(explain_max_records=5), FakeRegistry(fitted(LogisticRegression(max_iter=500)), champion="3"))
    ) as client:
        yield client


def test_a_record_is_explained_for_the_class_that_is_predicted(client: httpx.Client) -> None:
    answer = client.post("/explain?model=lightgbm", json={"data": [RECORD]}, headers={"X-Request-ID": "mine"})
    body = answer.json()
    [explanation] = body["explanations"]
    assert {name: body[name] for name in ("dataset", "model", "alias", "version", "n_samples", "request_id")} == {
        "dataset": "employees",
        "model": "employees",
        "alias": "lightgbm",
        "version": "1",
        "n_samples": 1,
        "request_id": answer.headers["X-Request-ID"],
    }
    assert "TreeSHAP" in body["method"]
    assert explanation["unit"] == "log-odds"
    assert explanation["explained_class"] == explanation["label"]
    assert {part["column"]: part["value"] for part in explanation["contributions"]} == RECORD
    amounts = [part["contribution"] for part in explanation["contributions"]]
    assert sorted(amounts, key=abs, reverse=True) == amounts
    assert explanation["base_value"] + sum(amounts) == pytest.approx(explanation["score"])


def test_it_is_about_what_predict_answers(client: httpx.Client, linear: httpx.Client) -> None:
    for each in (client, linear):
        predicted = each.post("/predict", json={"data": [RECORD]}).json()
        [explanation] = each.post("/explain", json={"data": [RECORD]}).json()["explanations"]
        assert explanation["probabilities"] == pytest.approx(predicted["probabilities"][0])
        assert (explanation["prediction"], explanation["label"]) == (predicted["predictions"][0], predicted["labels"][0])


def test_other_families_are_explained_in_probability(linear: httpx.Client) -> None:
    body = linear.post("/employees/explain?class=High", json={"data": [RECORD]}).json()
    [explanation] = body["explanations"]
    assert (explanation["unit"], explanation["explained_class"]) == ("probability", "High")
    assert explanation["score"] == pytest.approx(explanation["probabilities"]["High"]) == explanation["probability"]
    assert "against 64 of 512 fake records" in body["method"]
    assert linear.post("/explain?class=High", json={"data": [RECORD]}).json()["explanations"] == [explanation]


def test_values_in_contract_order_are_taken_as_by_predict(client: httpx.Client) -> None:
    by_name = client.post("/explain", json={"data": [RECORD]}).json()["explanations"]
    assert client.post("/explain", json={"features": list(RECORD.values())}).json()["explanations"] == by_name
    turned = dict(reversed(RECORD.items()))
    assert client.post("/explain", json={"features": list(turned.values()), "columns": list(turned)}).json()["explanations"] == by_name


def test_every_class_and_only_the_largest_can_be_asked_for(client: httpx.Client) -> None:
    body = client.post("/explain?class=all&top=2", json={"data": [RECORD, RECORD]}).json()
    assert [(each["row"], each["explained_class"]) for each in body["explanations"]] == [
        (row, class_) for row in (0, 1) for class_ in ("Low", "Medium", "High")
    ]
    for each in body["explanations"]:
        assert len(each["contributions"]) == 2
        total = each["base_value"] + sum(part["contribution"] for part in each["contributions"]) + each["rest"]
        assert total == pytest.approx(each["score"])


def test_a_missing_value_stays_missing(client: httpx.Client) -> None:
    body = client.post("/explain", json={"data": [{**RECORD, "Mental Fatigue Score": None}]}).json()
    assert {part["column"]: part["value"] for part in body["explanations"][0]["contributions"]}["Mental Fatigue Score"] is None


def test_what_cannot_be_explained_is_refused(client: httpx.Client) -> None:
    good = {"data": [RECORD]}
    assert "Low, Medium, High, all" in refused(client.post("/explain?class=Huge", json=good), 422, "unknown_class")
    assert "6 records, more than the 5" in refused(client.post("/explain", json={"data": [RECORD] * 6}), 422, "invalid_body")
    refused(client.post("/explain?model=nobody", json=good), 404, "unknown_alias")
    refused(client.post("/explain?model=svm", json=good), 503, "model_unavailable")
    refused(client.post("/explain?top=0", json=good), 422, "invalid_request")
    refused(client.post("/explain", content=b"{"), 422, "invalid_body")
    assert "Designation" in refused(client.post("/explain", json={"data": [{**RECORD, "Designation": 9}]}), 422, "invalid_records")


def test_many_at_once_are_all_answered_alike(linear: httpx.Client) -> None:
    def ask(_: int) -> object:
        return linear.post("/explain", json={"data": [RECORD]}).json()["explanations"]

    with ThreadPoolExecutor(8) as threads:
        first, *others = threads.map(ask, range(8))
    assert all(each == first for each in others)


def test_it_is_documented_with_an_example_that_works(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()["paths"]["/explain"]["post"]
    example = described["requestBody"]["content"]["application/json"]["examples"]["records"]["value"]
    assert client.post("/explain", json=example).status_code == 200
    assert {parameter["name"] for parameter in described["parameters"]} >= {"model", "class", "top"}


class TestGraphql:
    query = """query ($records: Records!, $class: String, $top: Int) {
      explain(records: $records, model: "lightgbm", class: $class, top: $top) {
        method dataset alias family version
        explanations {
          row prediction label explainedClass probability unit baseValue score rest
          contributions { column value contribution }
        }
      }
    }"""

    def ask(self, client: httpx.Client, records: list[dict[str, object]], **more: object) -> dict[str, Any]:
        names = {name: to_camel_case(field_name(name)) for name in CONTRACT.feature_names}
        given = [{names[name]: value for name, value in each.items()} for each in records]
        answer = client.post("/graphql", json={"query": self.query, "variables": {"records": {"employees": given}, **more}})
        assert answer.status_code == 200
        return dict(answer.json())

    @pytest.mark.parametrize("more", [{}, {"class": "High"}, {"class": "all", "top": 2}])
    def test_it_says_what_rest_says(self, client: httpx.Client, more: dict[str, Any]) -> None:
        records = FAKES.records(2, seed=6)
        told = self.ask(client, records, **more)["data"]["explain"]
        wanted = client.post("/explain", params={"model": "lightgbm", **more}, json={"data": records}).json()
        assert {name: told[name] for name in ("method", "dataset", "alias", "family", "version")} == {
            name: wanted[name] for name in ("method", "dataset", "alias", "family", "version")
        }
        names = ("row", "prediction", "label", "probability", "unit", "score", "rest", "contributions")
        assert [{name: each[name] for name in names} for each in told["explanations"]] == [
            {name: each[name] for name in names} for each in wanted["explanations"]
        ]
        assert [(each["explainedClass"], each["baseValue"]) for each in told["explanations"]] == [
            (each["explained_class"], each["base_value"]) for each in wanted["explanations"]
        ]

    @pytest.mark.parametrize(
        ("count", "more", "code"), [(1, {"class": "Huge"}, "unknown_class"), (1, {"top": 0}, "invalid_query"), (6, {}, "invalid_query")]
    )
    def test_what_rest_refuses_it_refuses(self, client: httpx.Client, count: int, more: dict[str, object], code: str) -> None:
        answer = self.ask(client, FAKES.records(count, seed=6), **more)
        assert answer["data"] is None
        assert [each["extensions"]["error"] for each in answer["errors"]] == [code]
