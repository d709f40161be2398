"""The application: `uvicorn --factory hearth_api.app:create_service`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from hearth.contracts import list_contracts
from hearth.registry import Registry
from hearth.serving import Models, ModelSource
from hearth.settings import ApiSettings
from hearth.telemetry import configure_logging
from hearth_api.errors import install_error_handlers
from hearth_api.routes import models as models_routes
from hearth_api.routes import service as service_routes
from hearth_api.routes.predictions import prediction_routes
from hearth_api.state import ServiceState

_DESCRIPTION = "Raw records in, predictions out. `model` names an alias of the registry; a moved alias is followed within seconds."


def create_app(settings: ApiSettings | None = None, registry: ModelSource | None = None) -> FastAPI:
    """Make the service. Nothing is asked of any server before it starts, and it starts whether or not the registry answers.

    Settings and registry come from the environment unless they are given.
    """
    settings = settings or ApiSettings()
    source = registry or Registry.from_settings(settings)
    contracts = {contract.name: contract for contract in list_contracts(settings.data_dir)}

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with Models(source, contracts, settings.alias_poll_seconds) as models:
            app.state.service = ServiceState(settings, contracts, source, models)
            yield

    app = FastAPIOffline(redoc_url=None, title="Hearth", version=version("hearth"), description=_DESCRIPTION, lifespan=lifespan)
    install_error_handlers(app)
    app.include_router(service_routes.router)
    app.include_router(models_routes.router)
    app.include_router(prediction_routes(contracts, settings.api_default_dataset))
    return app


def create_service() -> FastAPI:
    """Make the service for a process of its own, whose logging it sets up."""
    configure_logging("fastapi")
    return create_app()
