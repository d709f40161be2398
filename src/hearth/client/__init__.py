"""A client of Hearth's REST service.

    from hearth.client import Client

    with Client("http://127.0.0.1:8800") as client:
        print(client.predict({"Designation": 2, ...}).label)

It needs httpx and pydantic alone. `answers` has the types of what the service answers, `errors` the tree of what is raised.
"""

from hearth.client.client import AsyncClient, Client
from hearth.client.errors import (
    ApiError,
    ClientError,
    Conflict,
    InvalidRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    ServiceFailed,
    ServiceUnavailable,
    ServiceUnreachable,
    TooManyRequests,
    UnexpectedAnswer,
)
from hearth.client.feedback import Report

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "ClientError",
    "Conflict",
    "InvalidRequest",
    "NotAllowed",
    "NotAuthenticated",
    "NotFound",
    "Report",
    "ServiceFailed",
    "ServiceUnavailable",
    "ServiceUnreachable",
    "TooManyRequests",
    "UnexpectedAnswer",
]
