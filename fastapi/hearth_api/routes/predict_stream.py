"""Queueing records for the workers of the stream."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Depends, Query, Request

from hearth.contracts import Contract
from hearth.contracts.aliases import aliases
from hearth.contracts.record_parser import RecordParser
from hearth.errors import ModelUnavailable
from hearth.serving.answer_parts import require_kept
from hearth.serving.include import Include
from hearth.serving.model_follower import ModelFollower
from hearth.streaming.client import Fields
from hearth.streaming.messages import encode
from hearth_api.documentation import request_body
from hearth_api.errors import InvalidBody
from hearth_api.requests.bodies import Limit, parse_records, receive_body
from hearth_api.requests.parameters import alias_parameter, include_parameter
from hearth_api.requests.routing import RoutingKey
from hearth_api.schemas.errors import ErrorBody
from hearth_api.schemas.stream import QueuedRecords
from hearth_api.state import Service

_MAX_RECORDS_PER_MESSAGE = 100  # a worker reads hundreds of messages at a time
_RESPONSES: dict[int | str, dict[str, object]] = {
    404: {"model": ErrorBody, "description": "No such data set or alias"},
    408: {"model": ErrorBody, "description": "The body did not arrive in time"},
    413: {"model": ErrorBody, "description": "The body is too large"},
    409: {"model": ErrorBody, "description": "The version was trained before it kept what the request asks to include"},
    422: {"model": ErrorBody, "description": "A parameter, the body or a record is invalid; nothing was queued"},
    429: {"model": ErrorBody, "description": "Too many messages wait; nothing was queued"},
    503: {"model": ErrorBody, "description": "The alias has no version, or the stream is away"},
}


def stream_routes(contracts: Mapping[str, Contract], default: str) -> APIRouter:
    """Make `POST /predict_stream` for the default data set and `POST /<data set>/predict_stream` for each."""
    router = APIRouter(tags=["stream"], responses=_RESPONSES)
    _add_route(router, "/predict_stream", contracts[default], "queue", f"the default data set, {default}")
    for name, contract in contracts.items():
        _add_route(router, f"/{name}/predict_stream", contract, f"queue_{name}", name)
    return router


def _add_route(router: APIRouter, path: str, contract: Contract, operation_id: str, subject: str) -> None:
    parser = RecordParser(contract)

    @router.post(
        path,
        status_code=202,
        operation_id=operation_id,
        summary=f"Queue records of {subject}",
        openapi_extra={"requestBody": request_body(contract)},
    )
    async def queue(  # noqa: PLR0913, PLR0917 - its parameters
        request: Request,
        service: Service,
        model: Annotated[str, Depends(alias_parameter(aliases(contract), "The alias that scores the records."))],
        include: Annotated[Include, Depends(include_parameter)],
        batch: Annotated[int, Query(ge=1, le=_MAX_RECORDS_PER_MESSAGE, description="Records per message; more are faster to score.")] = 1,
        routing: RoutingKey = None,
    ) -> QueuedRecords:
        """Check records and put all of them, or none, into the stream. The response does not wait until they are scored."""
        _require_version(service.models, contract, model, include)
        settings = service.settings
        content = await receive_body(request.scope, request.receive, Limit(settings.api_max_body_bytes), settings.api_body_seconds)

        def prepare() -> tuple[list[Fields], int]:
            records = _checked(parse_records(content, contract, settings.api_max_records), parser, contract)
            return [
                encode(contract.name, model, records[at : at + batch], include, routing or "") for at in range(0, len(records), batch)
            ], len(records)

        messages, count = await service.predictor.in_compute_thread(prepare)
        if len(messages) > settings.stream_max_length:
            raise InvalidBody(f"{len(messages)} messages are more than the {settings.stream_max_length} that may wait: send fewer at once.")
        send = partial(service.stream.send_within, settings.stream_max_length, messages)
        ids = await to_thread.run_sync(send, limiter=service.stream_threads)
        return QueuedRecords(dataset=contract.name, alias=model, message_ids=ids, records_per_message=batch, n_records=count)


def _checked(records: Sequence[object], parser: RecordParser, contract: Contract) -> list[dict[str, object]]:
    """Return the features of valid records, with the values that were sent."""
    parser.parse(records)
    names = contract.feature_names
    return [{name: record.get(name) for name in names} for record in records if isinstance(record, Mapping)]


def _require_version(models: ModelFollower, contract: Contract, alias: str, include: Include) -> None:
    """Refuse an alias without a version, or whose version lacks what is to be included: its messages would wait in the stream and fill it.

    While the registry is away this process may lack a model that the workers have, and messages that wait for them are not lost.
    """
    try:
        require_kept(models.get(contract.name, alias), include)
    except ModelUnavailable:
        if not models.status().problem:
            raise
