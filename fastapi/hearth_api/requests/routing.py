"""Who asks, where a candidate answers a share of the champion's requests: the same caller meets the same version."""

from typing import Annotated

from fastapi import Header
from starlette.types import Scope

from hearth.serving.loaded_model import LoadedModel
from hearth.serving.rollouts.router import request_key

HEADER = "X-Routing-Key"
_NAME = HEADER.lower().encode()

RoutingKey = Annotated[
    str | None,
    Header(
        alias=HEADER,
        description="who asks, such as a hash of a customer's number: while a candidate answers a share of the champion's requests, "
        "the same key meets the same version. Without it, the id of the request decides.",
    ),
]


def routing_key(scope: Scope) -> str:
    """Return what decides which version answers a request; called only while a rollout runs."""
    given = next((value.decode("latin-1") for name, value in scope["headers"] if name == _NAME), "")
    return request_key(given, scope["state"]["request_id"])


def version_headers(model: LoadedModel) -> dict[str, str]:
    """Return the headers of an answer whose body does not say which version it is from."""
    canary = {"X-Model-Canary": "true"} if model.fallback is not None else {}
    return {"X-Model-Alias": model.alias, "X-Model-Version": model.version, **canary}
