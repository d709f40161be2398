"""The resolvers: each reads what was asked, calls what REST calls, and translates the answer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from typing import Annotated, Any

import strawberry
from anyio import to_thread
from starlette.requests import HTTPConnection
from strawberry.fastapi import BaseContext
from strawberry.tools import create_type
from strawberry.utils.str_converters import to_camel_case

from hearth.contracts.aliases import CHAMPION
from hearth.predictions import Cursor
from hearth.serving.recording.request_ids import unique_id
from hearth_api.graphql_schema import builders, types
from hearth_api.graphql_schema.inputs import InvalidQuery, RecordInputs
from hearth_api.resources import Resources
from hearth_api.schemas import builders as rest
from hearth_api.state import ServiceState

_MOST_ON_A_PAGE = 1_000
_TOP_DESCRIPTION = "so many contributions of each record, the largest; all by default"

Model = Annotated[str, strawberry.argument(description="the alias that answers")]


@dataclass
class Context(BaseContext):
    """What a resolver works with."""

    service: ServiceState
    resources: Resources
    connection: HTTPConnection

    @property
    def request_id(self) -> str:
        """The id of the HTTP request; empty where a WebSocket has none."""
        return str(self.connection.scope.get("state", {}).get("request_id") or "")


Info = strawberry.Info[Context, None]


def health(info: Info) -> types.Health:
    return types.Health(status="ok", version=version("hearth"), datasets=sorted(info.context.service.contracts))


def available_models(info: Info, dataset: str | None = None) -> list[types.Alias]:
    service = info.context.service
    if dataset is not None:
        service.contract(dataset)
    return [
        builders.alias_of(
            status.dataset, rest.alias_info(status, service.models.get(status.dataset, status.alias) if status.serving else None)
        )
        for status in service.models.status().aliases
        if dataset in {None, status.dataset}
    ]


async def registered_versions(info: Info, dataset: str | None = None) -> list[types.Version]:
    service, resources = info.context.service, info.context.resources
    contract = service.contract(dataset or service.settings.api_default_dataset)
    found = await to_thread.run_sync(resources.administration.candidates, contract, limiter=resources.admin_threads)
    return [builders.version_of(rest.version_info(candidate)) for candidate in found]


def model_info(info: Info, model: Model = CHAMPION, dataset: str | None = None) -> types.ModelInfo:
    service = info.context.service
    loaded = service.models.get(dataset or service.settings.api_default_dataset, model)
    status = next(found for found in service.models.status().aliases if (found.dataset, found.alias) == (loaded.dataset, loaded.alias))
    return builders.model_of(rest.model_info(service.contracts[loaded.dataset], loaded, status))


async def predictions(  # noqa: PLR0913, PLR0917 - what one may choose by
    info: Info,
    first: int = 20,
    after: str | None = None,
    dataset: str | None = None,
    model: str | None = None,
    source: str | None = None,
    role: str = "answer",
) -> types.PredictionConnection:
    if not 1 <= first <= _MOST_ON_A_PAGE:
        raise InvalidQuery(f"'first' must be from 1 to {_MOST_ON_A_PAGE}, got {first}.")
    if any("\0" in (text or "") for text in (dataset, model, source, role)):
        raise InvalidQuery("A text holds the character NUL, which no name has.")
    before = Cursor.decode(after) if after is not None else None
    context = info.context
    read = partial(context.service.store.page, first + 1, before, dataset=dataset, alias=model, role=role, source=source)
    found = await to_thread.run_sync(read, limiter=context.resources.store_threads)
    return builders.page_of(found, first, context.service.contracts)


async def live_predictions(info: Info, dataset: str | None = None, model: str | None = None) -> AsyncIterator[types.StoredPrediction]:
    async for given in info.context.resources.live.watch():
        if given.role == "answer" and dataset in {None, given.dataset} and model in {None, given.alias}:
            yield builders.stored_of(given, info.context.service.contracts)


def make_query(inputs: RecordInputs) -> type:
    """Make the type `Query`, whose `predict` and `explain` take records of these data sets."""

    async def predict(info: Info, records: Any, model: Model = CHAMPION) -> types.Predictions:  # noqa: ANN401 - see below
        service = info.context.service
        contract, rows = inputs.read(records, service.settings.api_max_records)
        predictor = service.predictor
        loaded = predictor.find(contract.name, model)
        request_id = unique_id(info.context.request_id)  # one query may ask for several predictions, each with an id of its own
        prediction = await predictor.dispatch(loaded, len(rows), lambda: predictor.predict(loaded, rows, request_id, "graphql"))
        return builders.predictions_of(prediction, contract)

    async def explain(
        info: Info,
        records: Any,  # noqa: ANN401
        model: Model = CHAMPION,
        class_: Annotated[
            str | None, strawberry.argument(name="class", description="the class to explain, or `all`; by default the predicted one")
        ] = None,
        top: Annotated[int | None, strawberry.argument(description=_TOP_DESCRIPTION)] = None,
    ) -> types.Explanations:
        service = info.context.service
        contract, rows = inputs.read(records, service.settings.explain_max_records)
        if top is not None and top < 1:
            raise InvalidQuery(f"'top' must be at least 1, got {top}.")
        loaded = service.models.get(contract.name, model)
        service.explainers.check_class(contract.name, class_)
        columns = loaded.scorer.parser.parse(rows)
        made = await asyncio.wrap_future(service.explainers.submit(loaded, columns, class_, top))
        return types.Explanations(
            explanations=[builders.explanation_of(explanation, contract) for explanation in made],
            method=service.explainers.method(loaded),
            dataset=loaded.dataset,
            alias=loaded.alias,
            family=loaded.family,
            version=loaded.version,
            request_id=unique_id(info.context.request_id),
        )

    for resolver in (predict, explain):
        resolver.__annotations__["records"] = inputs.type_  # the type is made when the service is: no annotation could name it
    told: dict[str, tuple[Callable[..., Any], str]] = {
        "health": (health, "Is the process alive."),
        "available_models": (available_models, "Every alias, of one data set or of all."),
        "registered_versions": (registered_versions, "Every version of a data set, the latest first; asks the registry."),
        "model_info": (model_info, "All that is known of the version that serves under an alias."),
        "predictions": (predictions, "Stored predictions, newest first; `after` takes the end cursor of the page before."),
        "predict": (predict, "Score records."),
        "explain": (explain, "What each column of a record adds to the score of a class."),
    }
    return create_type(
        "Query",
        [strawberry.field(resolver=resolver, name=to_camel_case(name), description=text) for name, (resolver, text) in told.items()],
    )


def make_subscription() -> type:
    """Make the type `Subscription`."""
    described = "Predictions as they are stored: what the stream's workers make, and what the interfaces have recorded."
    live: Any = strawberry.subscription(resolver=live_predictions, name="livePredictions", description=described)
    return create_type("Subscription", [live])
