"""The status of a response is noted once, on its way out: metrics and spans say the same."""

import asyncio
import contextlib
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hearth.serving.metrics import new_registry
from hearth.tracing.otel import SpanMaker
from hearth.tracing.spans import TRACER
from hearth_api.middleware.metrics import RequestMetrics
from hearth_api.middleware.traces import Traces


class Boom(Exception):
    """What nobody expected."""


async def answer(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"no"})


async def fail(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(scope, receive, send)
    raise Boom


async def leave(_: Scope, __: Receive, ___: Send) -> None:
    """End without a response, as for a client that has gone."""


async def cancel(_: Scope, __: Receive, ___: Send) -> None:
    raise asyncio.CancelledError


@pytest.fixture(params=["off", "kept"])
def spans(request: pytest.FixtureRequest) -> Iterator[InMemorySpanExporter | None]:
    if request.param == "off":
        yield None
        return
    exporter = InMemorySpanExporter()
    TRACER.maker = SpanMaker(SimpleSpanProcessor(exporter), ALWAYS_ON, Resource.get_empty())
    try:
        yield exporter
    finally:
        TRACER.maker = None


def ask(app: ASGIApp, registry: CollectorRegistry) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def run() -> None:
        scope = {"type": "http", "method": "GET", "path": "/nowhere", "headers": []}
        with contextlib.suppress(Boom, asyncio.CancelledError):
            await Traces(RequestMetrics(app, registry))(scope, receive, send)

    asyncio.run(run())
    return sent


@pytest.mark.parametrize(("app", "status"), [(answer, 404), (fail, 500), (leave, 499), (cancel, 499)])
def test_metrics_and_spans_have_the_status_of_the_response(spans: InMemorySpanExporter | None, app: ASGIApp, status: int) -> None:
    registry = new_registry()

    sent = ask(app, registry)

    labels = {"method": "GET", "route": "none", "status": str(status)}
    assert registry.get_sample_value("hearth_http_requests_total", labels) == 1
    if spans is not None:
        [span] = spans.get_finished_spans()
        assert span.attributes
        assert span.attributes["http.response.status_code"] == status
    if app in {answer, fail}:
        assert [name for name, _ in sent[0]["headers"]] == [b"traceparent"]
