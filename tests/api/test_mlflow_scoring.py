"""MLflow's scoring protocol, against the real application: tables in, predictions out, and what a caller learns of each mistake."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pandas as pd
import pytest

from hearth_api.app import create_app
from tests.api.running import AS_PAGE, refused, running, service_settings
from tests.support.models import FakeRegistry, employees, good_record

CONTRACT = employees()
NAMES = list(CONTRACT.feature_names)
RECORDS = [good_record(CONTRACT, Designation=level) for level in (5, 0, 2, 4)]
ROWS = [list(record.values()) for record in RECORDS]
PREDICTIONS = [2, 0, 1, 2]
CSV = {"Content-Type": "text/csv"}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with running(create_app(service_settings(), FakeRegistry(champion="2", svm="3"), checks={})) as client:
        yield client


def table(**changes: Any) -> pd.DataFrame:
    return pd.DataFrame(RECORDS).assign(**changes)


class TestInvocations:
    @pytest.mark.parametrize(
        "body",
        [
            {"dataframe_split": {"columns": NAMES, "index": [0, 1, 2, 3], "data": ROWS}},
            {"dataframe_split": {"columns": NAMES[::-1], "data": [row[::-1] for row in ROWS]}},
            {"dataframe_split": {"data": ROWS}},
            {"dataframe_records": RECORDS},
            {"instances": RECORDS},
            {"instances": ROWS},
            {"inputs": {name: [record[name] for record in RECORDS] for name in NAMES}},
            {"inputs": ROWS},
            {"inputs": RECORDS, "params": None},
            {"inputs": RECORDS, "params": {"model": "svm", "dataset": "employees"}},
        ],
    )
    def test_every_form_of_a_table_is_answered_with_classes(self, client: httpx.Client, body: object) -> None:
        answer = client.post("/invocations", json=body)

        assert answer.status_code == 200, answer.text
        assert answer.json() == {"predictions": PREDICTIONS}

    def test_a_table_that_pandas_writes_is_read_with_its_missing_values(self, client: httpx.Client) -> None:
        frame = table(**{"Mental Fatigue Score": [None, 1.0, 2.0, 3.0]})

        answer = client.post("/invocations", content=json.dumps({"dataframe_split": frame.to_dict(orient="split")}))

        assert answer.json() == {"predictions": PREDICTIONS}, answer.text

    def test_the_method_may_be_that_of_probabilities(self, client: httpx.Client) -> None:
        answer = client.post("/invocations", json={"instances": RECORDS[:1], "params": {"method": "predict_proba"}})

        [row] = answer.json()["predictions"]
        assert row == pytest.approx([0.1, 0.1, 0.8])

    def test_a_csv_file_is_read_with_its_missing_values(self, client: httpx.Client) -> None:
        content = table(**{"Mental Fatigue Score": [None, 1.0, 2.0, 3.0]}).to_csv(index=False)

        answer = client.post("/invocations", content=content, headers={"Content-Type": "text/csv; charset=utf-8"})

        assert answer.json() == {"predictions": PREDICTIONS}, answer.text

    def test_what_the_contract_refuses_is_named_with_row_column_value_and_expectation(self, client: httpx.Client) -> None:
        for answer in (
            client.post("/invocations", json={"dataframe_records": [RECORDS[0], {**RECORDS[1], "Designation": 9}]}),
            client.post("/invocations", content=table(Designation=[0, 9, 1, 1]).to_csv(index=False), headers=CSV),
        ):
            assert refused(answer, 422, "invalid_records") == "row 1, 'Designation': got 9, expected a whole number from 0 to 5 (level)"
            assert answer.json()["errors"][0]["column"] == "Designation"

    @pytest.mark.parametrize(
        ("params", "status", "error", "reason"),
        [
            ({"model": "tarot"}, 404, "unknown_alias", "'employees' has no alias 'tarot'"),
            ({"dataset": "weather"}, 404, "unknown_dataset", "There is no data set 'weather'"),
            ({"model": "lightgbm"}, 503, "model_unavailable", "no version carries this alias yet"),
            ({"temperature": 1}, 422, "invalid_body", "'temperature', which is not read; expected only: dataset, model, method, include."),
            ({"model": 1}, 422, "invalid_body", "a 'model' that is not a text"),
            ({"method": "transform"}, 422, "invalid_body", "expected 'predict' or 'predict_proba'"),
            ([], 422, "invalid_body", '"params" must be an object.'),
        ],
    )
    def test_params_that_are_not_known_are_refused(
        self, client: httpx.Client, params: object, status: int, error: str, reason: str
    ) -> None:
        assert reason in refused(client.post("/invocations", json={"inputs": RECORDS, "params": params}), status, error)

    @pytest.mark.parametrize(
        ("body", "reason"),
        [
            ([], "The body must be a JSON object with one of: dataframe_split, dataframe_records, instances, inputs."),
            ({}, "it has none."),
            ({"inputs": RECORDS, "instances": RECORDS}, "it has instances, inputs."),
            ({"inputs": RECORDS, "signature_name": "s"}, "The body has unknown keys: 'signature_name'"),
            ({"inputs": []}, "The body has no records."),
            ({"inputs": RECORDS * 13}, "more than 50 records"),
            ({"inputs": {"Designation": 1}}, "a list of values for each column"),
            ({"inputs": {"Designation": [1], "Gender": []}}, "columns of different lengths: 'Designation' 1, 'Gender' 0."),
            ({"inputs": [1, 2]}, "Rows must be a list of objects, or a list of lists of values"),
            ({"instances": [ROWS[0][:5]]}, "Row 0 has 5 values; expected 13"),
            ({"instances": {}}, "Rows must be a list"),
            ({"dataframe_records": {}}, "must be a list of objects"),
            ({"dataframe_split": ROWS}, '"dataframe_split" must be an object with "data"'),
            ({"dataframe_split": {"data": ROWS, "name": "x"}}, '"dataframe_split" must be an object with "data"'),
            ({"dataframe_split": {"data": [1]}}, "must be a list of lists"),
            ({"dataframe_split": {"data": ROWS, "columns": [1]}}, "must be a list of names"),
            ({"dataframe_split": {"data": ROWS, "index": [1]}}, "an item for each row"),
            ({"dataframe_split": {"data": [["a", "b"]], "columns": ["Gender", "Gender"]}}, "A column is named twice."),
        ],
    )
    def test_what_is_wrong_with_the_form_is_named(self, client: httpx.Client, body: object, reason: str) -> None:
        assert reason in refused(client.post("/invocations", json=body), 422, "invalid_body")

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (table().to_csv(), "The first line names '', which 'employees' does not have"),
            ("Gender\nMale,1\n", "Row 0 has 2 cells, the first line has 1."),
            ("Gender\n", "The body has no records."),
            ("", "The body has no records."),
            ("Gender\n" + "Male\n" * 51, "more than 50 records"),
            ('Gender\n"Male', "The body is not CSV in UTF-8"),
            (b"Gender\n\xff\n", "The body is not CSV in UTF-8"),
        ],
    )
    def test_what_is_wrong_with_a_csv_file_is_named(self, client: httpx.Client, content: Any, reason: str) -> None:
        assert reason in refused(client.post("/invocations", content=content, headers=CSV), 422, "invalid_body")

    @pytest.mark.parametrize("media_type", ["application/vnd.apache.parquet", "application/json; charset=latin-1", "text/plain"])
    def test_another_type_of_content_is_refused(self, client: httpx.Client, media_type: str) -> None:
        answer = client.post("/invocations", content=b"{}", headers={"Content-Type": media_type})

        assert "content type" in refused(answer, 422, "invalid_body")


def test_ping_says_whether_the_default_champion_serves_and_version_which_mlflow_is_spoken(client: httpx.Client) -> None:
    assert client.get("/ping").status_code == 200
    assert client.get("/version").text.startswith("3.")
    with running(create_app(service_settings(), FakeRegistry(svm="3"), checks={})) as other:
        refused(other.get("/ping"), 503, "model_unavailable")


def test_where_predictions_need_a_key_invocations_do() -> None:
    with running(create_app(service_settings(api_require_key=True), FakeRegistry(champion="2"), checks={})) as client:
        assert [client.get(path).status_code for path in ("/ping", "/version")] == [200, 200]
        refused(client.post("/invocations", json={"inputs": RECORDS}), 401, "invalid_key")
        assert client.post("/invocations", json={"inputs": RECORDS}, headers=AS_PAGE).status_code == 200
