"""`POST /predict` and `POST /{dataset}/predict`.

They are ASGI applications that FastAPI documents but does not run: its dependencies and its validation of responses would cost several
times what scoring a record does. What must happen around every request is therefore middleware, or done here; dependencies do not run.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Annotated, NoReturn

from fastapi import Depends
from fastapi.routing import APIRoute
from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from hearth.contracts import Contract
from hearth.contracts.aliases import aliases
from hearth.serving.answer_parts import require_kept, sets_of, unusual_dict, unusual_of
from hearth.serving.include import Include
from hearth.serving.loaded_model import LoadedModel
from hearth.serving.predictor import BYTES_IN_PLACE, Predictions, Predictor
from hearth_api.documentation import request_body
from hearth_api.requests.bodies import Limit, parse_records, receive_body
from hearth_api.requests.parameters import alias_and_include, alias_parameter, include_parameter
from hearth_api.requests.routing import RoutingKey, routing_key
from hearth_api.schemas.errors import ErrorBody
from hearth_api.schemas.predictions import PredictionAnswer
from hearth_api.state import state_of

_JSON = (b"content-type", b"application/json")

RESPONSES: dict[int | str, dict[str, object]] = {
    404: {"model": ErrorBody, "description": "No such data set or alias"},
    409: {"model": ErrorBody, "description": "The version was trained before it kept what the request asks to include"},
    408: {"model": ErrorBody, "description": "The body did not arrive in time"},
    413: {"model": ErrorBody, "description": "The body is too large"},
    422: {"model": ErrorBody, "description": "A parameter, the body or a record is invalid"},
    503: {"model": ErrorBody, "description": "The alias has no version, or the registry is away and nothing is loaded"},
}


def prediction_routes(contracts: Mapping[str, Contract], default: str) -> Iterator[APIRoute]:
    """Make `POST /predict` for the default data set and `POST /{dataset}/predict` for each."""
    yield _PredictRoute("/predict", contracts[default], "predict", f"Score records of the default data set, {default}")
    for name, contract in contracts.items():
        yield _PredictRoute(f"/{name}/predict", contract, f"predict_{name}", f"Score records of {name}")


class _PredictRoute(APIRoute):
    def __init__(self, path: str, contract: Contract, operation_id: str, summary: str) -> None:
        self._contract, self._name = contract, f"POST {path}"
        super().__init__(
            path,
            _documented(contract),
            methods=["POST"],
            tags=["predictions"],
            operation_id=operation_id,
            summary=summary,
            description="Predictions are in the order of the records. An error names row, column, value and expectation of each problem.",
            response_model=PredictionAnswer,
            response_model_exclude_unset=True,
            responses=RESPONSES,
            openapi_extra={"requestBody": request_body(contract)},
        )
        self.app = self._predict

    async def _predict(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = state_of(scope)
        settings, predictor = service.settings, service.predictor
        alias, include = alias_and_include(scope["query_string"], self._name)
        model = predictor.route(self._contract.name, alias, partial(routing_key, scope), include)
        if include:
            require_kept(model, include)
        content = await receive_body(scope, receive, Limit(settings.api_max_body_bytes), settings.api_body_seconds)
        request_id: str = scope["state"]["request_id"]
        if len(content) <= BYTES_IN_PLACE:
            records = parse_records(content, self._contract, settings.api_max_records)
            work = partial(_response, predictor, model, records, request_id, include)
            body = await predictor.dispatch(model, len(records), len(content), work)
        else:
            body = await predictor.in_compute_thread(
                lambda: _response(predictor, model, parse_records(content, self._contract, settings.api_max_records), request_id, include)
            )
        headers = [_JSON, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def prediction_answer(predicted: Predictions) -> dict[str, object]:
    """Return the response that `PredictionAnswer` describes."""
    model, scores = predicted.model, predicted.scores
    predictions = scores.predictions
    labels = scores.labels
    probabilities = [dict(zip(scores.classes, row, strict=True)) for row in scores.probabilities.tolist()]
    single = len(predictions) == 1
    answer = {
        "predictions": predictions,
        "labels": labels,
        "probabilities": probabilities,
        "prediction": predictions[0] if single else None,
        "label": labels[0] if single else None,
        "probability": probabilities[0][labels[0]] if single else None,
        "dataset": model.dataset,
        "alias": model.alias,
        "model": model.dataset,
        "version": model.version,
        "model_version": model.version,
        "family": model.family,
        "n_samples": len(predictions),
        "request_id": predicted.request_id,
    }
    if model.fallback is not None:
        answer["canary"] = True
    return answer


def included_parts(predicted: Predictions, include: Include) -> dict[str, object]:
    """Return the parts of the response that a request has asked for."""
    parts: dict[str, object] = {}
    if include.set:
        sets = sets_of(predicted.model, predicted.scores)
        parts |= {"sets": sets, "set": sets[0] if len(sets) == 1 else None}
    if include.unusual:
        records = [unusual_dict(record) for record in unusual_of(predicted.model, predicted.columns)]
        parts |= {"unusual_records": records, "unusual": records[0] if len(records) == 1 else None}
    return parts


def _response(predictor: Predictor, model: LoadedModel, records: Sequence[object], request_id: str, include: Include) -> bytes:
    predicted = predictor.predict(model, records, request_id, "rest")
    answer = prediction_answer(predicted)
    return to_json({**answer, **included_parts(predicted, include)} if include else answer)


def _documented(contract: Contract):  # type: ignore[no-untyped-def]  # noqa: ANN202 - FastAPI reads its signature
    def predict(
        model: Annotated[str, Depends(alias_parameter(aliases(contract)))],
        include: Annotated[Include, Depends(include_parameter)],
        routing: RoutingKey = None,
    ) -> NoReturn:
        raise NotImplementedError("the route itself answers")

    return predict
