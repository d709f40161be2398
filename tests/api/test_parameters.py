"""Query parameters that no route reads are refused by name: each would otherwise be answered as if it were not there."""

from collections.abc import Iterator

import httpx
import pytest

from hearth_api.app import create_app
from tests.api.running import AS_ADMIN, refused, running, service_settings
from tests.support.models import FakeRegistry, employees, good_record

GOOD = {"data": [good_record(employees(), Designation=4)]}


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with running(create_app(service_settings(), FakeRegistry(knn="1", champion="2"), checks={})) as client:
        yield client


@pytest.mark.parametrize(
    ("request_line", "unknown", "accepted"),
    [
        ("POST /predict?Model=knn", "'Model'", "POST /predict takes model, alias, include."),
        ("POST /predict?version=1", "'version'", "POST /predict takes model, alias, include."),
        ("POST /predict?dataset=heart&model=knn", "'dataset'", "POST /predict takes model, alias, include."),
        ("POST /employees/predict?modle=knn", "'modle'", "POST /employees/predict takes model, alias, include."),
        ("POST /explain?tops=1", "'tops'", "POST /explain takes class, top, model, alias."),
        ("POST /predict/csv?mode=knn", "'mode'", "POST /predict/csv takes prefix, model, alias, include."),
        ("POST /predict_stream?size=1", "'size'", "POST /predict_stream takes batch, model, alias, include."),
        ("GET /predictions?label=High", "'label'", "limit, after, dataset, source, role, since, model, alias."),
        ("GET /predictions?datset=heart", "'datset'", "limit, after, dataset, source, role, since, model, alias."),
        ("GET /predictions/1-0?row=1", "'row'", "GET /predictions/{message_id} takes none."),
        ("GET /model-info?datasets=heart", "'datasets'", "GET /model-info takes dataset, model, alias."),
        ("GET /models?dataset=heart", "'dataset'", "GET /models takes none."),
        ("GET /stream?letter=1", "'letter'", "GET /stream takes letters, dataset."),
        ("GET /health?x", "'x'", "GET /health takes none."),
        ("GET /metrics?name=x", "'name'", "GET /metrics takes none."),
        ("POST /model/reload?dataset=heart", "'dataset'", "POST /model/reload takes none."),
        ("GET /graphql?query=x", "'query'", "GET /graphql takes none."),
    ],
)
def test_an_unknown_parameter_is_named_with_what_the_route_takes(
    client: httpx.Client, request_line: str, unknown: str, accepted: str
) -> None:
    method, _, url = request_line.partition(" ")
    detail = refused(client.request(method, url, json=GOOD if method == "POST" else None, headers=AS_ADMIN), 422, "invalid_request")

    assert detail.startswith(f"Unknown query parameter: {unknown}.")
    assert detail.endswith(accepted)


@pytest.mark.parametrize("url", ["/predict?model=knn&model=champion", "/explain?top=1&top=2", "/predict/csv?alias=knn&alias=knn"])
def test_a_repeated_parameter_is_refused(client: httpx.Client, url: str) -> None:
    detail = refused(client.post(url, json=GOOD), 422, "invalid_request")

    assert detail.startswith("Repeated query parameter: '")


@pytest.mark.parametrize("path", ["/predict", "/employees/predict"])
def test_alias_is_a_synonym_of_model(client: httpx.Client, path: str) -> None:
    for name in ("model", "alias"):
        assert client.post(f"{path}?{name}=knn", json=GOOD).json()["version"] == "1"
    assert client.post(path, json=GOOD).json()["version"] == "2"


def test_alias_is_a_synonym_on_the_other_routes_too(client: httpx.Client) -> None:
    assert client.get("/model-info?alias=knn").json()["version"] == "1"
    assert client.get("/employees/model-info?alias=knn").json()["version"] == "1"
    assert client.post("/predict/csv?alias=knn", content=b"a,b\n1,2\n").json()["error"] == "invalid_file"
    refused(client.post("/explain?alias=nobody", json=GOOD), 404, "unknown_alias")
    refused(client.post("/predict_stream?alias=nobody", json=GOOD), 404, "unknown_alias")
    refused(client.get("/predictions?alias=knn"), 503, "predictions_unavailable")


@pytest.mark.parametrize("url", ["/predict", "/explain", "/predict/csv", "/predict_stream"])
def test_model_and_alias_together_are_refused(client: httpx.Client, url: str) -> None:
    detail = refused(client.post(f"{url}?model=knn&alias=knn", json=GOOD), 422, "invalid_request")

    assert detail == "The query parameters 'model' and 'alias' mean the same: send one of them."


def test_a_part_of_a_form_that_nobody_reads_is_refused(client: httpx.Client) -> None:
    detail = refused(client.post("/predict/csv", files={"file": b"a,b\n1,2\n"}, data={"model": "knn"}), 422, "invalid_body")

    assert "unknown parts: 'model'" in detail
    assert "parameters go into the query" in detail


@pytest.mark.parametrize("action", ["predict", "predict_stream", "explain", "predict/csv", "predict/parquet"])
def test_an_unknown_data_set_is_named_whatever_the_parameters(client: httpx.Client, action: str) -> None:
    detail = refused(client.post(f"/nowhere/{action}?model=knn", json=GOOD), 404, "unknown_dataset")

    assert "'nowhere'" in detail
