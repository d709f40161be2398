"""What a running service holds, and how routes get at it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection
from starlette.types import Scope

from hearth.contracts import Contract
from hearth.errors import UnknownDataset
from hearth.predictions import PredictionStore
from hearth.serving.explaining import Explainers
from hearth.serving.model_follower import ModelFollower, ModelSource
from hearth.serving.predictor import Predictor
from hearth.serving.recording.recorder import Recorder
from hearth.settings import ApiSettings
from hearth.streaming.client import StreamWriter
from hearth_api.readiness import Dependencies
from hearth_api.requests.uploads import FilePlaces


@dataclass(frozen=True)
class ServiceState:
    """Made when the service starts, closed when it ends; one for the whole process."""

    settings: ApiSettings
    contracts: Mapping[str, Contract]
    registry: ModelSource
    models: ModelFollower
    recorder: Recorder
    predictor: Predictor
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
