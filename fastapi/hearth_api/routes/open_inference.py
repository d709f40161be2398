"""The Open Inference Protocol (V2): the name of a model is a data set, its version an alias or the number of a version that serves."""

from collections.abc import Callable, Coroutine
from functools import partial
from http import HTTPStatus
from importlib.metadata import version as package_version
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic_core import to_json

from hearth.errors import ErrorKind, HearthError, ModelUnavailable
from hearth.serving.answer_parts import with_parts
from hearth.serving.loaded_model import LoadedModel
from hearth.serving.open_inference import models
from hearth.serving.open_inference.outputs import included, output_specs, output_tensors, response_parameters
from hearth.serving.open_inference.tensors import TensorSpec, to_bytes
from hearth.serving.predictor import Predictions, Predictor
from hearth_api.errors import ERROR_CODE, error_response
from hearth_api.requests.bodies import Limit, receive_body
from hearth_api.requests.inference import InferenceRequest, parse_inference
from hearth_api.requests.parsing import parse_body
from hearth_api.requests.routing import RoutingKey, routing_key
from hearth_api.schemas.open_inference import (
    InferenceAnswer,
    InferenceError,
    ModelMetadata,
    ModelReady,
    ServerLive,
    ServerMetadata,
    ServerReady,
    TensorMetadata,
)
from hearth_api.state import Service, ServiceState

_JSON_LENGTH = "Inference-Header-Content-Length"
_EXTENSIONS = ["binary_tensor_data"]

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class _InferenceRoute(APIRoute):
    """Answers errors as the protocol has them: one text, and 400 for what the caller must change."""

    def get_route_handler(self) -> Handler:
        handle = super().get_route_handler()

        async def handle_errors(request: Request) -> Response:
            try:
                return await handle(request)
            except HearthError as error:
                request.scope[ERROR_CODE] = error.code
                response = error_response(error)
                status = HTTPStatus.BAD_REQUEST if error.kind is ErrorKind.CALLER else response.status_code
                headers = {name: value for name, value in response.headers.items() if name == "retry-after"}
                return JSONResponse({"error": str(error)}, status, headers)

        return handle_errors


_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"model": InferenceError, "description": "The request or a record is not what the protocol or the contract says"},
    404: {"model": InferenceError, "description": "No such data set or alias, or no alias serves the version"},
    409: {"model": InferenceError, "description": "The version was trained before it kept what the request asks to include"},
    503: {"model": InferenceError, "description": "The alias has no version yet, or the registry is away and nothing is loaded"},
}
_NOT_READY: dict[int | str, dict[str, Any]] = {503: {"model": ServerReady, "description": "No alias of any data set serves"}}

router = APIRouter(prefix="/v2", tags=["open inference protocol"], route_class=_InferenceRoute)


@router.get("/health/live", summary="Whether the process answers", operation_id="v2_server_live")
async def server_live() -> ServerLive:
    return ServerLive(live=True)


@router.get(
    "/health/ready", summary="Whether any model serves", operation_id="v2_server_ready", response_model=ServerReady, responses=_NOT_READY
)
async def server_ready(service: Service) -> JSONResponse:
    """Asks no other server: `GET /ready` does."""
    ready = models.is_ready(service.models.status())
    return JSONResponse({"ready": ready}, HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE)


@router.get("", summary="Name, version and extensions of the server", operation_id="v2_server_metadata")
async def server_metadata() -> ServerMetadata:
    return ServerMetadata(name=models.SERVER_NAME, version=package_version("hearth"), extensions=_EXTENSIONS)


@router.get("/models/{dataset}", summary="Inputs, outputs and versions of a model", operation_id="v2_model_metadata", responses=_ERRORS)
async def model_metadata(service: Service, dataset: str) -> ModelMetadata:
    return _metadata(service, dataset, "")


@router.get(
    "/models/{dataset}/versions/{version}",
    summary="Inputs, outputs and versions of a model, if this version serves",
    operation_id="v2_model_version_metadata",
    responses=_ERRORS,
)
async def model_version_metadata(service: Service, dataset: str, version: str) -> ModelMetadata:
    return _metadata(service, dataset, version)


@router.get(
    "/models/{dataset}/ready",
    summary="Whether a champion serves",
    operation_id="v2_model_ready",
    response_model=ModelReady,
    responses=_ERRORS,
)
async def model_ready(service: Service, dataset: str) -> JSONResponse:
    return _readiness(service, dataset, "")


@router.get(
    "/models/{dataset}/versions/{version}/ready",
    summary="Whether this version serves",
    operation_id="v2_model_version_ready",
    response_model=ModelReady,
    responses=_ERRORS,
)
async def model_version_ready(service: Service, dataset: str, version: str) -> JSONResponse:
    return _readiness(service, dataset, version)


