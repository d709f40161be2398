"""Query parameters: the alias that a request names, and a refusal of every parameter that a route does not read."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Query, WebSocketException, status
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query as QueryInfo
from starlette.requests import HTTPConnection

from hearth.contracts.aliases import CHAMPION
from hearth.errors import ErrorKind, HearthError
from hearth.serving.include import PARTS, Include, parse_include

TEXT = r"^[^\x00]*$"  # what PostgreSQL can compare


class InvalidParameters(HearthError):
    """A query parameter is unknown, repeated, or contradicts another."""

    code = "invalid_request"
    kind = ErrorKind.CALLER


async def refuse_unread_parameters(connection: HTTPConnection) -> None:
    """Refuse a request with a query parameter that its route does not read: a dependency of every route.

    Raises:
        InvalidParameters: naming the parameters, and those that the route takes.
        WebSocketException: the same for a WebSocket.
    """
    scope = connection.scope
    if not scope["query_string"]:
        return
    accepted = [parameter.alias for parameter in get_flat_params(scope["route"].dependant) if isinstance(parameter.field_info, QueryInfo)]
    names = [name for name, _ in connection.query_params.multi_items()]
    method = scope.get("method", "the WebSocket")
    try:
        _check(f"{method} {scope['route'].path_format}", accepted, names)
    except InvalidParameters as error:
        if scope["type"] == "websocket":
            raise WebSocketException(status.WS_1008_POLICY_VIOLATION, error.code) from error
        raise


def alias_parameter(names: Sequence[str], description: str = "The alias that answers.") -> Callable[..., Awaitable[str]]:
    """Make the dependency that reads the parameter `model`, one of these aliases; `alias` is a synonym."""

    async def requested_alias(
        connection: HTTPConnection,
        model: Annotated[str, Query(description=description, json_schema_extra={"enum": list(names)})] = CHAMPION,
        alias: Annotated[str | None, Query(include_in_schema=False)] = None,
    ) -> str:
        if alias is None:
            return model
        return _only_alias(connection.query_params.get("model"), alias)

    return requested_alias


async def alias_filter(
    model: Annotated[str | None, Query(pattern=TEXT, description="Only those made under this alias.")] = None,
    alias: Annotated[str | None, Query(pattern=TEXT, include_in_schema=False)] = None,
) -> str | None:
    """Read the parameter `model` where it selects; `alias` is a synonym."""
    return model if alias is None else _only_alias(model, alias)


async def include_parameter(
    include: Annotated[str, Query(description=f"What to answer beside, with commas between: {', '.join(PARTS)}.")] = "",
) -> Include:
    """Read the parameter `include`."""
    return parse_include(include)


@lru_cache(maxsize=256)
def alias_and_include(query: bytes, route: str) -> tuple[str, Include]:
    """Return the alias that a query string names, and what it asks to include, for a route that reads no other parameter.

    Raises:
        InvalidParameters: it names another parameter, or more than one alias.
        InvalidInclude: it asks to include what no answer has.
    """
    parameters = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    _check(route, ("model", "alias", "include"), [name for name, _ in parameters])
    values = dict(parameters)
    alias = _only_alias(values.get("model"), values["alias"]) if "alias" in values else values.get("model", CHAMPION)
    return alias, parse_include(values.get("include", ""))


def _only_alias(model: str | None, alias: str) -> str:
    if model is not None:
        raise InvalidParameters("The query parameters 'model' and 'alias' mean the same: send one of them.")
    return alias


def _check(route: str, accepted: Sequence[str], names: Sequence[str]) -> None:
    takes = f"{route} takes {', '.join(accepted) if accepted else 'none'}."
    if unknown := sorted({name for name in names if name not in accepted}):
        raise InvalidParameters(f"Unknown query parameter: {', '.join(map(_short, unknown))}. {takes}")
    if repeated := sorted(name for name, count in Counter(names).items() if count > 1):
        raise InvalidParameters(f"Repeated query parameter: {', '.join(map(_short, repeated))}. {takes}")


def _short(name: str, longest: int = 80) -> str:
    text = name.encode(errors="replace").decode()
    return repr(text if len(text) <= longest else f"{text[:longest]}…")
