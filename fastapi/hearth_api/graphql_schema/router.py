"""The route `/graphql`: queries over POST, subscriptions over WebSocket, and a page for a browser that asks with GET."""

from collections.abc import Mapping
from json import JSONDecodeError
from pathlib import Path
from typing import Any

import strawberry
from cross_web import HTTPException as RefusedByView
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse
from graphql import GraphQLError
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import Message
from strawberry.extensions import MaxAliasesLimiter, MaxTokensLimiter, QueryDepthLimiter
from strawberry.fastapi import GraphQLRouter
from strawberry.types import ExecutionContext
from strawberry.types.unset import UNSET

from hearth.contracts import Contract
from hearth.settings import ApiSettings
from hearth_api.graphql_schema import types
from hearth_api.graphql_schema.errors import ErrorsAsInRest
from hearth_api.graphql_schema.inputs import record_inputs
from hearth_api.graphql_schema.queries import Context, make_query, make_subscription
from hearth_api.requests.bodies import receive_body
from hearth_api.resources import resources_of
from hearth_api.state import service_of, state_of

PATH = "/graphql"
_FOLDER = Path(__file__).with_name("graphiql")
_KINDS = {".js": "text/javascript", ".css": "text/css"}


def make_schema(contracts: Mapping[str, Contract], settings: ApiSettings) -> strawberry.Schema:
    """Make the schema of these data sets, with its limits."""
    return _Schema(
        query=make_query(record_inputs(contracts)),
        subscription=make_subscription(),
        config=types.CONFIG,
        extensions=[
            lambda: QueryDepthLimiter(max_depth=settings.graphql_max_depth),
            lambda: MaxAliasesLimiter(max_alias_count=settings.graphql_max_aliases),
            lambda: MaxTokensLimiter(max_token_count=settings.graphql_max_tokens),
            ErrorsAsInRest,
        ],
    )


def graphql_router(contracts: Mapping[str, Contract], settings: ApiSettings) -> APIRouter:
    """Make the route and the files of its page."""
    schema = make_schema(contracts, settings)
    router = _Router(schema, path=PATH, context_getter=_asked, allow_queries_via_get=False, tags=["graphql"])
    router.add_route(PATH + "/page/{name}", _file, include_in_schema=False)
    return router


class _Schema(strawberry.Schema):
    def process_errors(self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None) -> None:
        """Log nothing: what a caller did wrong is for the caller, and ErrorsAsInRest logs the rest."""


class _Router(GraphQLRouter[Context, None]):
    async def run(self, request: Any, context: Any = UNSET, root_value: Any = UNSET) -> Any:  # noqa: ANN401 - its interface
        """Answer a request, whose body is read as REST reads one: no more than its limit, and no longer than its time."""
        if isinstance(request, Request) and request.method == "POST":
            settings = state_of(request.scope).settings
            content = await receive_body(request.scope, request.receive, settings.api_max_body_bytes, settings.api_body_seconds)
            waiting: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]
            rest = request.receive

            async def replay() -> Message:
                return waiting.pop() if waiting else await rest()

            request = Request(request.scope, replay)
        try:
            return await super().run(request, context, root_value)
        except RefusedByView as error:  # which the base class would answer as plain text
            raise HTTPException(error.status_code, error.reason) from error

    def decode_json(self, data: str | bytes) -> object:
        """Parse JSON as REST does: a number of thousands of digits is an error of the caller."""
        try:
            return from_json(data)
        except ValueError as error:
            raise JSONDecodeError(str(error), "", 0) from error  # which the base class answers with 400

    async def render_graphql_ide(self, request: Request) -> HTMLResponse:  # noqa: ARG002 - its interface
        return HTMLResponse((_FOLDER / "page.html").read_text("utf-8"))


async def _asked(connection: HTTPConnection) -> Context:
    return Context(service_of(connection), resources_of(connection), connection)


async def _file(request: Request) -> Response:
    """Answer a file of the page; they lie here compressed, and every browser can read that."""
    name = Path(request.path_params["name"])
    path = _FOLDER / f"{name.name}.gz"
    if name.suffix not in _KINDS or not path.is_file():
        raise HTTPException(404, f"The page has no file {name.name!r}.")
    headers = {"Content-Encoding": "gzip", "Cache-Control": "public, max-age=86400"}
    return Response(path.read_bytes(), headers=headers, media_type=_KINDS[name.suffix])
