import asyncio
import logging
import re
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Annotated, TypeVar
from urllib.parse import quote

import numpy as np
from anyio import CancelScope
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from hearth.contracts import Contract
from hearth.contracts.aliases import aliases
from hearth.modelling.scorer import Scores
from hearth.serving.answer_parts import require_kept
from hearth.serving.files import AddedColumns, CsvFile, FileLimits, ParquetFile, ScoredFile
from hearth.serving.files.row_batches import RowBatch
from hearth.serving.include import Include
from hearth.serving.loaded_model import LoadedModel
from hearth_api.requests.disconnects import ClientGone, require_client
from hearth_api.requests.parameters import alias_parameter, include_parameter
from hearth_api.requests.routing import RoutingKey, routing_key, version_headers
from hearth_api.requests.uploads import Upload, UploadLimits, receive_file
from hearth_api.routes.predict import RESPONSES
from hearth_api.state import Service, ServiceState

T = TypeVar("T")
FileKind = type[CsvFile] | type[ParquetFile]

_LOGGER = logging.getLogger(__name__)
_END = object()
_PLAIN = "".join(sign for sign in map(chr, range(0x20, 0x7F)) if sign != "%")
_UNDERSTOOD_CHARACTERS = 2_000
_HALF_LETTER = re.compile(r"(%[89A-F][0-9A-F])*(%[0-9A-F]?)?$")  # a letter beyond ASCII that may have been cut
_KINDS: tuple[FileKind, ...] = (CsvFile, ParquetFile)
_HELP = (
    "Send a file as the body, or as the part `file` of a form; the response is the same file with the columns prediction, label, a "
    "probability per class, version, and error, and what `include` names. Every row stays in its place: an invalid one has no prediction, "
    "and its error says why. The headers X-Rows and X-Rows-Refused count the rows, X-Understood says how the file was read. "
    "If scoring fails after the response has begun, the connection is closed early."
)


@dataclass(frozen=True)
class _Slot:
    """One of the slots for files; the stack closes what the route puts onto it when the response is sent."""

    stack: ExitStack
    upload: Upload


async def _file_slot(service: Service) -> AsyncIterator[_Slot]:
    with ExitStack() as stack:
        yield _Slot(stack, stack.enter_context(service.files.slot()))