_INFER: dict[str, Any] = {
    "response_model": InferenceAnswer,
    "responses": {
        **_ERRORS,
        408: {"model": InferenceError, "description": "The body did not come in time"},
        413: {"model": InferenceError, "description": "The body is too large"},
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"type": "object", "required": ["inputs"], "properties": {"inputs": {"type": "array", "items": {}}}}
                },
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        }
    },
}
JsonLength = Annotated[str | None, Header(alias=_JSON_LENGTH, description="bytes of the JSON object, if values follow it as bytes")]


@router.post("/models/{dataset}/infer", summary="Score records with the champion", operation_id="v2_infer", **_INFER)
async def infer(
    request: Request,
    service: Service,
    dataset: str,
    json_length: JsonLength = None,
    routing: RoutingKey = None,  # noqa: ARG001 - documented here, read from the scope
) -> Response:
    """Takes a tensor for each column, or one with all features in contract order. docs/protocols.md has examples."""
    return await _infer(request, service, dataset, "", json_length)


@router.post(
    "/models/{dataset}/versions/{version}/infer", summary="Score records with a version", operation_id="v2_version_infer", **_INFER
)
async def version_infer(  # noqa: PLR0913, PLR0917 - its parameters
    request: Request,
    service: Service,
    dataset: str,
    version: str,
    json_length: JsonLength = None,
    routing: RoutingKey = None,  # noqa: ARG001 - documented here, read from the scope
) -> Response:
    """Takes an alias, or the number of a version that serves under one."""
    return await _infer(request, service, dataset, version, json_length)


def _metadata(service: ServiceState, dataset: str, version: str) -> ModelMetadata:
    contract = service.contract(dataset)
    if version:
        models.find_model(service.predictor, contract, version)
    return ModelMetadata(
        name=dataset,
        versions=models.versions(service.predictor, contract),
        platform=models.PLATFORM,
        inputs=[_tensor_metadata(spec) for spec in models.input_specs(contract)],
        outputs=[_tensor_metadata(spec) for spec in output_specs(contract)],
    )


def _tensor_metadata(spec: TensorSpec) -> TensorMetadata:
    return TensorMetadata(name=spec.name, datatype=spec.datatype, shape=list(spec.shape))


def _readiness(service: ServiceState, dataset: str, version: str) -> JSONResponse:
    try:
        models.find_model(service.predictor, service.contract(dataset), version)
    except ModelUnavailable:
        return JSONResponse({"name": dataset, "ready": False}, HTTPStatus.SERVICE_UNAVAILABLE)
    return JSONResponse({"name": dataset, "ready": True})


async def _infer(request: Request, service: ServiceState, dataset: str, version: str, json_length: str | None) -> Response:
    contract, settings = service.contract(dataset), service.settings
    model = models.route_model(service.predictor, contract, version, partial(routing_key, request.scope))
    content = await receive_body(request.scope, request.receive, Limit(settings.api_max_body_bytes), settings.api_body_seconds)
    parse = partial(parse_inference, json_length=json_length, contract=contract, max_records=settings.api_max_records)
    parsed = await parse_body(service.predictor, content, parse)
    model = with_parts(model, included(parsed.outputs))
    score = partial(_score, service.predictor, model, parsed, request.state.request_id)
    return await service.predictor.dispatch(model, parsed.layout.records, len(content), score)


def _score(predictor: Predictor, model: LoadedModel, request: InferenceRequest, request_id: str) -> Response:
    return _response(predictor.predict(model, request.layout.read(request.values), request_id, "rest"), request)


def _response(predictions: Predictions, request: InferenceRequest) -> Response:
    outputs: list[dict[str, object]] = []
    binary: list[bytes] = []
    for tensor in output_tensors(predictions, request.layout.contract, request.outputs):
        output: dict[str, object] = {"name": tensor.spec.name, "datatype": tensor.spec.datatype, "shape": tensor.spec.shape}
        parameters: dict[str, object] = dict(tensor.parameters)
        if tensor.spec.name in request.binary:
            binary.append(to_bytes(tensor))
            parameters["binary_data_size"] = len(binary[-1])
        else:
            output["data"] = tensor.values
        outputs.append({**output, "parameters": parameters} if parameters else output)
    answer: dict[str, object] = {"model_name": predictions.model.dataset, "model_version": predictions.model.version}
    if request.id is not None:
        answer["id"] = request.id
    content = to_json({**answer, "parameters": response_parameters(predictions), "outputs": outputs})
    if not binary:
        return Response(content, media_type="application/json")
    headers = {_JSON_LENGTH: str(len(content))}
    return Response(b"".join((content, *binary)), headers=headers, media_type="application/octet-stream")
