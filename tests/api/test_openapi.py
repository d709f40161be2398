"""The OpenAPI document as tools read it: valid, with names that stay and read well in generated clients."""

from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import validate

from hearth.contracts.aliases import aliases
from hearth_api.app import create_app
from tests.api.running import service_settings
from tests.support.models import FakeRegistry, employees

OPERATIONS = {
    "explain": "POST /explain",
    "explain_heart": "POST /heart/explain",
    "find_prediction": "GET /predictions/{message_id}",
    "get_data": "GET /datasets/{dataset}/data",
    "get_card": "GET /models/{dataset}/{version}/card",
    "get_dataset": "GET /datasets/{name}",
    "get_dataset_model_info": "GET /{dataset}/model-info",
    "get_health": "GET /health",
    "get_metrics": "GET /metrics",
    "get_model_info": "GET /model-info",
    "get_readiness": "GET /ready",
    "get_samples": "GET /datasets/{dataset}/samples",
    "get_service": "GET /",
    "get_stream": "GET /stream",
    "list_datasets": "GET /datasets",
    "list_models": "GET /models",
    "list_predictions": "GET /predictions",
    "list_versions": "GET /models/{dataset}/versions",
    "predict": "POST /predict",
    "predict_heart": "POST /heart/predict",
    "promote": "POST /models/{dataset}/promote",
    "queue": "POST /predict_stream",
    "queue_heart": "POST /heart/predict_stream",
    "reload": "POST /model/reload",
    "roll_back": "POST /models/{dataset}/rollback",
    "score_csv": "POST /predict/csv",
    "score_csv_heart": "POST /heart/predict/csv",
    "score_parquet": "POST /predict/parquet",
    "score_parquet_heart": "POST /heart/predict/parquet",
}


@pytest.fixture(scope="module", params=[False, True], ids=["open", "with keys"])
def document(request: pytest.FixtureRequest) -> dict[str, Any]:
    return create_app(service_settings(api_require_key=request.param), FakeRegistry(), checks={}).openapi()


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def test_it_is_valid(document: dict[str, Any]) -> None:
    assert "#/$defs" not in str(document), "a reference of a part, which does not lead anywhere in the whole"
    validate(document)


def test_operation_ids_are_unique_and_stay(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]

    assert len(set(ids)) == len(ids)
    assert all(name.isidentifier() for name in ids)
    assert {operation["operationId"]: route for route, operation in operations(document)}.items() >= OPERATIONS.items()


def test_summaries_are_unique(document: dict[str, Any]) -> None:
    summaries = [operation["summary"] for _, operation in operations(document)]

    assert len(set(summaries)) == len(summaries)


def test_the_alias_is_an_enumeration_of_those_that_the_data_set_can_have(document: dict[str, Any]) -> None:
    for path in ("/employees/predict", "/predict", "/explain", "/predict/csv", "/predict_stream", "/model-info"):
        parameters = document["paths"][path]["get" if path == "/model-info" else "post"]["parameters"]
        [schema] = [parameter["schema"] for parameter in parameters if parameter["name"] == "model"]
        assert set(schema["enum"]) >= set(aliases(employees())), path
        assert schema["default"] == "champion"


def test_every_error_has_the_body_that_the_service_answers(document: dict[str, Any]) -> None:
    states = {"GET /ready": "NotReady", "GET /v2/health/ready": "ServerReady"}  # the answer 503 of a route that tells a state
    for route, operation in operations(document):
        assert "422" in operation["responses"], route
        for status, response in operation["responses"].items():
            if status >= "400":
                protocol = {"ErrorBody", "InferenceError"} if " /v2" in route else {"ErrorBody"}
                name = response["content"]["application/json"]["schema"]["$ref"].removeprefix("#/components/schemas/")
                assert name in ({states[route]} if status == "503" and route in states else protocol), (route, status)
    assert "HTTPValidationError" not in document["components"]["schemas"]