class ScoredFileResponse(StreamingResponse):
    """The scored file. A client that reads nothing of it for `pause_seconds` is left."""

    pause_seconds = 30.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the parts."""

        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(self.pause_seconds):
                await send(message)

        try:
            await super().__call__(scope, receive, send_in_time)
        except (ClientGone, TimeoutError) as error:
            _LOGGER.info("a scored file was not sent to its end: %s", str(error) or "the client reads nothing")


def file_routes(contracts: Mapping[str, Contract], default: str) -> APIRouter:
    """Make `POST /predict/csv` and `/predict/parquet` for the default data set, and `/{dataset}/predict/…` for each."""
    router = APIRouter(tags=["files"], responses=RESPONSES)
    for kind in _KINDS:
        _add_route(router, f"/predict/{kind.suffix}", contracts[default], kind, f"score_{kind.suffix}", f"the default data set, {default}")
        for name, contract in contracts.items():
            _add_route(router, f"/{name}/predict/{kind.suffix}", contract, kind, f"score_{kind.suffix}_{name}", name)
    return router


def _add_route(  # noqa: PLR0913, PLR0917 - what differs between the routes
    router: APIRouter, path: str, contract: Contract, kind: FileKind, operation_id: str, subject: str
) -> None:
    binary = {"schema": {"type": "string", "format": "binary"}}
    scored = {"schema": {"type": "string"}} if kind is CsvFile else binary
    form = {"schema": {"type": "object", "required": ["file"], "properties": {"file": {"type": "string", "format": "binary"}}}}
    media_type = kind.media_type.partition(";")[0]

    @router.post(
        path,
        operation_id=operation_id,
        summary=f"Score a {kind.suffix} file of {subject}",
        description=_HELP,
        response_class=StreamingResponse,
        responses={200: {"content": {media_type: scored}, "description": "The scored file"}},
        openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": binary, "multipart/form-data": form}}},
    )
    async def predict_file(  # noqa: PLR0913, PLR0917 - its parameters
        request: Request,
        service: Service,
        slot: Annotated[_Slot, Depends(_file_slot)],
        model: Annotated[str, Depends(alias_parameter(aliases(contract)))],
        include: Annotated[Include, Depends(include_parameter)],
        routing: RoutingKey = None,  # noqa: ARG001 - documented here, read from the scope
        prefix: Annotated[str, Query(max_length=50, description="What the names of the added columns begin with.")] = "",
    ) -> StreamingResponse:
        loaded = service.predictor.route(contract.name, model, partial(routing_key, request.scope), include)
        require_kept(loaded, include)
        settings = service.settings
        file = await receive_file(
            request,
            UploadLimits(settings.api_max_file_bytes, settings.api_file_seconds, settings.api_body_seconds),
            slot.upload,
            slot.stack,
        )
        limits = FileLimits(
            settings.api_max_file_columns, settings.api_max_file_cells, settings.api_max_row_bytes, settings.api_max_file_bytes
        )
        opened: ScoredFile = await service.predictor.in_compute_thread(
            partial(kind.open, file, contract, AddedColumns.of(contract, prefix, include), limits)
        )
        async for _ in _steps(request, service, opened.check(), slot.stack):
            pass
        headers = {
            "X-Rows": str(opened.rows),
            "X-Rows-Refused": str(opened.refused),
            "X-Understood": _header_text("; ".join(opened.understood)),
            **version_headers(loaded),
            "Content-Disposition": f'attachment; filename="{contract.name}_scored.{kind.suffix}"',
        }
        parts = opened.scored(_Scoring(service, loaded, request.state.request_id))
        response = ScoredFileResponse(_steps(request, service, parts, slot.stack), media_type=kind.media_type, headers=headers)
        response.pause_seconds = settings.api_body_seconds
        return response


def _header_text(text: str) -> str:
    """Return a text as the value of a header: percent-encoded UTF-8 beyond ASCII, as names of columns may have any letters; cut if long."""
    encoded = quote(text, safe=_PLAIN)
    if len(encoded) <= _UNDERSTOOD_CHARACTERS:
        return encoded
    cut = encoded[:_UNDERSTOOD_CHARACTERS]
    return _HALF_LETTER.sub("", cut) + "..."


class _Scoring:
    """Scores and records a file, batch after batch; a record's position is its row in the file.

    Where a candidate fails, the champion scores this batch and all that follow; the rows say which version scored them.
    """

    def __init__(self, service: ServiceState, model: LoadedModel, request_id: str) -> None:
        self._predictor, self._model, self._request_id = service.predictor, model, request_id
        self._rows = 0

    def __call__(self, batch: RowBatch) -> tuple[LoadedModel, Scores]:
        self._model, scores = self._predictor.router.score(self._model, batch.columns)
        positions = self._rows + np.flatnonzero(batch.good)
        self._rows += len(batch)
        self._predictor.record(self._model, batch.columns, scores, self._request_id, "file", positions)
        return self._model, scores


async def _steps(request: Request, service: ServiceState, steps: Generator[T], stack: ExitStack) -> AsyncIterator[T]:
    """Run each step in the compute thread, so that other requests run between the steps; the stack ends an incomplete generator.

    Raises:
        ClientGone: the connection was closed, so that the remaining steps would be for nobody.
    """
    stack.callback(steps.close)
    while True:
        await require_client(request)
        with CancelScope(shield=True):  # a cancelled request closes its file, so no step may still run
            step = await service.predictor.in_compute_thread(partial(_next, steps))
        if step is _END:
            return
        if step != b"":
            yield step  # type: ignore[misc]  # the only other value


def _next(steps: Generator[T]) -> T | object:
    return next(steps, _END)
