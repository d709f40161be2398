from importlib.metadata import version

from fastapi import APIRouter

from hearth_api.schemas import Health, ServiceInfo
from hearth_api.state import Service

router = APIRouter(tags=["service"])


@router.get("/", summary="Who answers")
def root(service: Service) -> ServiceInfo:
    """Name, version, and where to go on."""
    links = {"documentation": "/docs", "models": "/models", "health": "/health", "predict": "/predict"}
    return ServiceInfo(name="hearth", version=version("hearth"), datasets=sorted(service.contracts), links=links)


@router.get("/health", summary="Is the process alive")
def health() -> Health:
    """Answer without asking anybody: a registry that is away does not make this process ill."""
    return Health()
