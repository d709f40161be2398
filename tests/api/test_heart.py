"""A second data set is asked as the first is: by its codes in contract order, or by name."""

from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from benchmarks.harness.model import fitted, rows
from hearth.contracts import load_contract
from hearth.registry import RegisteredVersion
from hearth_api.app import create_app
from tests.api.running import refused, running, service_settings
from tests.support.models import DATA, FakeRegistry

HEART = load_contract("heart", DATA)
FEATURES = [63, 1, 3, 145, 233, 1, 0, 150, 0, 2.3, 0, 0, 1]


class HeartShelf(FakeRegistry):
    """A registry of nothing but this data set, with a real model in it, for which every column counts."""

    def __init__(self) -> None:
        super().__init__(fitted(HEART, "logistic_regression", *rows(HEART, 400)), logistic_regression="4", champion="4")

    def aliases(self, dataset: str) -> dict[str, str]:
        return dict(self.carried) if dataset == "heart" else {}

    def version(self, dataset: str, name: str) -> RegisteredVersion:
        number = name if name.isdecimal() else self.carried[name]
        return RegisteredVersion(dataset, number, "logistic_regression", "digest", "run-4", datetime(2026, 11, 25, tzinfo=UTC), {}, {})


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with running(create_app(service_settings(), HeartShelf())) as client:
        yield client


def test_thirteen_codes_get_a_class_its_probability_and_the_version_that_says_so(client: httpx.Client) -> None:
    answer = client.post("/heart/predict", json={"features": FEATURES})

    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["prediction"] in HEART.class_codes
    assert body["label"] == HEART.target.classes[HEART.class_codes.index(body["prediction"])]
    assert 0.5 <= body["probability"] <= 1
    assert body["model_version"] == "4"


def test_the_same_record_by_name_gets_the_same_answer_in_any_order(client: httpx.Client) -> None:
    by_place = client.post("/heart/predict", json={"features": FEATURES}).json()
    record = dict(reversed(list(zip(HEART.feature_names, FEATURES, strict=True))))

    by_name = client.post("/heart/predict", json={"data": [record]}).json()

    assert by_name | {"request_id": ""} == by_place | {"request_id": ""}


@pytest.mark.parametrize(("column", "value"), [("age", 40), ("sex", 0), ("cp", 0), ("oldpeak", 0), ("ca", 2), ("thal", 3)])
def test_each_value_is_taken_for_its_column(client: httpx.Client, column: str, value: float) -> None:
    before = client.post("/heart/predict", json={"features": FEATURES}).json()["probabilities"]
    changed = {**dict(zip(HEART.feature_names, FEATURES, strict=True)), column: value}

    by_place = client.post("/heart/predict", json={"features": list(changed.values())}).json()["probabilities"]

    assert by_place == client.post("/heart/predict", json={"data": [changed]}).json()["probabilities"] != before


def test_a_code_that_the_contract_does_not_have_is_refused_with_its_column(client: httpx.Client) -> None:
    detail = refused(client.post("/heart/predict", json={"features": [*FEATURES[:-1], 9]}), 422, "invalid_records")

    assert "'thal': got 9, expected one of 0 (unknown)" in detail


@pytest.mark.parametrize("datatype", ["FP64", "FP32"])
def test_one_tensor_of_numbers_in_contract_order_gets_the_same_answer(client: httpx.Client, datatype: str) -> None:
    by_place = client.post("/heart/predict", json={"features": FEATURES}).json()
    matrix = {"name": "input-0", "shape": [2, len(FEATURES)], "datatype": datatype, "data": FEATURES * 2}

    answer = client.post("/v2/models/heart/infer", json={"inputs": [matrix]})

    assert answer.status_code == 200, answer.text
    label, prediction, probabilities = answer.json()["outputs"]
    assert label["data"] == [by_place["label"]] * 2
    assert prediction["data"] == [by_place["prediction"]] * 2
    assert probabilities["data"] == pytest.approx([*by_place["probabilities"][0].values()] * 2, abs=1e-6)


def test_a_code_that_the_contract_does_not_have_is_named_in_a_tensor_too(client: httpx.Client) -> None:
    columns = [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [7.0 if name == "sex" else value]}
        for name, value in zip(HEART.feature_names, FEATURES, strict=True)
    ]

    answer = client.post("/v2/models/heart/infer", json={"inputs": columns})

    assert (answer.status_code, answer.json()["error"].split(", expected")[0]) == (400, "row 0, 'sex': got 7")
