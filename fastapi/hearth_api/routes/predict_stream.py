"""Records are queued for the workers of the stream, instead of being scored at once."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, NoReturn

from anyio import to_thread
from fastapi import APIRouter, Query, Request

from hearth.contracts import Contract
from hearth.contracts.aliases import CHAMPION, aliases
from hearth.contracts.record_parser import RecordParser
from hearth.errors import ModelUnavailable, UnknownDataset
from hearth.serving.model_follower import ModelFollower
from hearth.streaming.client import Fields
from hearth.streaming.messages import encode
from hearth_api.documentation import request_body
from hearth_api.errors import InvalidBody
from hearth_api.requests.bodies import parse_records, read_body
from hearth_api.resources import Opened
from hearth_api.schemas.errors import ErrorBody
from hearth_api.schemas.stream import QueuedRecords
from hearth_api.state import Service

_MOST_RECORDS_A_MESSAGE = 100  # a worker reads hundreds of messages at once
_RESPONSES: dict[int | str, dict[str, object]] = {
    404: {"model": ErrorBody, "description": "No such data set or alias"},
    408: {"model": ErrorBody, "description": "The body did not come in time"},
    413: {"model": ErrorBody, "description": "The body is too large"},
    422: {"model": ErrorBody, "description": "The body or a record is not what the contract says; nothing was queued"},
    429: {"model": ErrorBody, "description": "Too many messages wait already; nothing was queued"},
    503: {"model": ErrorBody, "description": "The alias has no version yet, or the stream is away"},
}


def stream_routes(contracts: Mapping[str, Contract], default: str, max_records: int) -> APIRouter:
    """Make `POST /predict_stream` for the default data set and `POST /<data set>/predict_stream` for each."""
    router = APIRouter(tags=["stream"], responses=_RESPONSES)
    _add_route(router, "/predict_stream", contracts[default], max_records)
    for contract in contracts.values():
        _add_route(router, f"/{contract.name}/predict_stream", contract, max_records)

    @router.post("/{dataset}/predict_stream", include_in_schema=False, response_model=None)
    async def refuse(dataset: str) -> NoReturn:
        raise UnknownDataset(dataset, sorted(contracts))

    return router


def _add_route(router: APIRouter, path: str, contract: Contract, max_records: int) -> None:
    shown = f"one of: {', '.join(aliases(contract))}"
    parser = RecordParser(contract)

    @router.post(
        path,
        status_code=202,
        summary=f"Queue records of {contract.name}",
        openapi_extra={"requestBody": request_body(contract, max_records)},
    )
    async def queue(
        request: Request,
        service: Service,
        opened: Opened,
        model: Annotated[str, Query(description=f"The alias that scores them, {shown}.")] = CHAMPION,
        batch: Annotated[int, Query(ge=1, le=_MOST_RECORDS_A_MESSAGE, description="Records of a message; more are faster to score.")] = 1,
    ) -> QueuedRecords:
        """Check records and put them into the stream, all of them or none; the answer does not wait until they are scored."""
        _require_carried(service.models, contract, model)
        settings = service.settings
        content = await read_body(request, settings.api_max_body_bytes, settings.api_body_seconds)

        def prepare() -> tuple[list[Fields], int]:
            records = _checked(parse_records(content, contract, max_records), parser, contract)
            return [encode(contract.name, model, records[at : at + batch]) for at in range(0, len(records), batch)], len(records)

        messages, count = await service.predictor.in_compute_thread(prepare)
        if len(messages) > settings.stream_max_length:
            raise InvalidBody(f"{len(messages)} messages are more than the {settings.stream_max_length} that may wait: send fewer at once.")
        send = partial(service.stream.send_within, settings.stream_max_length, messages)
        ids = await to_thread.run_sync(send, limiter=opened.stream_threads)
        return QueuedRecords(dataset=contract.name, alias=model, message_ids=ids, records_per_message=batch, n_records=count)


def _checked(records: Sequence[object], parser: RecordParser, contract: Contract) -> list[dict[str, object]]:
    """Return the features of records that keep the contract, as they were sent."""
    parser.parse(records)
    names = contract.feature_names
    return [{name: record.get(name) for name in names} for record in records if isinstance(record, Mapping)]


def _require_carried(models: ModelFollower, contract: Contract, alias: str) -> None:
    """Refuse an alias that no version carries: its messages would wait in the stream and fill it.

    While the registry is away nobody here can know; the workers may well have the model, and what waits for them is not lost.
    """
    try:
        models.get(contract.name, alias)
    except ModelUnavailable:
        if not models.status().problem:
            raise
