"""What a running service holds, and how routes get at it."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection
from starlette.types import Scope

from hearth.contracts import Contract
from hearth.errors import UnknownDataset
from hearth.explaining import Explainers
from hearth.predictions import PredictionStore
from hearth.recording.recorder import Recorder
from hearth.serving import Models, ModelSource
from hearth.settings import ApiSettings
from hearth.streaming.client import StreamWriter
from hearth_api.readiness import Dependencies
from hearth_api.uploads import FilePlaces


@dataclass(frozen=True)
class ServiceState:
    """Made when the service starts, closed when it ends; one for the whole process.

    `compute` has one thread, for what would hold up the event loop: several would only take turns with the interpreter.
    """

    settings: ApiSettings
    contracts: Mapping[str, Contract]
    registry: ModelSource
    models: Models
    recorder: Recorder
    compute: ThreadPoolExecutor
    store: PredictionStore
    stream: StreamWriter
    dependencies: Dependencies
    explainers: Explainers
    files: FilePlaces

    def contract(self, dataset: str) -> Contract:
        """Return the contract of a data set.

        Raises:
            UnknownDataset: there is none.
        """
        if dataset not in self.contracts:
            raise UnknownDataset(dataset, sorted(self.contracts))
        return self.contracts[dataset]


def service_of(connection: HTTPConnection) -> ServiceState:
    """Return the state of the service that a request has come to."""
    return state_of(connection.scope)


def state_of(scope: Scope) -> ServiceState:
    """Return the state of the service that an ASGI application is part of."""
    service = scope["app"].state.service
    assert isinstance(service, ServiceState)  # noqa: S101 - the lifespan has put it there
    return service


Service = Annotated[ServiceState, Depends(service_of)]
