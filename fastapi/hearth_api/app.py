"""The application: its routes, and what it holds while it runs."""

from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from hearth.contracts import list_contracts
from hearth.errors import UnknownDataset
from hearth.predictions import PredictionStore
from hearth.registry import Registry
from hearth.serving.access import Access
from hearth.serving.alias_admin import AliasRegistry
from hearth.serving.explaining import Explainers
from hearth.serving.model_follower import ModelFollower
from hearth.serving.predictor import Predictor
from hearth.serving.recording.recorder import Recorder
from hearth.settings import ApiSettings
from hearth.streaming.client import StreamWriter
from hearth_api.errors import install_error_handlers
from hearth_api.graphql_schema.router import graphql_router
from hearth_api.middleware.api_keys import protect
from hearth_api.middleware.metrics import measure
from hearth_api.middleware.request_ids import RequestIds
from hearth_api.readiness import Check, Dependencies, checks_of, places_of
from hearth_api.requests.uploads import FilePlaces
from hearth_api.resources import open_resources
from hearth_api.routes import admin as admin_routes
from hearth_api.routes import metrics as metrics_routes
from hearth_api.routes import mlflow_scoring, open_inference
from hearth_api.routes import models as models_routes
from hearth_api.routes import predictions as stored_routes
from hearth_api.routes import service as service_routes
from hearth_api.routes import stream as stream_state_routes
from hearth_api.routes.explain import explain_routes
from hearth_api.routes.files import file_routes
from hearth_api.routes.predict import prediction_routes
from hearth_api.routes.predict_stream import stream_routes
from hearth_api.state import ServiceState

_DESCRIPTION = "Raw records in, predictions out. `model` names an alias of the registry; a moved alias is followed within seconds."


def create_app(
    settings: ApiSettings | None = None,
    registry: AliasRegistry | None = None,
    checks: Mapping[str, Check] | None = None,
    when_ready: Callable[[], object] = lambda: None,
) -> FastAPI:
    """Make the service. Nothing is asked of any server before it starts, and it starts whether or not the registry answers.

    Settings and registry come from the environment unless they are given, and so do the checks by which it knows that it is ready.
    `when_ready` is called when the models are loaded, and once more when what explains them is.

    Raises:
        UnknownDataset: there is no contract of the default data set.
    """
    settings = settings or ApiSettings()
    source = registry or Registry.from_settings(settings)
    contracts = {contract.name: contract for contract in list_contracts(settings.data_dir)}
    if settings.api_default_dataset not in contracts:
        raise UnknownDataset(settings.api_default_dataset, sorted(contracts))
    access = Access.from_settings(settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with (
            ThreadPoolExecutor(max_workers=1, thread_name_prefix="compute") as compute,
            PredictionStore(settings.predictions_url.get_secret_value()) as store,
            StreamWriter(settings.redis_url.get_secret_value(), settings.stream_name, settings.stream_keep_messages) as stream,
            ModelFollower(source, contracts, settings.alias_poll_seconds) as models,
            Recorder(settings, contracts, models) as recorder,
            Explainers(contracts, settings.data_dir) as explainers,
            open_resources(settings, source, store) as app.state.resources,
        ):
            app.state.service = ServiceState(
                settings=settings,
                contracts=contracts,
                registry=source,
                models=models,
                recorder=recorder,
                predictor=Predictor(models, recorder, compute),
                store=store,
                stream=stream,
                dependencies=Dependencies(
                    checks_of(settings, store, stream) if checks is None else checks, places_of(settings, store, stream)
                ),
                explainers=explainers,
                files=FilePlaces(settings.api_max_files),
            )
            when_ready()
            explainers.warm(models, then=when_ready)
            yield
            await access.close()

    app = FastAPIOffline(redoc_url=None, title="Hearth", version=version("hearth"), description=_DESCRIPTION, lifespan=lifespan)
    install_error_handlers(app)
    protect(app, access)
    app.add_middleware(RequestIds)  # the last one that is added is the first that a request meets
    measure(app)
    app.include_router(service_routes.router)
    app.include_router(metrics_routes.router)
    app.include_router(models_routes.router)
    app.include_router(stored_routes.router)
    app.include_router(stream_state_routes.router)
    app.include_router(admin_routes.router)
    app.include_router(open_inference.router)
    app.include_router(mlflow_scoring.router)
    app.include_router(stream_routes(contracts, settings.api_default_dataset, settings.api_max_records))
    app.include_router(explain_routes(contracts, settings.api_default_dataset, settings.explain_max_records))
    app.include_router(file_routes(contracts, settings.api_default_dataset))
    app.include_router(graphql_router(contracts, settings))
    # Not through a router, which each request would have to be matched against twice
    app.router.routes[:0] = prediction_routes(contracts, settings.api_default_dataset, settings.api_max_records)
    return app
