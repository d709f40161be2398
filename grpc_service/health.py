"""The standard health service, kept true.

The empty name is the process, like REST's `GET /health`: it serves from the end of its start, when each champion that the registry names
is loaded or known not to be, to its stop, with or without models. The names of the services for predictions serve from then on while at
least one alias of any data set does.
"""

import asyncio
import logging
from collections.abc import Mapping

from grpc_health.v1.health import aio
from grpc_health.v1.health_pb2 import HealthCheckResponse

from grpc_service.inference import SERVICE as INFERENCE_SERVICE
from grpc_service.v1 import prediction_pb2 as pb
from hearth.serving.model_follower import ModelFollower
from hearth.serving.open_inference.models import is_ready

_LOGGER = logging.getLogger(__name__)
_POLL_SECONDS, _START_POLL_SECONDS = 0.5, 0.1

PROCESS = ""
SERVICE = pb.DESCRIPTOR.services_by_name["Prediction"].full_name


async def set_health(health: aio.HealthServicer, models: ModelFollower, known: Mapping[str, bool]) -> dict[str, bool]:
    """Set what differs from the `known` status of the process and of the services for predictions; return the present one."""
    ready = is_ready(models.status())
    present = {PROCESS: not models.starting(), SERVICE: ready, INFERENCE_SERVICE: ready}
    for service, serves in present.items():
        if known.get(service) is not serves:
            await health.set(service, HealthCheckResponse.SERVING if serves else HealthCheckResponse.NOT_SERVING)
    if known.get(SERVICE) is not ready:
        _LOGGER.info("%s is %s", SERVICE, "ready" if ready else "not ready: " + _reason(models))
    return present


async def update_health(health: aio.HealthServicer, models: ModelFollower, known: Mapping[str, bool]) -> None:
    """Do so again and again, until cancelled."""
    while True:
        known = await set_health(health, models, known)
        await asyncio.sleep(_POLL_SECONDS if known[PROCESS] else _START_POLL_SECONDS)


def _reason(models: ModelFollower) -> str:
    return "; ".join(models.starting()) or "no alias has a version that can be served"
