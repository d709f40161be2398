"""MLflow's scoring protocol, as `mlflow models serve` speaks it; its `/health` is among the routes of the service."""

from functools import partial
from importlib.metadata import version as package_version
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, Field
from pydantic_core import to_json

from hearth.contracts.aliases import CHAMPION
from hearth.serving.answer_parts import require_kept, sets_of, unusual_dict, unusual_of
from hearth.serving.loaded_model import LoadedModel
from hearth.serving.predictor import Predictor
from hearth_api.requests.bodies import Limit, receive_body
from hearth_api.requests.invocations import PREDICT_PROBA, Invocation, parse_invocation
from hearth_api.requests.parsing import parse_body
from hearth_api.requests.routing import RoutingKey, routing_key, version_headers
from hearth_api.routes.predict import RESPONSES
from hearth_api.schemas.predictions import UnusualAnswer
from hearth_api.state import Service

router = APIRouter(tags=["mlflow scoring protocol"])


class InvocationAnswer(BaseModel):
    """Predictions in the order of the records."""

    predictions: list[int | str | list[float]] = Field(
        description="classes as the data set's column holds them, or probabilities of the classes"
    )
    sets: list[list[str]] | None = Field(None, description="if `params` include set: for each record the classes that it may have")
    unusual_records: list[UnusualAnswer] | None = Field(None, description="if `params` include unusual: how unusual each record is")


_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"type": "object"}}, "text/csv": {"schema": {"type": "string"}}},
    }
}


@router.post(
    "/invocations",
    summary="Score a table",
    operation_id="invocations",
    response_model=InvocationAnswer,
    response_model_exclude_unset=True,
    responses=RESPONSES,
    openapi_extra=_BODY,
)
async def invocations(
    request: Request,
    service: Service,
    content_type: Annotated[str, Header(include_in_schema=False)] = "application/json",
    routing: RoutingKey = None,  # noqa: ARG001 - documented here, read from the scope
) -> Response:
    """Takes `dataframe_split`, `dataframe_records`, `instances` or `inputs`, or a CSV file.

    `params` may name a `dataset`, a `model` (an alias), a `method` (`predict` answers classes, `predict_proba` probabilities) and what to
    `include` beside: `set`, `unusual`, or both with a comma between.
    """
    settings, predictor = service.settings, service.predictor
    content = await receive_body(request.scope, request.receive, Limit(settings.api_max_body_bytes), settings.api_body_seconds)
    default = settings.api_default_dataset
    parse = partial(
        parse_invocation,
        content_type=content_type,
        contract_of=lambda dataset: service.contract(dataset or default),
        max_records=settings.api_max_records,
    )
    invocation = await parse_body(predictor, content, parse)
    model = predictor.route(invocation.contract.name, invocation.alias, partial(routing_key, request.scope), invocation.include)
    require_kept(model, invocation.include)
    score = partial(_score, predictor, model, invocation, request.state.request_id)
    return await predictor.dispatch(model, len(invocation.records), len(content), score)


@router.get("/ping", summary="Whether the default data set's champion serves", operation_id="ping", responses={503: RESPONSES[503]})
async def ping(service: Service) -> Response:
    service.predictor.find(service.settings.api_default_dataset, CHAMPION)
    return Response("\n", media_type="application/json")


@router.get("/version", summary="The version of MLflow whose protocol this is", operation_id="version")
async def version() -> Response:
    return Response(package_version("mlflow-skinny"), media_type="application/json")


def _score(predictor: Predictor, model: LoadedModel, invocation: Invocation, request_id: str) -> Response:
    predicted = predictor.predict(model, invocation.records, request_id, "rest")
    scores, include = predicted.scores, invocation.include
    answer: dict[str, object] = {"predictions": scores.probabilities.tolist() if invocation.method == PREDICT_PROBA else scores.predictions}
    if include.set:
        answer["sets"] = sets_of(predicted.model, scores)
    if include.unusual:
        answer["unusual_records"] = [unusual_dict(record) for record in unusual_of(predicted.model, predicted.columns)]
    headers = version_headers(predicted.model)  # the protocol's body has no place for it
    return Response(to_json(answer), media_type="application/json", headers=headers)
