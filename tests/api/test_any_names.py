"""A data set whose names other systems have rules about is served like any other, and one with a mistake stops none of them."""

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from hearth.errors import InvalidContract, UnknownDataset
from hearth.registry import RegisteredVersion, StoredModel
from hearth_api.app import create_app
from tests.api.running import running, service_settings
from tests.support.contracts import ODD_NAMES, ODD_RECORD, write_contract
from tests.support.fake_registry import FakeRegistry, stored

FIELDS = {
    "Q1_1": "q1_1",
    "Q11": "q11",
    "class": "class",
    "Return": "return",
    "Größe": "grosse",
    "年龄": "u5e74u9f84",
    "Price (k$)": "priceK",
    "a//b": "aB",
    "?": "column_",
}
PREDICT = "query ($rows: [InRecord!]!) { predict(records: {in: $rows}) { predictions { label } } }"


class ByQuestion:
    """Answers by the two columns whose names differ least: `Q11` above 50 is the second class, `Q1_1` above 0.5 the third."""

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        assert list(frame.columns) == list(ODD_RECORD)
        codes = np.select([frame["Q1_1"] > 0.5, frame["Q11"] > 50], [2, 1], 0)
        probabilities: np.ndarray = np.eye(4)[codes] * 0.8 + 0.05
        return probabilities


class OddRegistry(FakeRegistry):
    dataset = "in"

    def load_with_example(self, version: RegisteredVersion) -> StoredModel:
        assert version.dataset == self.dataset
        return stored(self.model, pd.DataFrame([ODD_RECORD]))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    write_contract(folder)
    (folder / "bad").mkdir()
    (folder / "bad" / "contract.yaml").write_text(ODD_NAMES.replace("name: in\n", "name: bad\n").replace("maximum: 100", "maximum: 1_00"))
    return folder


@pytest.fixture(scope="module")
def client(data_dir: Path) -> Iterator[httpx.Client]:
    settings = service_settings(data_dir=data_dir, api_default_dataset="in")
    with running(create_app(settings, OddRegistry(ByQuestion(), champion="1"))) as client:
        yield client


@pytest.mark.parametrize(
    ("changes", "label"), [({}, "<=50K"), ({"Q11": 60.0}, ">50K"), ({"Q1_1": 0.6}, "$1_to_$2"), ({"Q1_1": None, "Q11": 51.0}, ">50K")]
)
def test_every_column_gets_its_own_value_in_graphql_as_in_rest(client: httpx.Client, changes: dict[str, object], label: str) -> None:
    record = {**ODD_RECORD, **changes}

    rest = client.post("/in/predict", json={"data": [record]})
    row = {FIELDS[name]: value for name, value in record.items()}
    graphql = client.post("/graphql", json={"query": PREDICT, "variables": {"rows": [row]}})

    assert rest.json()["labels"] == [label], rest.text
    assert graphql.json() == {"data": {"predict": {"predictions": [{"label": label}]}}}


def test_graphql_says_which_field_a_column_is(client: httpx.Client) -> None:
    answer = client.post("/graphql", json={"query": "{ modelInfo { features { name field } } }"}).json()

    assert {column["name"]: column["field"] for column in answer["data"]["modelInfo"]["features"]} == FIELDS


def test_the_document_of_the_service_has_the_columns_by_their_own_names(client: httpx.Client) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]

    assert set(ODD_RECORD) <= set(schemas["InRecord"]["properties"])


def test_a_data_set_with_a_mistake_is_not_served_and_the_others_are(client: httpx.Client) -> None:
    assert client.get("/health").status_code == 200
    answer = client.post("/bad/predict", json={"data": [ODD_RECORD]})

    assert (answer.status_code, answer.json()["error"]) == (404, "unknown_dataset")


def test_the_mistake_is_logged_with_file_and_line_and_refused_for_the_default_data_set(
    data_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        create_app(service_settings(data_dir=data_dir, api_default_dataset="in"), OddRegistry())
    assert [f"{data_dir}/bad/contract.yaml: line 11: 1_00 is read as 100" in record.getMessage() for record in caplog.records] == [True]

    with pytest.raises(InvalidContract, match="1_00 is read as 100"):
        create_app(service_settings(data_dir=data_dir, api_default_dataset="bad"), OddRegistry())
    with pytest.raises(UnknownDataset, match="there are: in"):
        create_app(service_settings(data_dir=data_dir, api_default_dataset="none"), OddRegistry())
