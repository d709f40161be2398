from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Annotated, TypeVar

import numpy as np
from anyio import CancelScope
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse

from hearth.contracts import Contract
from hearth.contracts.aliases import CHAMPION, aliases
from hearth.modelling.scorer import Scores
from hearth.serving.files import AddedColumns, CsvFile, ParquetFile, ScoredFile
from hearth.serving.files.row_batches import RowBatch
from hearth.serving.model_follower import LoadedModel
from hearth_api.requests.uploads import receive_file
from hearth_api.routes.predict import RESPONSES
from hearth_api.state import Service, ServiceState

T = TypeVar("T")
Opened = type[CsvFile] | type[ParquetFile]

_END = object()
_KINDS: dict[str, Opened] = {"csv": CsvFile, "parquet": ParquetFile}
_HELP = (
    "A file in, as the body or as the part `file` of a form; the same file out, with the columns prediction, label, a probability for each "
    "class, version, and error. Every row stays, in its place: one that breaks the contract has no prediction, and its error says what was "
    "wrong. "
    "The headers X-Rows and X-Rows-Refused count them. An answer that is cut off is incomplete: the connection is closed before its end."
)


async def _taken_place(service: Service) -> AsyncIterator[ExitStack]:
    """Hold a place among the files that are scored at once until the answer is sent, and what else is put onto the stack."""
    with ExitStack() as stack:
        stack.enter_context(service.files.place())
        yield stack


def file_routes(contracts: Mapping[str, Contract], default: str) -> APIRouter:
    """Make `POST /predict/csv` and `/predict/parquet` for the default data set, and both below its name for each."""
    router = APIRouter(tags=["files"], responses=RESPONSES)
    for kind, opened in _KINDS.items():
        _add_route(router, f"/predict/{kind}", contracts[default], opened)
        for contract in contracts.values():
            _add_route(router, f"/{contract.name}/predict/{kind}", contract, opened)
    return router


def _add_route(router: APIRouter, path: str, contract: Contract, kind: Opened) -> None:
    shown = f"one of: {', '.join(aliases(contract))}"
    binary = {"schema": {"type": "string", "format": "binary"}}
    form = {"schema": {"type": "object", "required": ["file"], "properties": {"file": {"type": "string", "format": "binary"}}}}
    media_type = kind.media_type.partition(";")[0]

    @router.post(
        path,
        summary=f"Score a file of records of {contract.name}",
        description=_HELP,
        response_class=StreamingResponse,
        responses={200: {"content": {media_type: binary}, "description": "The scored file"}},
        openapi_extra={"requestBody": {"required": True, "content": {media_type: binary, "multipart/form-data": form}}},
    )
    async def predict_file(
        request: Request,
        service: Service,
        stack: Annotated[ExitStack, Depends(_taken_place)],
        model: Annotated[str, Query(description=f"The alias that answers, {shown}.")] = CHAMPION,
        prefix: Annotated[str, Query(max_length=50, description="What the names of the added columns begin with.")] = "",
    ) -> StreamingResponse:
        loaded = service.models.get(contract.name, model)
        settings = service.settings
        file = await receive_file(request, settings.api_max_file_bytes, settings.api_body_seconds, stack)
        opened: ScoredFile = await service.predictor.in_compute_thread(
            partial(kind.open, file, contract, AddedColumns.of(contract, prefix))
        )
        async for _ in _steps(service, opened.check(), stack):
            pass
        headers = {
            "X-Rows": str(opened.rows),
            "X-Rows-Refused": str(opened.refused),
            "X-Model-Alias": loaded.alias,
            "X-Model-Version": loaded.version,
            "Content-Disposition": f'attachment; filename="{contract.name}_scored.{kind.suffix}"',
        }
        parts = opened.scored(loaded, _Record(service, loaded, request.state.request_id))
        return StreamingResponse(_steps(service, parts, stack), media_type=kind.media_type, headers=headers)


class _Record:
    """Has what is answered stored, batch after batch; a record is known by its place among the rows of the file."""

    def __init__(self, service: ServiceState, model: LoadedModel, request_id: str) -> None:
        self._predictor, self._model, self._request_id = service.predictor, model, request_id
        self._rows = 0

    def __call__(self, batch: RowBatch, scores: Scores) -> None:
        places = self._rows + np.flatnonzero(batch.good)
        self._rows += len(batch)
        self._predictor.record(self._model, batch.columns, scores, self._request_id, "file", places)


async def _steps(service: ServiceState, steps: Generator[T], stack: ExitStack) -> AsyncIterator[T]:
    """Take each step in the thread that computes, so that other requests come between them; the stack ends what is left of them."""
    stack.callback(steps.close)
    while True:
        with CancelScope(shield=True):  # whoever cancels closes the file next, so no step may be under way then
            step = await service.predictor.in_compute_thread(partial(_next, steps))
        if step is _END:
            return
        if step != b"":
            yield step  # type: ignore[misc]  # the only other value


def _next(steps: Generator[T]) -> T | object:
    return next(steps, _END)
