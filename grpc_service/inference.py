"""The calls of the Open Inference Protocol, through the same predictor as ours."""

from collections.abc import Awaitable, Mapping
from functools import partial
from importlib.metadata import version

from grpc_service.access import admit
from grpc_service.calls import Response, respond
from grpc_service.errors import Context
from grpc_service.metrics import Calls
from grpc_service.routing import routing_key
from grpc_service.tensors import add_outputs, input_specs, input_values, require_few_parts, require_request_parameters, set_parameters
from grpc_service.v2 import open_inference_pb2 as pb
from grpc_service.v2 import open_inference_pb2_grpc
from hearth.contracts import Contract
from hearth.errors import ModelUnavailable, UnknownDataset
from hearth.logs.context import REQUEST_ID
from hearth.serving.access import Access
from hearth.serving.answer_parts import with_parts
from hearth.serving.loaded_model import LoadedModel
from hearth.serving.model_follower import ModelFollower
from hearth.serving.open_inference import models as inference_models
from hearth.serving.open_inference.outputs import included, output_specs, output_tensors, require_outputs, response_parameters
from hearth.serving.open_inference.records import InputLayout, input_layout
from hearth.serving.open_inference.tensors import TensorSpec
from hearth.serving.predictor import Predictor
from hearth.serving.recording.request_ids import unique_id
from hearth.settings import GrpcSettings

SERVICE = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name


class InferenceServicer(open_inference_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers the calls of v2/open_inference.proto."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a running server holds
        self,
        settings: GrpcSettings,
        contracts: Mapping[str, Contract],
        models: ModelFollower,
        predictor: Predictor,
        calls: Calls,
        access: Access,
    ) -> None:
        self._contracts, self._models, self._predictor, self._calls, self._access = contracts, models, predictor, calls, access
        self._max_records = settings.grpc_max_records

    async def ServerLive(self, _: pb.ServerLiveRequest, context: Context) -> pb.ServerLiveResponse:  # noqa: N802 - the name of the call
        return await self._respond("ServerLive", _ready_response(pb.ServerLiveResponse(live=True)), context)

    async def ServerReady(self, _: pb.ServerReadyRequest, context: Context) -> pb.ServerReadyResponse:  # noqa: N802
        ready = inference_models.is_ready(self._models.status())
        return await self._respond("ServerReady", _ready_response(pb.ServerReadyResponse(ready=ready)), context)

    async def ServerMetadata(self, _: pb.ServerMetadataRequest, context: Context) -> pb.ServerMetadataResponse:  # noqa: N802
        metadata = pb.ServerMetadataResponse(name=inference_models.SERVER_NAME, version=version("hearth"))
        return await self._respond("ServerMetadata", _ready_response(metadata), context)

    async def ModelReady(self, request: pb.ModelReadyRequest, context: Context) -> pb.ModelReadyResponse:  # noqa: N802
        return await self._respond("ModelReady", self._model_ready(request), context)

    async def ModelMetadata(self, request: pb.ModelMetadataRequest, context: Context) -> pb.ModelMetadataResponse:  # noqa: N802
        return await self._respond("ModelMetadata", self._model_metadata(request), context)

    async def ModelInfer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:  # noqa: N802
        return await self._respond("ModelInfer", self._infer(request, context), context)

    async def _respond(self, method: str, work: Awaitable[Response], context: Context) -> Response:
        return await respond(self._calls, method, work, context)

    async def _model_ready(self, request: pb.ModelReadyRequest) -> pb.ModelReadyResponse:
        try:
            inference_models.find_model(self._predictor, self._contract(request.name), request.version)
        except ModelUnavailable:
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=True)

    async def _model_metadata(self, request: pb.ModelMetadataRequest) -> pb.ModelMetadataResponse:
        contract = self._contract(request.name)
        if request.version:
            inference_models.find_model(self._predictor, contract, request.version)
        return pb.ModelMetadataResponse(
            name=contract.name,
            versions=inference_models.versions(self._predictor, contract),
            platform=inference_models.PLATFORM,
            inputs=[_tensor_metadata(spec) for spec in inference_models.input_specs(contract)],
            outputs=[_tensor_metadata(spec) for spec in output_specs(contract)],
        )

    async def _infer(self, request: pb.ModelInferRequest, context: Context) -> pb.ModelInferResponse:
        await admit(self._access, context)
        request_id = unique_id(request.id)
        REQUEST_ID.set(request_id)
        contract = self._contract(request.model_name)
        model = inference_models.route_model(self._predictor, contract, request.model_version, partial(routing_key, context, request.id))
        require_few_parts(request, len(contract.columns))
        require_request_parameters(request)
        include = request.parameters["include"].string_param if "include" in request.parameters else ""
        outputs = require_outputs([output.name for output in request.outputs], include)
        model = with_parts(model, included(outputs))
        layout = input_layout(contract, input_specs(request), self._max_records)
        return await self._predictor.dispatch(
            model, layout.records, request.ByteSize(), lambda: self._score(model, layout, request, request_id, outputs)
        )

    def _score(
        self, model: LoadedModel, layout: InputLayout, request: pb.ModelInferRequest, request_id: str, outputs: tuple[str, ...]
    ) -> pb.ModelInferResponse:
        records = layout.read(input_values(request, layout))
        predictions = self._predictor.predict(model, records, request_id, "grpc")
        response = pb.ModelInferResponse(model_name=model.dataset, model_version=predictions.model.version, id=request.id)
        set_parameters(response.parameters, response_parameters(predictions))
        add_outputs(response, output_tensors(predictions, layout.contract, outputs), raw=bool(request.raw_input_contents))
        return response

    def _contract(self, dataset: str) -> Contract:
        if dataset not in self._contracts:
            raise UnknownDataset(dataset, sorted(self._contracts))
        return self._contracts[dataset]


async def _ready_response(response: Response) -> Response:
    return response


def _tensor_metadata(spec: TensorSpec) -> pb.ModelMetadataResponse.TensorMetadata:
    return pb.ModelMetadataResponse.TensorMetadata(name=spec.name, datatype=spec.datatype, shape=spec.shape)
