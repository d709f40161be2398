"""`GET /metrics`, and what of a request reaches it."""

from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from hearth_api.app import create_app
from tests.api.running import AS_ADMIN, running, service_settings
from tests.support.models import FakeRegistry, employees, good_record

GOOD = good_record(employees(), Designation=4)
HOSTILE = 'x"}{y'


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with running(create_app(service_settings(), FakeRegistry(knn="1", champion="2", challenger="3"), checks={})) as client:
        yield client


def value(client: httpx.Client, name: str, **labels: str) -> float:
    """The sum of the samples that have these labels."""
    found = [sample for family in families(client.get("/metrics").text) for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in found if labels.items() <= sample.labels.items())


def labels_of(client: httpx.Client, name: str) -> set[str]:
    found = [sample for family in families(client.get("/metrics").text) for sample in family.samples]
    return {sample.labels[name] for sample in found if name in sample.labels}


def predict(client: httpx.Client, rows: int = 1, **params: str) -> httpx.Response:
    return client.post("/predict", params=params, json={"data": [GOOD] * rows})


def test_requests_are_counted_by_template_method_and_status(client: httpx.Client) -> None:
    predict(client)
    client.post("/employees/predict", json={"data": [GOOD]})
    client.post("/employees/predict", json={"data": []})
    client.get("/datasets/employees")

    assert value(client, "hearth_http_requests_total", method="POST", route="/predict", status="200") == 1
    assert value(client, "hearth_http_requests_total", method="POST", route="/employees/predict", status="200") == 1
    assert value(client, "hearth_http_requests_total", method="POST", route="/employees/predict", status="422") == 1
    assert value(client, "hearth_http_requests_total", route="/datasets/{name}", status="200") == 1
    assert value(client, "hearth_http_request_seconds_count", method="POST", route="/employees/predict") == 2


def test_records_are_counted_by_what_answered_them(client: httpx.Client) -> None:
    predict(client, 3)
    predict(client, 40)
    predict(client, model="knn")

    assert value(client, "hearth_records_scored_total", alias="champion", version="2", source="rest", dataset="employees") == 43
    assert value(client, "hearth_records_scored_total", alias="knn", version="1") == 1
    assert value(client, "hearth_predictions_not_stored_total", reason="off") == 44


def test_errors_are_counted_by_code(client: httpx.Client) -> None:
    client.post("/predict", json={"data": [{**GOOD, "Designation": 9}]})
    predict(client, model="tarot")
    predict(client, model="tarot")
    client.get("/nowhere")
    client.put("/predict")

    assert {code: value(client, "hearth_errors_total", code=code) for code in labels_of(client, "code")} == {
        "invalid_records": 1,
        "unknown_alias": 2,
        "not_found": 1,
        "method_not_allowed": 1,
    }


def test_a_failure_that_nobody_foresaw_is_counted() -> None:
    app = create_app(service_settings(), FakeRegistry(), checks={})

    @app.get("/fails")
    async def fails() -> None:
        raise ZeroDivisionError

    with running(app) as client:
        assert client.get("/fails", headers={"Connection": "close"}).status_code == 500  # the server ends the connection then
        assert value(client, "hearth_errors_total", code="internal_error") == 1
        assert value(client, "hearth_http_requests_total", route="/fails", status="500") == 1


def test_what_serves_is_told_and_a_swap_is_counted() -> None:
    shelf = FakeRegistry(champion="2")
    with running(create_app(service_settings(), shelf, checks={})) as client:
        assert value(client, "hearth_model_serving", dataset="employees", alias="champion", version="2") == 1
        assert value(client, "hearth_model_reloads_total", alias="champion", outcome="swapped") == 1
        assert value(client, "hearth_model_follower_problem") == 0
        shelf.carried["champion"] = "7"
        client.post("/model/reload", headers=AS_ADMIN).raise_for_status()

        assert value(client, "hearth_model_serving", alias="champion", version="7") == 1
        assert value(client, "hearth_model_serving", alias="champion", version="2") == 0
        assert value(client, "hearth_model_reloads_total", alias="champion", outcome="swapped") == 2


def test_nothing_that_a_caller_sends_is_in_a_label(client: httpx.Client) -> None:
    for path in (f"/{HOSTILE}", f"/{HOSTILE}/predict", f"/datasets/{HOSTILE}", f"/predictions/{HOSTILE}"):
        client.get(path)
        client.post(path, json={HOSTILE: HOSTILE})
    client.post("/predict", params={"model": HOSTILE, HOSTILE: HOSTILE}, json={"data": [{**GOOD, HOSTILE: HOSTILE}]})
    client.request("PROPFIND", "/predict", headers={"X-Request-ID": HOSTILE})
    client.request("PROPFIND", "/coffee")

    text = client.get("/metrics").text
    for sent in ("x\\", 'x"', "x%22", "PROPFIND", "coffee"):
        assert sent not in text
    assert labels_of(client, "method") >= {"GET", "POST", "OTHER"}
    undocumented = {"none", "/openapi.json", "/{dataset}/predict"}
    assert labels_of(client, "route") <= client.get("/openapi.json").json()["paths"].keys() | undocumented


def test_the_challenger_is_compared_and_shown_with_its_alias(client: httpx.Client) -> None:
    shown: dict[str, object] = {}
    while not shown:  # the thread that compares looks for a challenger now and then: what came before it has found one is not compared
        predict(client, 20)
        [employees_models] = [found for found in client.get("/models").json()["datasets"] if found["dataset"] == "employees"]
        aliases = {alias["alias"]: alias for alias in employees_models["aliases"]}
        shown = aliases["challenger"]["challenge"] or {}

    compared = shown["compared"]
    assert isinstance(compared, int)
    assert compared > 0
    assert compared % 20 == 0
    assert shown == {
        "champion_version": "2",
        "challenger_version": "3",
        "compared": compared,
        "agreement": 1.0,
        "champion_classes": {"Low": 0, "Medium": 0, "High": compared},
        "challenger_classes": {"Low": 0, "Medium": 0, "High": compared},
        "skipped": {},
    }
    assert aliases["champion"]["challenge"] is None
    agreed = value(client, "hearth_challenger_agreed_total", champion_version="2", challenger_version="3")
    assert agreed >= compared  # the thread may have compared more since /models was asked
    assert agreed % 20 == 0


def test_prometheus_newer_form_is_given_to_who_asks_for_it(client: httpx.Client) -> None:
    answer = client.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"})

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_each_application_counts_for_itself(client: httpx.Client) -> None:
    predict(client)
    with running(create_app(service_settings(), FakeRegistry(champion="2"), checks={})) as other:
        assert value(other, "hearth_http_requests_total", route="/predict") == 0
