"""What a running service holds, and how routes get at it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from hearth.contracts import Contract
from hearth.serving import Models, ModelSource
from hearth.settings import ApiSettings


@dataclass(frozen=True)
class ServiceState:
    """Made when the service starts, closed when it ends; one for the whole process."""

    settings: ApiSettings
    contracts: Mapping[str, Contract]
    registry: ModelSource
    models: Models


def _service(request: Request) -> ServiceState:
    service = request.app.state.service
    assert isinstance(service, ServiceState)  # noqa: S101 - the lifespan has put it there
    return service


Service = Annotated[ServiceState, Depends(_service)]
