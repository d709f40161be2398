"""The application: `uvicorn --factory hearth_api.app:create_app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from hearth.contracts import list_contracts
from hearth.registry import Registry
from hearth.serving import Models
from hearth.settings import ApiSettings
from hearth.telemetry import configure_logging
from hearth_api.errors import install_error_handlers
from hearth_api.routes import models as models_routes
from hearth_api.routes import service as service_routes
from hearth_api.routes.predictions import prediction_routes
from hearth_api.state import ServiceState

_DESCRIPTION = "Raw records in, predictions out. `model` names an alias of the registry; a moved alias is followed within seconds."


def create_app(settings: ApiSettings | None = None) -> FastAPI:
    """Make the service. Nothing is asked of any server before it starts, and it starts whether or not the registry answers."""
    settings = settings or ApiSettings()
    contracts = {contract.name: contract for contract in list_contracts(settings.data_dir)}

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        configure_logging("fastapi")
        registry = Registry.from_settings(settings)
        with Models(registry, contracts, settings.alias_poll_seconds) as models:
            app.state.service = ServiceState(settings, contracts, registry, models)
            yield

    app = FastAPI(title="Hearth", version=version("hearth"), description=_DESCRIPTION, lifespan=lifespan)
    install_error_handlers(app)
    app.include_router(service_routes.router)
    app.include_router(models_routes.router)
    app.include_router(prediction_routes(contracts, settings.api_default_dataset))
    return app
