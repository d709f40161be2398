"""Who calls, where a candidate answers a share of the champion's requests: the metadata `x-routing-key`, else the id of the request."""

from grpc_service.errors import Context
from hearth.serving.recording.request_ids import unique_id

_NAME = "x-routing-key"


def routing_key(context: Context, request_id: str) -> str:
    """Return what decides which version answers a request; called only while a rollout runs."""
    given = next((str(value) for name, value in context.invocation_metadata() or () if name == _NAME), "")
    return given or request_id or unique_id()
