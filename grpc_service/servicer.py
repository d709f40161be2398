"""The calls: each translates a message, calls what all protocols share, and translates back."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from secrets import token_hex
from typing import Protocol

from grpc_service.answers import alias_message, info_message, prediction_message
from grpc_service.errors import Context, InvalidRequest, end_call, error_message
from grpc_service.records import RecordReader
from grpc_service.v1 import prediction_pb2 as pb
from grpc_service.v1 import prediction_pb2_grpc
from hearth.contracts import Contract
from hearth.contracts.aliases import CHAMPION
from hearth.errors import ModelUnavailable, RegistryError, UnknownDataset
from hearth.registry import RegisteredVersion
from hearth.serving import AliasStatus, LoadedModel, Models
from hearth.settings import GrpcSettings

# Up to this many records are scored where they arrive: handing them to a thread and back would cost more than it spares the other calls.
RECORDS_SCORED_IN_PLACE = 128


class VersionSource(Protocol):
    """What is needed of a registry."""

    def version(self, dataset: str, name: str) -> RegisteredVersion: ...


class PredictionServicer(prediction_pb2_grpc.PredictionServicer):
    """Answers the calls of v1/prediction.proto. `compute` scores what is too large for the event loop; one thread is enough."""

    def __init__(
        self,
        settings: GrpcSettings,
        contracts: Mapping[str, Contract],
        models: Models,
        registry: VersionSource,
        compute: ThreadPoolExecutor,
    ) -> None:
        if settings.api_default_dataset not in contracts:
            raise UnknownDataset(settings.api_default_dataset, sorted(contracts))
        self._contracts, self._models, self._registry, self._compute = contracts, models, registry, compute
        self._readers = {name: RecordReader(contract) for name, contract in contracts.items()}
        self._default = settings.api_default_dataset
        self._max_records = settings.grpc_max_records

    async def Predict(self, request: pb.PredictRequest, context: Context) -> pb.PredictResponse:  # noqa: N802 - the name of the call
        try:
            return await self._predict(request)
        except Exception as error:  # noqa: BLE001 - ends the call with the error
            await end_call(context, error)

    async def PredictStream(  # noqa: N802 - the name of the call
        self, requests: AsyncIterator[pb.PredictRequest], _: Context
    ) -> AsyncIterator[pb.PredictStreamResponse]:
        async for request in requests:
            yield await self._outcome(request)

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:  # noqa: N802
        try:
            return await asyncio.to_thread(self._list_models, request.dataset)
        except Exception as error:  # noqa: BLE001 - ends the call with the error
            await end_call(context, error)

    async def ModelInfo(self, request: pb.ModelInfoRequest, context: Context) -> pb.ModelInfoResponse:  # noqa: N802
        try:
            return await asyncio.to_thread(self._model_info, request.dataset or self._default, request.alias or CHAMPION)
        except Exception as error:  # noqa: BLE001 - ends the call with the error
            await end_call(context, error)

    async def _outcome(self, request: pb.PredictRequest) -> pb.PredictStreamResponse:
        try:
            response = await self._predict(request)
        except Exception as error:  # noqa: BLE001 - is answered
            return pb.PredictStreamResponse(request_id=request.request_id, error=error_message(error))
        return pb.PredictStreamResponse(request_id=response.request_id, response=response)

    async def _predict(self, request: pb.PredictRequest) -> pb.PredictResponse:
        model = self._models.get(request.dataset or self._default, request.alias or CHAMPION)
        reader = self._readers[model.dataset]
        records = reader.count(request)
        if records > self._max_records:
            raise InvalidRequest(
                f"The request has {records} records, more than the {self._max_records} that one message may have: send several."
            )
        if records <= RECORDS_SCORED_IN_PLACE:
            return _scored(model, reader, request)
        # A call whose deadline passes while it waits for the thread is cancelled and never scored
        return await asyncio.get_running_loop().run_in_executor(self._compute, _scored, model, reader, request)

    def _list_models(self, dataset: str) -> pb.ListModelsResponse:
        if dataset and dataset not in self._contracts:
            raise UnknownDataset(dataset, sorted(self._contracts))
        names = [dataset] if dataset else list(self._contracts)
        statuses = self._models.status().aliases
        versions: dict[tuple[str, str], RegisteredVersion | None] = {}
        answer = pb.ListModelsResponse()
        for name in names:
            contract = self._contracts[name]
            described = answer.datasets.add(name=name, title=contract.title, metric=contract.metric)
            described.aliases.extend(self._describe(status, versions) for status in statuses if status.dataset == name)
        return answer

    def _describe(self, status: AliasStatus, versions: dict[tuple[str, str], RegisteredVersion | None]) -> pb.Alias:
        try:
            model = self._models.get(status.dataset, status.alias)
        except ModelUnavailable:
            return alias_message(status, None, None)
        key = (model.dataset, model.version)
        if key not in versions:  # several aliases may carry it
            versions[key] = self._registered(model)
        return alias_message(status, model, versions[key])

    def _model_info(self, dataset: str, alias: str) -> pb.ModelInfoResponse:
        model = self._models.get(dataset, alias)
        status = next(found for found in self._models.status().aliases if (found.dataset, found.alias) == (dataset, alias))
        version = self._registered(model)
        return info_message(alias_message(status, model, version), self._contracts[dataset], version)

    def _registered(self, model: LoadedModel) -> RegisteredVersion | None:
        """Ask the registry about a version; what is loaded is served, and described, without it."""
        try:
            return self._registry.version(model.dataset, model.version)
        except (RegistryError, ModelUnavailable):
            return None


def _scored(model: LoadedModel, reader: RecordReader, request: pb.PredictRequest) -> pb.PredictResponse:
    scores = model.scorer.score_columns(reader.read(request))
    return prediction_message(model, scores, request.request_id or token_hex(16))
