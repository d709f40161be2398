"""API keys in gRPC: the metadata `x-api-key`, or `authorization: Bearer …`. `hearth.serving.access` decides who may call, and how often."""

from urllib.parse import unquote

from grpc_service.errors import Context
from hearth.serving.access import PREDICT, Access, Caller

_KEY, _AUTHORIZATION, _BEARER = "x-api-key", "authorization", "bearer "


async def admit(access: Access, context: Context, scope: str = PREDICT) -> Caller | None:
    """Let a call in that needs a scope, and return its caller; None if no call has to be checked.

    Raises:
        InvalidKey: a key is required and there is none, or nobody has it.
        MissingScope: a key is required and this one does not have the scope.
        TooManyRequests: the caller has called too often, or has sent too many wrong keys.
    """
    if access.is_open:
        return None
    return await access.admit_call(_secret(context), caller_address(context.peer()), (scope,), "grpc")


def _secret(context: Context) -> str | None:
    """Return the key of a call; of two, the one under our own name."""
    metadata = {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
    if _KEY in metadata:
        return metadata[_KEY]
    authorization = metadata.get(_AUTHORIZATION, "")
    return authorization[len(_BEARER) :].strip() if authorization.lower().startswith(_BEARER) else None


def caller_address(peer: str) -> str:
    """Return the address in gRPC's name of a peer, such as `ipv4:127.0.0.1:5000` or `ipv6:[::1]:5000`."""
    family, _, place = unquote(peer).partition(":")
    return place.rpartition(":")[0].strip("[]") if family in {"ipv4", "ipv6"} else peer
