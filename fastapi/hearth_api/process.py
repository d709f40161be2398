"""The service as a process of its own: `uvicorn --factory hearth_api.process:create_service`."""

from fastapi import FastAPI

from hearth.logs import configure_logging
from hearth.serving.gc_freeze import freeze_after_import, freeze_now


def create_service() -> FastAPI:
    """Set up logging, import what the service is made of, and make it."""
    configure_logging("fastapi")
    with freeze_after_import():
        from hearth_api.app import create_app  # noqa: PLC0415 - the context is for this import

        return create_app(when_ready=freeze_now)
