"""The standard health service, kept true.

The empty name is the process: it serves from its start to its stop, with or without models, like REST's `GET /health`. The name
of the service is what it is there for: it serves while at least one alias of any data set does.
"""

import asyncio
import logging

from grpc_health.v1.health import aio
from grpc_health.v1.health_pb2 import HealthCheckResponse

from grpc_service.v1 import prediction_pb2 as pb
from hearth.serving.model_follower import ModelFollower

_LOGGER = logging.getLogger(__name__)
_LOOK_SECONDS = 0.5

SERVICE = pb.DESCRIPTOR.services_by_name["Prediction"].full_name


async def keep_true(health: aio.HealthServicer, models: ModelFollower) -> None:
    """Tell the health service what serves, until cancelled."""
    said: bool | None = None
    while True:
        serves = any(alias.serving for alias in models.status().aliases)
        if serves is not said:
            _LOGGER.info("%s is %s", SERVICE, "ready" if serves else "not ready: no alias has a version that can be served")
            await health.set(SERVICE, HealthCheckResponse.SERVING if serves else HealthCheckResponse.NOT_SERVING)
            said = serves
        await asyncio.sleep(_LOOK_SECONDS)
