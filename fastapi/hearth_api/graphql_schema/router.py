"""The route `/graphql`: queries over POST, subscriptions over WebSocket, and a page for browsers over GET."""

from collections.abc import Mapping
from dataclasses import replace
from json import JSONDecodeError
from pathlib import Path
from typing import Any

import strawberry
from cross_web import HTTPException as RefusedByView
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from graphql import GraphQLError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import Message
from strawberry.extensions import MaxTokensLimiter, QueryDepthLimiter
from strawberry.fastapi import GraphQLRouter
from strawberry.types import ExecutionContext
from strawberry.types.unset import UNSET

from hearth.contracts import Contract
from hearth.contracts.strict_json import InvalidJson, RepeatedKey, parse_json
from hearth.settings import ApiSettings
from hearth_api.errors import InvalidBody
from hearth_api.graphql_schema import types
from hearth_api.graphql_schema.audit_query import AUDIT, audit
from hearth_api.graphql_schema.errors import RestErrors, UnreadVariables
from hearth_api.graphql_schema.inputs import record_inputs
from hearth_api.graphql_schema.limits import QueryLimits
from hearth_api.graphql_schema.mutations import make_mutation
from hearth_api.graphql_schema.queries import Context, make_query, make_subscription
from hearth_api.middleware.api_keys import FieldGuard
from hearth_api.requests.bodies import Limit, receive_body
from hearth_api.state import service_of, state_of

PATH = "/graphql"
_FOLDER = Path(__file__).with_name("graphiql")
_BODY_KEYS = ("query", "variables", "operationName", "extensions")
_KINDS = {".js": "text/javascript", ".css": "text/css"}


def make_schema(contracts: Mapping[str, Contract], settings: ApiSettings) -> strawberry.Schema:
    """Make the schema of these data sets, with its limits."""
    return _Schema(
        query=make_query(record_inputs(contracts), {"audit": (audit, AUDIT)}),
        mutation=make_mutation(),
        subscription=make_subscription(),
        config=types.CONFIG,
        extensions=[
            lambda: QueryDepthLimiter(max_depth=settings.graphql_max_depth),
            lambda: MaxTokensLimiter(max_token_count=settings.graphql_max_tokens),
            lambda: QueryLimits(settings),
            UnreadVariables,
            RestErrors,
        ],
    )


def graphql_router(contracts: Mapping[str, Contract], settings: ApiSettings) -> APIRouter:
    """Make the route and the files of its page."""
    schema = make_schema(contracts, settings)
    router = _Router(schema, path=PATH, context_getter=_context, allow_queries_via_get=False, include_in_schema=False)
    router.add_route(PATH + "/page/{name}", _file, include_in_schema=False)
    return router


class _Schema(strawberry.Schema):
    async def execute(self, query: str | None, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - its interface
        """Execute a query in the thread of GraphQL."""
        context: Context = options["context_value"]
        return await context.service.graphql.run(super().execute(query, *arguments, **options))

    async def stream(self, query: str | None, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - its interface
        """Execute a subscription in the event loop of the service, which `QueryLimits` refuses for queries: they have a thread."""
        context: Context = options["context_value"]
        return await super().stream(query, *arguments, **{**options, "context_value": replace(context, is_stream=True)})

    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Log nothing: errors of callers are for callers, and RestErrors logs the others."""


class _Router(GraphQLRouter[Context, None]):
    async def run(self, request: Any, context: Any = UNSET, root_value: Any = UNSET) -> Any:  # noqa: ANN401 - its interface
        """Answer a request. Its body has a limit of bytes of its own, and REST's of time."""
        if isinstance(request, Request) and request.method == "POST":
            settings = state_of(request.scope).settings
            limit = Limit(settings.graphql_max_body_bytes, "HEARTH_GRAPHQL_MAX_BODY_BYTES")
            content = await receive_body(request.scope, request.receive, limit, settings.api_body_seconds)
            waiting: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]
            rest = request.receive

            async def replay() -> Message:
                return waiting.pop() if waiting else await rest()

            request = Request(request.scope, replay)
        try:
            return await super().run(request, context, root_value)
        except RefusedByView as error:  # the base class answers with plain text
            raise HTTPException(error.status_code, error.reason) from error

    def parse_json(self, data: str | bytes) -> object:
        """Parse the body of a request, whose unknown and repeated keys are refused by name.

        Raises:
            InvalidBody: if the body has unknown or repeated keys.
        """
        try:
            body: object = super().parse_json(data)
        except RefusedByView as error:
            if error.__cause__ and isinstance(reason := error.__cause__.__cause__, RepeatedKey):
                raise InvalidBody(f"The body {reason}.") from error
            raise
        if isinstance(body, dict) and (unknown := sorted(body.keys() - set(_BODY_KEYS))):
            names = ", ".join(map(repr, unknown))
            raise InvalidBody(f"The body has unknown keys: {names}; GraphQL takes {', '.join(_BODY_KEYS)}.")
        return body

    def decode_json(self, data: str | bytes) -> object:
        """Parse JSON as REST does, of a body and of a message over WebSocket."""
        try:
            return parse_json(data)
        except InvalidJson as error:
            raise JSONDecodeError(str(error), "", 0) from error  # the base class answers 400

    async def render_graphql_ide(self, request: Request) -> HTMLResponse:  # noqa: ARG002 - its interface
        return HTMLResponse((_FOLDER / "page.html").read_text("utf-8"))


async def _context(connection: HTTPConnection) -> Context:
    return Context(service_of(connection), connection, FieldGuard(connection))


async def _file(request: Request) -> Response:
    """Return a file of the page. Files are stored compressed, which every browser reads."""
    name = Path(request.path_params["name"])
    path = _FOLDER / f"{name.name}.gz"
    if name.suffix not in _KINDS or not path.is_file():
        raise HTTPException(404, f"The page has no file {name.name!r}.")
    headers = {"Content-Encoding": "gzip", "Cache-Control": "public, max-age=86400"}
    return Response(path.read_bytes(), headers=headers, media_type=_KINDS[name.suffix])
