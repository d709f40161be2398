"""The application: its routes and middleware, and the state that it holds while it runs."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import NoReturn

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline

from hearth.contracts import Contract, usable_contracts
from hearth.errors import UnknownDataset
from hearth.serving.access import Access
from hearth.serving.model_probe import ProbedRegistry
from hearth.settings import ApiSettings
from hearth.tracing.export import exported_spans
from hearth_api.documentation import describe, operation_id
from hearth_api.errors import install_error_handlers
from hearth_api.graphql_schema.router import graphql_router
from hearth_api.middleware.api_keys import is_open, protect
from hearth_api.middleware.browsers import allow_browsers
from hearth_api.middleware.head import HeadRequests
from hearth_api.middleware.metrics import measure
from hearth_api.middleware.proxies import trust_proxies
from hearth_api.middleware.request_ids import RequestIds
from hearth_api.middleware.traces import Traces
from hearth_api.readiness import Check
from hearth_api.requests.parameters import refuse_unread_parameters
from hearth_api.routes import (
    admin,
    alerts,
    audit,
    cards,
    data,
    drift,
    feedback,
    metrics,
    mlflow_scoring,
    models,
    open_inference,
    predictions,
    quality,
    retrains,
    rollouts,
    service,
    stream,
)
from hearth_api.routes.explain import explain_routes
from hearth_api.routes.files import file_routes
from hearth_api.routes.models import model_info_routes
from hearth_api.routes.predict import prediction_routes
from hearth_api.routes.predict_stream import stream_routes
from hearth_api.schemas.errors import ErrorBody
from hearth_api.state import ServiceRegistry, ServiceState, open_service

_DESCRIPTION = """Raw records in, predictions out. `model` names an alias of the registry; `alias` is a synonym. A moved alias is followed
in seconds. Unknown and repeated query parameters are refused. GraphQL answers at `/graphql`, with a page for browsers."""
_RESPONSES: dict[int | str, dict[str, object]] = {422: {"model": ErrorBody, "description": "A parameter, the body or a record is invalid"}}
_RECORD_ROUTES = ("predict", "predict_stream", "explain", "predict/csv", "predict/parquet")


def create_app(
    settings: ApiSettings | None = None,
    registry: ServiceRegistry | None = None,
    checks: Mapping[str, Check] | None = None,
    when_ready: Callable[[], object] = lambda: None,
) -> FastAPI:
    """Make the service. It connects to no server before it starts, and it starts whether or not the registry answers.

    Settings, registry and the checks of readiness come from the environment by default. `when_ready` is called when the first champion
    serves, when the other models are loaded, and when their explainers are.

    Raises:
        UnknownDataset: if the default data set has no contract.
        InvalidContract: if the contract of the default data set has a mistake; other data sets with one are left out.
    """
    settings = settings or ApiSettings()
    contracts = {contract.name: contract for contract in usable_contracts(settings.data_dir, settings.api_default_dataset)}
    if settings.api_default_dataset not in contracts:
        raise UnknownDataset(settings.api_default_dataset, sorted(contracts))
    source = registry or ProbedRegistry.of(settings, contracts)
    access = Access.from_settings(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with exported_spans("rest"), open_service(settings, contracts, source, access, checks) as app.state.service:
            when_ready()
            threading.Thread(target=_finish_start, args=[app.state.service, when_ready], name="finish-start", daemon=True).start()
            yield
            await access.close()

    app = FastAPIOffline(
        redoc_url=None,
        title="Hearth",
        version=version("hearth"),
        description=_DESCRIPTION,
        lifespan=lifespan,
        dependencies=[Depends(refuse_unread_parameters)],
        responses=_RESPONSES,
        generate_unique_id_function=operation_id,
        telemetry={"tracing": False, "metrics": False},  # FastAPI's own spans can hold bodies
    )
    install_error_handlers(app)
    _add_middleware(app, settings, access)
    _add_routes(app, settings, contracts)
    limits = {"": settings.api_max_records, "Explain": settings.explain_max_records}
    describe(app, contracts, limits, None if access.is_open else is_open)
    return app


def _add_middleware(app: FastAPI, settings: ApiSettings, access: Access) -> None:
    """Add middleware from the inside out: the last one is the first that a request meets."""
    protect(app, access)
    allow_browsers(app, settings)
    app.add_middleware(RequestIds)
    app.add_middleware(HeadRequests)
    measure(app)
    app.add_middleware(Traces)
    trust_proxies(app, settings)


def _add_routes(app: FastAPI, settings: ApiSettings, contracts: Mapping[str, Contract]) -> None:
    default = settings.api_default_dataset
    for module in (
        service,
        metrics,
        models,
        cards,
        data,
        predictions,
        drift,
        quality,
        retrains,
        alerts,
        audit,
        feedback,
        stream,
        admin,
        rollouts,
        open_inference,
        mlflow_scoring,
    ):
        app.include_router(module.router)
    app.include_router(model_info_routes(contracts))
    app.include_router(stream_routes(contracts, default))
    app.include_router(explain_routes(contracts, default))
    app.include_router(file_routes(contracts, default))
    app.include_router(graphql_router(contracts, settings))
    # Not through a router: each request would be matched against its routes twice.
    app.router.routes[:0] = prediction_routes(contracts, default)
    app.router.routes.extend(_unknown_dataset_routes(contracts))


def _finish_start(service: ServiceState, when_ready: Callable[[], object]) -> None:
    """Do what comes after the first champion serves, in a thread of its own."""
    if service.models.wait_until_polled():
        when_ready()
        service.explainers.warm(service.models, then=when_ready)


def _unknown_dataset_routes(contracts: Mapping[str, Contract]) -> Iterator[APIRoute]:
    """Make routes that answer what the routes of no data set have matched."""

    async def refuse(dataset: str) -> NoReturn:
        raise UnknownDataset(dataset, sorted(contracts))

    for action in _RECORD_ROUTES:
        yield APIRoute(f"/{{dataset}}/{action}", refuse, methods=["POST"], response_model=None, include_in_schema=False)
