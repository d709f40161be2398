"""docs/add-a-dataset.md, followed to the letter: every service that a stack runs has the data set, by its contract alone."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import expect

from deploy.embedded import temporary_servers
from tests.browser.chromium import chromium
from tests.support import guide
from tests.support.stack import Addresses, Stack, stack_of
from tests.support.waiting import LIMIT_SECONDS, wait_until

AT = "127.0.0.1:8800"  # where the page says that REST is


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> guide.Guide:
    return guide.tumours(tmp_path_factory.mktemp("tumours"))


@pytest.fixture(scope="module")
def stack(followed: guide.Guide, mlflow_uri: str, postgres_url: str, valkey_url: str) -> Iterator[Stack]:
    addresses = Addresses(mlflow_uri, temporary_servers.create_database(postgres_url, "add_a_dataset"), valkey_url)
    with stack_of(followed, "tumours", addresses) as stack:
        yield stack


@pytest.fixture
def api(stack: Stack) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=stack.api_url, timeout=60) as client:
        yield client


def asked(followed: guide.Guide, stack: Stack, title: str) -> Any:
    """What the answer to a command of the page says."""
    return json.loads(followed.run(title, replaced={AT: f"127.0.0.1:{stack.api_port}"}))


def test_its_readme_has_every_column(followed: guide.Guide, api: httpx.Client) -> None:
    readme = (followed.data / "tumours/README.md").read_text("utf-8")

    for column in api.get("/datasets/tumours").json()["columns"]:
        assert f"| {column['name']} | {column['role']} | {column['expected']} | {column['description']} |" in readme


def test_rest_predicts_and_explains(followed: guide.Guide, stack: Stack) -> None:
    answer = asked(followed, stack, "rest")
    reason = asked(followed, stack, "explain")

    assert (answer["labels"], answer["family"]) == (["Malignant"], "logistic_regression")
    [explanation] = reason["explanations"]
    assert explanation["explained_class"] == "Malignant"
    assert {part["column"] for part in explanation["contributions"]} == {"Radius", "Texture", "Smoothness", "Concavity", "Symmetry"}
    assert "with the statistics of the real data" in reason["method"]


def test_the_examples_of_openapi_are_answered(api: httpx.Client) -> None:
    body = api.get("/openapi.json").json()["paths"]["/tumours/predict"]["post"]["requestBody"]["content"]["application/json"]

    for example in body["examples"].values():
        assert api.post("/tumours/predict", json=example["value"]).status_code == 200


def test_a_record_that_breaks_its_contract_is_refused_with_what_was_expected(api: httpx.Client) -> None:
    answer = api.post("/tumours/predict", json={"features": [20.6, 22, 0.11, 0.21, 99]})

    assert answer.status_code == 422
    assert "a number from 0 to 1 (of the radius)" in answer.text


def test_graphql_has_a_type_for_its_records(followed: guide.Guide, stack: Stack) -> None:
    answer = asked(followed, stack, "graphql")

    assert "errors" not in answer
    assert [prediction["label"] for prediction in answer["data"]["predict"]["predictions"]] == ["Malignant"]


def test_grpc_scores_its_file(followed: guide.Guide, stack: Stack) -> None:
    said = followed.run("grpc", stack.settings)

    assert "models:/tumours@champion" in said
    assert [line.split()[1] for line in said.splitlines()[1:4]] == ["Malignant"] * 3
    assert "3 of 3 records scored" in said


def test_the_worker_scores_what_comes_over_the_stream_and_stores_it(followed: guide.Guide, stack: Stack, api: httpx.Client) -> None:
    [message_id] = asked(followed, stack, "stream")["message_ids"]
    wait_until(lambda: api.get(f"/predictions/{message_id}").json()["status"] == "scored")

    assert [stored["label"] for stored in api.get(f"/predictions/{message_id}").json()["predictions"]] == ["Malignant"]

    followed.run("producer", stack.settings)

    wait_until(lambda: len(streamed(api)) >= 40)
    assert {stored["dataset"] for stored in streamed(api)} == {"tumours"}


def streamed(api: httpx.Client) -> list[Any]:
    answer = api.get("/predictions", params={"dataset": "tumours", "source": "stream", "limit": 100})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["predictions"])


def test_the_page_has_a_form_for_it(stack: Stack) -> None:
    expect.set_options(timeout=LIMIT_SECONDS * 1_000)
    with chromium() as browser, browser.new_page() as page:
        page.goto(f"http://127.0.0.1:{stack.page_port}/predict")
        page.get_by_role("combobox", name="Data set").click()
        page.get_by_role("option", name="tumours: Is the tumour malignant?").click()
        expect(page.get_by_text("Nuclei of cells from breast tumours")).to_be_visible()
        expect(page.get_by_role("slider")).to_have_count(5)

        page.get_by_role("button", name="Predict").click()

        expect(page.get_by_test_id("stMetricValue").first).to_have_text("Benign")  # of the typical record, with which the form begins
