"""`POST /predict` and `POST /<data set>/predict`.

They are ASGI applications that FastAPI documents but does not run: its dependencies and its validation of answers would cost several times
what scoring a record does. What must happen around every request is therefore middleware, or stands here; a router's dependencies would not
be asked.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Annotated, NoReturn
from urllib.parse import parse_qsl

from fastapi import Query
from fastapi.routing import APIRoute
from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from hearth.contracts import Contract
from hearth.contracts.aliases import CHAMPION, aliases
from hearth.errors import UnknownDataset
from hearth.serving.model_follower import LoadedModel
from hearth.serving.predictor import Predictions, Predictor
from hearth_api.documentation import request_body
from hearth_api.requests.bodies import parse_records, receive_body
from hearth_api.schemas.errors import ErrorBody
from hearth_api.schemas.predictions import PredictionAnswer
from hearth_api.state import state_of

_BYTES_IN_PLACE = 65_536  # a longer body is not even parsed where it arrives
_JSON = (b"content-type", b"application/json")

RESPONSES: dict[int | str, dict[str, object]] = {
    404: {"model": ErrorBody, "description": "No such data set or alias"},
    408: {"model": ErrorBody, "description": "The body did not come in time"},
    413: {"model": ErrorBody, "description": "The body is too large"},
    422: {"model": ErrorBody, "description": "The body or a record is not what the contract says"},
    503: {"model": ErrorBody, "description": "The alias has no version yet, or the registry is away and nothing is loaded"},
}


def prediction_routes(contracts: Mapping[str, Contract], default: str, max_records: int) -> Iterator[APIRoute]:
    """Make `POST /predict` for the default data set and `POST /<data set>/predict` for each."""
    yield _PredictRoute("/predict", contracts[default], max_records)
    for contract in contracts.values():
        yield _PredictRoute(f"/{contract.name}/predict", contract, max_records)

    async def refuse(dataset: str) -> NoReturn:
        raise UnknownDataset(dataset, sorted(contracts))

    yield APIRoute("/{dataset}/predict", refuse, methods=["POST"], response_model=None, include_in_schema=False)


class _PredictRoute(APIRoute):
    def __init__(self, path: str, contract: Contract, max_records: int) -> None:
        self._contract = contract
        super().__init__(
            path,
            _documented(contract),
            methods=["POST"],
            tags=["predictions"],
            summary=f"Score records of {contract.name}",
            description="Answers in the order of the records. What breaks the contract is named with row, column, value and expectation.",
            response_model=PredictionAnswer,
            responses=RESPONSES,
            openapi_extra={"requestBody": request_body(contract, max_records)},
        )
        self.app = self._predict

    async def _predict(self, scope: Scope, receive: Receive, send: Send) -> None:
        service = state_of(scope)
        settings, predictor = service.settings, service.predictor
        model = predictor.find(self._contract.name, _alias(scope["query_string"]))
        content = await receive_body(scope, receive, settings.api_max_body_bytes, settings.api_body_seconds)
        request_id: str = scope["state"]["request_id"]
        if len(content) <= _BYTES_IN_PLACE:
            records = parse_records(content, self._contract, settings.api_max_records)
            body = await predictor.dispatch(model, len(records), lambda: _response(predictor, model, records, request_id))
        else:
            body = await predictor.in_compute_thread(
                lambda: _response(predictor, model, parse_records(content, self._contract, settings.api_max_records), request_id)
            )
        headers = [_JSON, (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def prediction_answer(predicted: Predictions) -> dict[str, object]:
    """Return what is answered, as `PredictionAnswer` describes it."""
    model, scores = predicted.model, predicted.scores
    predictions = scores.predictions
    labels = scores.labels
    probabilities = [dict(zip(scores.classes, row, strict=True)) for row in scores.probabilities.tolist()]
    single = len(predictions) == 1
    return {
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


def _response(predictor: Predictor, model: LoadedModel, records: Sequence[object], request_id: str) -> bytes:
    return to_json(prediction_answer(predictor.predict(model, records, request_id, "rest")))


@lru_cache(maxsize=256)
def _alias(query: bytes) -> str:
    """Return the alias that a query names; of several the last, as FastAPI does it."""
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)).get("model", CHAMPION)


def _documented(contract: Contract):  # type: ignore[no-untyped-def]  # noqa: ANN202 - FastAPI reads its signature
    shown = f"one of: {', '.join(aliases(contract))}"

    def predict(model: Annotated[str, Query(description=f"The alias that answers, {shown}.")] = CHAMPION) -> NoReturn:
        raise NotImplementedError("it is answered by the route itself")

    return predict
