"""Predictions as clients see them: a real uvicorn, the real application, and a registry that is a dictionary."""

import json
import threading
from collections.abc import Iterator

import httpx
import numpy as np
import pandas as pd
import pytest

from hearth_api.app import create_app
from tests.api.running import refused, running, service_settings
from tests.support.models import ByDesignation, FakeRegistry, employees, good_record

CONTRACT = employees()
GOOD = good_record(CONTRACT, Designation=4)
BACKWARDS = list(reversed(CONTRACT.feature_names))
VALUES = [GOOD[name] for name in CONTRACT.feature_names]


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with running(create_app(service_settings(api_max_records=300), FakeRegistry(knn="1", champion="2"))) as client:
        yield client


class TestAnswer:
    def test_is_in_the_order_of_the_records(self, client: httpx.Client) -> None:
        data = [{**GOOD, "Designation": level} for level in (5, 0, 2)]
        body = client.post("/predict", params={"model": "knn"}, json={"data": data}).json()

        assert body["predictions"] == [2, 0, 1]
        assert body["labels"] == ["High", "Low", "Medium"]
        assert body["probabilities"][0] == pytest.approx({"Low": 0.1, "Medium": 0.1, "High": 0.8})
        assert (body["prediction"], body["label"], body["probability"]) == (None, None, None)

    def test_says_who_answered(self, client: httpx.Client) -> None:
        answer = client.post("/predict", params={"model": "knn"}, json={"data": [GOOD]}, headers={"X-Request-ID": "mine-1"})
        body = answer.json()

        assert {key: value for key, value in body.items() if not key.startswith(("pred", "label", "prob"))} == {
            "dataset": "employees",
            "alias": "knn",
            "model": "employees",
            "version": "1",
            "model_version": "1",
            "family": "knn",
            "n_samples": 1,
            "request_id": answer.headers["X-Request-ID"],
        }
        assert answer.headers["content-type"] == "application/json"

    def test_to_one_record_has_its_prediction_by_itself(self, client: httpx.Client) -> None:
        body = client.post("/predict", json={"data": [GOOD]}).json()

        assert (body["prediction"], body["label"]) == (2, "High")
        assert body["probability"] == pytest.approx(0.8)

    def test_comes_from_the_champion_if_nobody_is_named(self, client: httpx.Client) -> None:
        assert client.post("/predict", json={"data": [GOOD]}).json()["version"] == "2"

    def test_comes_from_the_data_set_that_is_named(self, client: httpx.Client) -> None:
        assert client.post("/employees/predict", json={"data": [GOOD]}).json()["dataset"] == "employees"

    def test_to_many_records_is_the_same_as_to_each(self, client: httpx.Client) -> None:
        """Few are scored where they arrive, many in a thread."""
        data = [{**GOOD, "Designation": row % 6} for row in range(300)]

        assert client.post("/predict", json={"data": data}).json()["predictions"] == [row % 6 // 2 for row in range(300)]


class TestRecords:
    def test_a_row_of_the_raw_file_can_be_sent_as_it_is(self, client: httpx.Client) -> None:
        row = {**GOOD, "Employee ID": "fffe32", "Date of Joining": "2008-09-30", "Years in Company": 16, "Burn Rate": 0.5}

        assert client.post("/predict", json={"data": [row]}).status_code == 200

    @pytest.mark.parametrize("count", [1, 40])
    def test_a_missing_value_may_be_null_or_left_out_where_the_contract_allows_it(self, client: httpx.Client, count: int) -> None:
        left_out = {name: value for name, value in GOOD.items() if name != "Mental Fatigue Score"}
        answer = client.post("/predict", json={"data": [{**GOOD, "Mental Fatigue Score": None}, left_out] * count})

        assert answer.json()["n_samples"] == 2 * count


class TestFeatures:
    def test_a_list_of_values_is_one_record_in_contract_order(self, client: httpx.Client) -> None:
        body = client.post("/predict", json={"features": VALUES}).json()

        assert (body["label"], body["n_samples"]) == ("High", 1)

    def test_a_list_of_lists_is_several(self, client: httpx.Client) -> None:
        other = [0 if name == "Designation" else value for name, value in zip(CONTRACT.feature_names, VALUES, strict=True)]

        assert client.post("/predict", json={"features": [VALUES, other]}).json()["labels"] == ["High", "Low"]

    def test_the_wrong_number_of_values_is_told_with_the_row_and_the_names(self, client: httpx.Client) -> None:
        answer = client.post("/predict", json={"features": [VALUES, VALUES[:-1]]})

        refused(answer, 422, "invalid_records")
        [problem] = answer.json()["errors"]
        assert problem["row"] == 1
        assert problem["expected"] == f"{len(VALUES)} values: {', '.join(CONTRACT.feature_names)}"

    def test_a_value_that_the_contract_refuses_is_named_as_in_records(self, client: httpx.Client) -> None:
        bad = ["unknown" if name == "Gender" else value for name, value in zip(CONTRACT.feature_names, VALUES, strict=True)]
        answer = client.post("/predict", json={"features": [VALUES, bad]})

        refused(answer, 422, "invalid_records")
        assert [(problem["row"], problem["column"]) for problem in answer.json()["errors"]] == [(1, "Gender")]

    @pytest.mark.parametrize("features", [[], {}, "text", None, [[], 1], [VALUES, 1]])
    def test_anything_else_is_refused(self, client: httpx.Client, features: object) -> None:
        assert '"features" must be' in refused(client.post("/predict", json={"features": features}), 422, "invalid_body")

    def test_more_lists_than_the_limit_are_refused(self, client: httpx.Client) -> None:
        detail = refused(client.post("/predict", json={"features": [VALUES] * 301}), 422, "invalid_body")

        assert '"features" has 301 records, more than the 300' in detail


class TestColumns:
    @pytest.mark.parametrize("key", ["features", "data"])
    def test_names_and_orders_the_values_of_lists(self, client: httpx.Client, key: str) -> None:
        values = [GOOD[name] for name in BACKWARDS]

        assert client.post("/predict", json={"columns": BACKWARDS, key: [values]}).json()["label"] == "High"

    def test_lists_under_data_without_names_are_in_contract_order(self, client: httpx.Client) -> None:
        assert client.post("/predict", json={"data": [VALUES]}).json()["label"] == "High"

    def test_a_column_that_may_be_missing_can_be_left_out(self, client: httpx.Client) -> None:
        names = [name for name in BACKWARDS if name != "Mental Fatigue Score"]
        body = client.post("/predict", json={"columns": names, "features": [GOOD[name] for name in names]}).json()

        assert body["label"] == "High"

    def test_one_that_may_not_is_an_error(self, client: httpx.Client) -> None:
        names = [name for name in BACKWARDS if name != "Gender"]
        answer = client.post("/predict", json={"columns": names, "features": [GOOD[name] for name in names]})

        refused(answer, 422, "invalid_records")
        [problem] = answer.json()["errors"]
        assert (problem["row"], problem["column"]) == (0, "Gender")
        assert problem["expected"].endswith("it is missing")

    def test_chooses_among_the_columns_of_records(self, client: httpx.Client) -> None:
        """A row with columns that nobody knows can be sent if those that count are named."""
        body = client.post("/predict", json={"columns": BACKWARDS, "data": [{**GOOD, "Shoe Size": 43}]}).json()

        assert body["label"] == "High"

    @pytest.mark.parametrize(
        ("columns", "said"),
        [
            (["Gender", "Shoe Size"], "names 'Shoe Size', which 'employees' does not have"),
            (["Gender", "Gender"], "names a column twice"),
            ([], "must be a list of names"),
            ("Gender", "must be a list of names"),
            ([1], "must be a list of names"),
            ([["Gender"]], "must be a list of names"),
            (None, "must be a list of names"),
        ],
    )
    def test_names_that_cannot_be_are_refused(self, client: httpx.Client, columns: object, said: str) -> None:
        assert said in refused(client.post("/predict", json={"columns": columns, "features": VALUES}), 422, "invalid_body")


class Gated(ByDesignation):
    """Scores many records only once it may."""

    def __init__(self) -> None:
        self.may, self.begun = threading.Event(), threading.Event()

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        if len(frame) > 1000:
            self.begun.set()
            assert self.may.wait(30)
        return super().predict_proba(frame)


def test_few_records_are_answered_while_many_are_being_scored() -> None:
    model = Gated()
    with running(create_app(service_settings(api_max_records=2000), FakeRegistry(model, champion="1"))) as client:
        many: list[httpx.Response] = []
        content = json.dumps({"data": [GOOD] * 1001})
        thread = threading.Thread(target=lambda: many.append(client.post("/predict", content=content)))
        thread.start()
        try:
            assert model.begun.wait(30)
            assert client.post("/predict", json={"data": [GOOD]}).json()["label"] == "High"
            assert not many
        finally:
            model.may.set()
            thread.join()

        assert many[0].json()["n_samples"] == 1001


def test_a_moved_alias_is_followed_without_a_restart_and_without_a_failed_request() -> None:
    shelf = FakeRegistry(champion="1")
    with running(create_app(service_settings(alias_poll_seconds=0.05), shelf)) as client:
        assert client.post("/predict", json={"data": [GOOD]}).json()["version"] == "1"
        shelf.carried["champion"] = "2"
        for _ in range(100_000):
            answer = client.post("/predict", json={"data": [GOOD]})
            assert answer.status_code == 200
            if answer.json()["version"] == "2":
                return
        pytest.fail("the alias was not followed")
