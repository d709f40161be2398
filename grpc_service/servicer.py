"""The calls of our own interface: each reads a message, calls the predictor that all protocols share, and writes a message."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import Executor
from contextvars import copy_context
from functools import partial
from time import perf_counter

from grpc_service.access import admit, caller_address
from grpc_service.calls import respond
from grpc_service.errors import Context, InvalidRequest, error_message
from grpc_service.feedback import feedback_response, read_reports
from grpc_service.metrics import Calls
from grpc_service.requests import RecordReader
from grpc_service.responses import alias_message, info_message, prediction_message
from grpc_service.routing import routing_key
from grpc_service.v1 import prediction_pb2 as pb
from grpc_service.v1 import prediction_pb2_grpc
from hearth.audit import Actor
from hearth.audit.actor import ACTOR
from hearth.contracts import Contract
from hearth.contracts.aliases import CHAMPION
from hearth.errors import ModelUnavailable, UnknownDataset
from hearth.logs.context import REQUEST_ID
from hearth.predictions.feedback import Door
from hearth.serving.access import FEEDBACK, Access
from hearth.serving.alias_view import AliasStatus
from hearth.serving.answer_parts import require_kept
from hearth.serving.feedback import Feedback
from hearth.serving.include import NOTHING, Include, read_include
from hearth.serving.loaded_model import LoadedModel
from hearth.serving.model_follower import ModelFollower
from hearth.serving.predictor import Predictor
from hearth.serving.recording.request_ids import unique_id
from hearth.settings import GrpcSettings


class PredictionServicer(prediction_pb2_grpc.PredictionServicer):
    """Answers the calls of v1/prediction.proto."""

    def __init__(  # noqa: PLR0913, PLR0917 - what a running server holds
        self,
        settings: GrpcSettings,
        contracts: Mapping[str, Contract],
        models: ModelFollower,
        predictor: Predictor,
        calls: Calls,
        access: Access,
        feedback: Feedback,
        feedback_threads: Executor,
    ) -> None:
        if settings.api_default_dataset not in contracts:
            raise UnknownDataset(settings.api_default_dataset, sorted(contracts))
        self._contracts, self._models, self._predictor, self._calls, self._access = contracts, models, predictor, calls, access
        self._feedback, self._feedback_threads = feedback, feedback_threads
        self._readers = {name: RecordReader(contract) for name, contract in contracts.items()}
        self._default = settings.api_default_dataset
        self._max_records = settings.grpc_max_records

    async def Predict(self, request: pb.PredictRequest, context: Context) -> pb.PredictResponse:  # noqa: N802 - the name of the call
        return await respond(self._calls, "Predict", self._predict(request, context), context)

    async def PredictStream(  # noqa: N802 - the name of the call
        self, requests: AsyncIterator[pb.PredictRequest], context: Context
    ) -> AsyncIterator[pb.PredictStreamResponse]:
        async for request in requests:
            yield await self._outcome(request, context)

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:  # noqa: N802
        return await respond(self._calls, "ListModels", self._list_models(request.dataset), context)

    async def ModelInfo(self, request: pb.ModelInfoRequest, context: Context) -> pb.ModelInfoResponse:  # noqa: N802
        info = self._model_info(request.dataset or self._default, request.alias or CHAMPION)
        return await respond(self._calls, "ModelInfo", info, context)

    async def SendFeedback(self, request: pb.SendFeedbackRequest, context: Context) -> pb.SendFeedbackResponse:  # noqa: N802
        return await respond(self._calls, "SendFeedback", self._send_feedback(request, context), context)

    async def _outcome(self, request: pb.PredictRequest, context: Context) -> pb.PredictStreamResponse:
        started = perf_counter()
        try:
            response = await self._predict(request, context)
        except Exception as error:  # noqa: BLE001 - is answered
            self._calls.failed("PredictStream", started, error)
            return pb.PredictStreamResponse(request_id=request.request_id, error=error_message(error))
        self._calls.answered("PredictStream", started)
        return pb.PredictStreamResponse(request_id=request.request_id or response.request_id, response=response)

    async def _predict(self, request: pb.PredictRequest, context: Context) -> pb.PredictResponse:
        await admit(self._access, context)
        request_id = unique_id(request.request_id)
        REQUEST_ID.set(request_id)
        include = read_include(request.include) if request.include else NOTHING
        key = partial(routing_key, context, request.request_id)
        model = self._predictor.route(request.dataset or self._default, request.alias or CHAMPION, key, include)
        reader = self._readers[model.dataset]
        records = reader.count(request)
        if records > self._max_records:
            raise InvalidRequest(
                f"The request has {records} records, more than the {self._max_records} that one message may have: send several."
            )
        require_kept(model, include)
        return await self._predictor.dispatch(
            model, records, request.ByteSize(), lambda: self._score(model, reader, request, request_id, include)
        )

    def _score(
        self, model: LoadedModel, reader: RecordReader, request: pb.PredictRequest, request_id: str, include: Include
    ) -> pb.PredictResponse:
        return prediction_message(self._predictor.score(model, reader.read(request), request_id, "grpc"), include)

    async def _send_feedback(self, request: pb.SendFeedbackRequest, context: Context) -> pb.SendFeedbackResponse:
        caller = await admit(self._access, context, FEEDBACK)
        if not 1 <= len(request.reports) <= self._max_records:
            raise InvalidRequest(f"The request has {len(request.reports)} reports, expected 1 to {self._max_records}: send several.")
        name = caller.key.name if caller and caller.key else ""
        ACTOR.set(Actor("key" if name else "nobody", name, "grpc", caller_address(context.peer())))
        door = Door("grpc", name or "grpc", request.dataset or None)

        def work() -> pb.SendFeedbackResponse:
            return feedback_response(self._feedback.receive(read_reports(request), door))

        return await asyncio.get_running_loop().run_in_executor(self._feedback_threads, copy_context().run, work)

    async def _list_models(self, dataset: str) -> pb.ListModelsResponse:
        if dataset and dataset not in self._contracts:
            raise UnknownDataset(dataset, sorted(self._contracts))
        statuses = self._models.status().aliases
        answer = pb.ListModelsResponse()
        for name in [dataset] if dataset else self._contracts:
            contract = self._contracts[name]
            described = answer.datasets.add(name=name, title=contract.title, metric=contract.metric)
            described.aliases.extend(self._describe(status) for status in statuses if status.dataset == name)
        return answer

    def _describe(self, status: AliasStatus) -> pb.Alias:
        try:
            return alias_message(status, self._models.get(status.dataset, status.alias))
        except ModelUnavailable:
            return alias_message(status, None)

    async def _model_info(self, dataset: str, alias: str) -> pb.ModelInfoResponse:
        model = self._models.get(dataset, alias)
        status = next(item for item in self._models.status().aliases if (item.dataset, item.alias) == (dataset, alias))
        return info_message(alias_message(status, model), self._contracts[dataset], model.registered)
