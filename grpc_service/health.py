"""The standard health service, kept true.

The empty name is the process: it serves from its start to its stop, with or without models, like REST's `GET /health`. The names of
the services for predictions serve while at least one alias of any data set does.
"""

import asyncio
import logging

from grpc_health.v1.health import aio
from grpc_health.v1.health_pb2 import HealthCheckResponse

from grpc_service.inference import SERVICE as INFERENCE_SERVICE
from grpc_service.v1 import prediction_pb2 as pb
from hearth.serving.model_follower import ModelFollower
from hearth.serving.open_inference.models import is_ready

_LOGGER = logging.getLogger(__name__)
_POLL_SECONDS = 0.5

SERVICE = pb.DESCRIPTOR.services_by_name["Prediction"].full_name


async def update_health(health: aio.HealthServicer, models: ModelFollower) -> None:
    """Set the status of the services for predictions whenever it changes, until cancelled."""
    last: bool | None = None
    while True:
        ready = is_ready(models.status())
        if ready is not last:
            _LOGGER.info("%s is %s", SERVICE, "ready" if ready else "not ready: no alias has a version that can be served")
            for service in (SERVICE, INFERENCE_SERVICE):
                await health.set(service, HealthCheckResponse.SERVING if ready else HealthCheckResponse.NOT_SERVING)
            last = ready
        await asyncio.sleep(_POLL_SECONDS)
