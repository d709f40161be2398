"""The resolvers: each reads its arguments, calls what REST calls, and translates the answer."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import Annotated, Any

import strawberry
from anyio import to_thread
from starlette.requests import HTTPConnection
from strawberry.fastapi import BaseContext
from strawberry.tools import create_type
from strawberry.utils.str_converters import to_camel_case

from hearth.alerts import Severity, State
from hearth.contracts.aliases import CHAMPION
from hearth.predictions import Cursor
from hearth.serving.access import PREDICT, READ
from hearth.serving.recording.request_ids import unique_id
from hearth_api.audit import act_for
from hearth_api.graphql_schema import builders, types
from hearth_api.graphql_schema.errors import InvalidQuery
from hearth_api.graphql_schema.inputs import RecordInputs
from hearth_api.middleware.api_keys import FieldGuard, caller_name
from hearth_api.requests.routing import routing_key
from hearth_api.retrains import read_retrains
from hearth_api.schemas import builders as rest
from hearth_api.schemas import drift_builders
from hearth_api.schemas.alert_builders import alert_info
from hearth_api.schemas.data_builders import data_info
from hearth_api.schemas.quality import PastQualityInfo, QualityInfo
from hearth_api.schemas.rollout_builders import rollout_list
from hearth_api.state import ServiceState

_MAX_PAGE = 1_000
_MOST_ROLLOUTS = 200
_MOST_CHECKS = 500
MOST_ALERTS = 500
_CLASS_DESCRIPTION = "the class to explain, or `all`; by default the predicted class of each record"
_TOP_DESCRIPTION = "return only the largest contributions of each record, this many; all by default"

Model = Annotated[str, strawberry.argument(description="the alias that answers")]


@dataclass
class Context(BaseContext):
    """What a resolver works with."""

    service: ServiceState
    connection: HTTPConnection
    guard: FieldGuard
    is_stream: bool = False
    rows: Counter[str] = field(default_factory=Counter)

    @property
    def request_id(self) -> str:
        """The id of the HTTP request; empty for a WebSocket."""
        return str(self.connection.scope.get("state", {}).get("request_id") or "")

    def routing_key(self) -> str:
        """Return what decides which version answers while a rollout runs: that of the HTTP request, so all fields meet the same version."""
        return routing_key(self.connection.scope)

    def count_rows(self, rows: int) -> None:
        """Count records, predictions or versions of the query, over all of its fields and aliases.

        Raises:
            InvalidQuery: they are more than HEARTH_GRAPHQL_MAX_RECORDS.
        """
        self._count("records", rows, self.service.settings.graphql_max_records, "HEARTH_GRAPHQL_MAX_RECORDS")

    def count_explained(self, records: int) -> None:
        """Count records to be explained, over all fields and aliases of the query.

        Raises:
            InvalidQuery: they are more than HEARTH_EXPLAIN_MAX_RECORDS.
        """
        self._count("records to explain", records, self.service.settings.explain_max_records, "HEARTH_EXPLAIN_MAX_RECORDS")

    def _count(self, what: str, more: int, limit: int, setting: str) -> None:
        self.rows[what] += more
        if self.rows[what] > limit:
            raise InvalidQuery(
                f"The query has {self.rows[what]} {what} in all its fields, more than the {limit} of {setting}: send several queries."
            )


Info = strawberry.Info[Context, None]


def health(info: Info) -> types.Health:
    return types.Health(status="ok", version=version("hearth"), datasets=sorted(info.context.service.contracts))


def available_models(info: Info, dataset: str | None = None) -> list[types.Alias]:
    service = info.context.service
    if dataset is not None:
        service.contract(dataset)
    return [
        builders.alias_of(status.dataset, rest.alias_info(service, status))
        for status in service.models.status().aliases
        if dataset in {None, status.dataset}
    ]


async def registered_versions(info: Info, dataset: str | None = None) -> list[types.Version]:
    await info.context.guard.admit(PREDICT)
    service = info.context.service
    contract = service.contract(dataset or service.settings.api_default_dataset)
    versions = await to_thread.run_sync(service.alias_admin.candidates, contract, limiter=service.graphql.threads)
    info.context.count_rows(len(versions))
    return [types.convert(types.Version, rest.version_info(state)) for state in versions]


async def published_data(info: Info, dataset: str | None = None) -> types.PublishedData | None:
    await info.context.guard.admit(PREDICT)
    service = info.context.service
    contract = service.contract(dataset or service.settings.api_default_dataset)
    latest = await to_thread.run_sync(service.published.latest, contract.name, limiter=service.graphql.threads)
    return types.convert(types.PublishedData, data_info(contract, latest)) if latest is not None else None


def model_info(info: Info, model: Model = CHAMPION, dataset: str | None = None) -> types.ModelInfo:
    service = info.context.service
    described = rest.model_info(service, dataset, model)
    return builders.model_of(described, service.contracts[described.dataset])


async def predictions(  # noqa: PLR0913, PLR0917 - filters
    info: Info,
    first: int = 20,
    after: str | None = None,
    dataset: str | None = None,
    model: str | None = None,
    source: str | None = None,
    role: str = "answer",
) -> types.PredictionConnection:
    await info.context.guard.admit(READ)
    if not 1 <= first <= _MAX_PAGE:
        raise InvalidQuery(f"'first' must be from 1 to {_MAX_PAGE}, got {first}.")
    if any("\0" in (text or "") for text in (dataset, model, source, role)):
        raise InvalidQuery("A text holds the character NUL, which no name has.")
    info.context.count_rows(first)
    before = Cursor.decode(after) if after is not None else None
    service = info.context.service
    read = partial(service.store.page, first + 1, before, dataset=dataset, alias=model, role=role, source=source)
    page = await to_thread.run_sync(read, limiter=service.graphql.threads)
    chosen: dict[str, object] = {"alias": model, "source": source, "role": role}
    await _note_read(info, dataset, chosen, min(first, len(page)))
    return builders.page_of(page, first, service.contracts)


async def live_predictions(info: Info, dataset: str | None = None, model: str | None = None) -> AsyncIterator[types.StoredPrediction]:
    await info.context.guard.admit(READ)
    service = info.context.service
    await _note_read(info, dataset, {"alias": model, "live": True}, 0)
    async for prediction in service.live.subscribe():
        if prediction.role == "answer" and dataset in {None, prediction.dataset} and model in {None, prediction.alias}:
            yield builders.stored_of(prediction, service.contracts)


async def _note_read(info: Info, dataset: str | None, chosen: dict[str, object], rows: int) -> None:
    """Put a read of stored predictions into the audit trail before they are handed out."""
    act_for(info.context.connection, "graphql", caller_name(info.context.connection))
    service = info.context.service
    await to_thread.run_sync(service.audit.reads.read, dataset, chosen, rows, limiter=service.graphql.threads)


async def drift(info: Info, dataset: str | None = None) -> types.Drift | None:
    await info.context.guard.admit(READ)
    service = info.context.service
    contract = service.contract(dataset or service.settings.api_default_dataset)
    check = await to_thread.run_sync(service.drift.check_at, contract.name, limiter=service.graphql.threads)
    return types.convert(types.Drift, drift_builders.drift_info(check)) if check else None


async def drift_history(info: Info, dataset: str | None = None, last: int = 100) -> list[types.PastDrift]:
    await info.context.guard.admit(READ)
    if not 1 <= last <= _MOST_CHECKS:
        raise InvalidQuery(f"'last' must be 1 to {_MOST_CHECKS}, got {last}.")
    service = info.context.service
    contract = service.contract(dataset or service.settings.api_default_dataset)
    info.context.count_rows(last)
    checks = await to_thread.run_sync(service.drift.history, contract.name, last, limiter=service.graphql.threads)
    return [types.convert(types.PastDrift, check) for check in drift_builders.drift_history(contract.name, checks).checks]


async def quality(info: Info, dataset: str | None = None) -> types.Quality | None:
    await info.context.guard.admit(READ)
    service = info.context.service
    contract = service.contract(dataset or service.settings.api_default_dataset)
    check = await to_thread.run_sync(service.quality.check_at, contract.name, limiter=service.graphql.threads)
    return types.convert(types.Quality, QualityInfo.model_validate(check)) if check else None


async def quality_history(info: Info, dataset: str | None = None, last: int = 100) -> list[types.PastQuality]:
    await info.context.guard.admit(READ)
    if not 1 <= last <= _MOST_CHECKS:
        raise InvalidQuery(f"'last' must be 1 to {_MOST_CHECKS}, got {last}.")
    service = info.context.service
    contract = service.contract(dataset or service.settings.api_default_dataset)
    info.context.count_rows(last)
    checks = await to_thread.run_sync(service.quality.history, contract.name, last, limiter=service.graphql.threads)
    return [types.convert(types.PastQuality, PastQualityInfo.model_validate(check)) for check in checks]


async def retrains(info: Info, dataset: str | None = None, last: int = 50) -> types.RetrainList:
    await info.context.guard.admit(READ)
    if not 1 <= last <= _MOST_CHECKS:
        raise InvalidQuery(f"'last' must be 1 to {_MOST_CHECKS}, got {last}.")
    service = info.context.service
    contract = service.contract(dataset or service.settings.api_default_dataset)
    info.context.count_rows(last)
    listed = await to_thread.run_sync(read_retrains, service, contract, last, limiter=service.graphql.threads)
    return types.convert(types.RetrainList, listed)


async def alerts(
    info: Info, first: int = 100, state: str | None = None, dataset: str | None = None, severity: str | None = None
) -> list[types.Alert]:
    await info.context.guard.admit(READ)
    if not 1 <= first <= MOST_ALERTS:
        raise InvalidQuery(f"'first' must be 1 to {MOST_ALERTS}, got {first}.")
    for name, value, known in (("state", state, State), ("severity", severity, Severity)):
        if value is not None and value not in list(known):
            raise InvalidQuery(f"{name!r} must be one of {', '.join(known)}.")
    if "\0" in (dataset or ""):
        raise InvalidQuery("A text holds the character NUL, which no name has.")
    info.context.count_rows(first)
    service = info.context.service
    read = partial(service.alerts.alerts, state, dataset, first, severity=severity)
    return [types.convert(types.Alert, alert_info(alert)) for alert in await to_thread.run_sync(read, limiter=service.graphql.threads)]


async def rollouts(info: Info, dataset: str | None = None, last: int = 20) -> types.Rollouts:
    await info.context.guard.admit(READ)
    if not 1 <= last <= _MOST_ROLLOUTS:
        raise InvalidQuery(f"'last' must be 1 to {_MOST_ROLLOUTS}, got {last}.")
    service = info.context.service
    contract = service.contract(dataset or service.settings.api_default_dataset)
    info.context.count_rows(last)
    views = await to_thread.run_sync(service.rollout_admin.history, contract.name, last, limiter=service.graphql.threads)
    return types.convert(types.Rollouts, rollout_list(contract.name, views))


def make_query(inputs: RecordInputs, further: Mapping[str, tuple[Callable[..., Any], str]]) -> type:
    """Make the type `Query`, whose `predict` and `explain` take records of these data sets."""

    async def predict(info: Info, records: Any, model: Model = CHAMPION) -> types.Predictions:  # noqa: ANN401 - see below
        await info.context.guard.admit(PREDICT)
        service = info.context.service
        contract, rows = inputs.read(records, service.settings.api_max_records)
        info.context.count_rows(len(rows))
        predictor = service.predictor
        loaded = predictor.route(contract.name, model, info.context.routing_key, None)  # fields are selected later
        request_id = unique_id(info.context.request_id)  # one query may have several predictions, each with an id of its own
        prediction = await predictor.dispatch(loaded, len(rows), 0, lambda: predictor.predict(loaded, rows, request_id, "graphql"))
        return builders.predictions_of(prediction, contract)

    async def explain(
        info: Info,
        records: Any,  # noqa: ANN401
        model: Model = CHAMPION,
        class_: Annotated[str | None, strawberry.argument(name="class", description=_CLASS_DESCRIPTION)] = None,
        top: Annotated[int | None, strawberry.argument(description=_TOP_DESCRIPTION)] = None,
    ) -> types.Explanations:
        await info.context.guard.admit(PREDICT)
        service = info.context.service
        contract, rows = inputs.read(records, service.settings.explain_max_records)
        info.context.count_explained(len(rows))
        if top is not None and top < 1:
            raise InvalidQuery(f"'top' must be at least 1, got {top}.")
        loaded = service.predictor.route(contract.name, model, info.context.routing_key)
        service.explainers.check_class(contract.name, class_)
        columns = loaded.scorer.parser.parse(rows)
        explanations = await asyncio.wrap_future(service.explainers.submit(loaded, columns, class_, top))
        request_id = unique_id(info.context.request_id)
        answer = rest.explain_answer(loaded, contract, explanations, service.explainers.method(loaded), request_id)
        return types.convert(types.Explanations, answer)

    for resolver in (predict, explain):
        resolver.__annotations__["records"] = inputs.type_  # the type is made with the service: no annotation can name it
    resolvers: dict[str, tuple[Callable[..., Any], str]] = {
        "health": (health, "Whether the process lives."),
        "available_models": (available_models, "Every alias, of one data set or of all."),
        "registered_versions": (registered_versions, "Every version of a data set, the latest first; asks the registry."),
        "published_data": (published_data, "The data that were published last, null before the first; may ask the registry."),
        "model_info": (model_info, "The version that an alias serves."),
        "predictions": (predictions, "Stored predictions, newest first; `after` takes the end cursor of the page before."),
        "drift": (drift, "The newest check for drift of a data set; null before the first."),
        "drift_history": (drift_history, "Checks for drift, the oldest first; `last` says how many of the newest."),
        "quality": (quality, "The quality of a data set's answers, from labels; null before it is measured."),
        "quality_history": (quality_history, "Checks of quality, the oldest first; `last` says how many of the newest."),
        "retrains": (retrains, "Decisions about training again, the newest first, and what would be decided now."),
        "alerts": (alerts, "What somebody should look at: open alerts first, then acknowledged, then resolved ones."),
        "rollouts": (rollouts, "The rollout that runs, and those that have ended; `last` says how many of the newest."),
        **further,
        "predict": (predict, "Score records."),
        "explain": (explain, "What each column of a record adds to the score of a class."),
    }
    return create_type(
        "Query",
        [strawberry.field(resolver=resolver, name=to_camel_case(name), description=text) for name, (resolver, text) in resolvers.items()],
    )


def make_subscription() -> type:
    """Make the type `Subscription`."""
    description = "Predictions as they are stored, by the workers of the stream and by all interfaces."
    live: Any = strawberry.subscription(resolver=live_predictions, name="livePredictions", description=description)
    return create_type("Subscription", [live])
