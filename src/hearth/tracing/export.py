"""Sends the spans of a process to a collector, by OTLP over HTTP, where `OTEL_EXPORTER_OTLP_ENDPOINT` says where one is.

The variables are OpenTelemetry's own, and its SDK reads them: address, headers, sampler, name of the service, sizes of queues. Spans
wait in a queue with a bound and are sent by a thread; no request waits for a collector, and a queue that is full drops spans.
"""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hearth.tracing.spans import TRACER

if TYPE_CHECKING:
    from hearth.tracing.otel import SpanMaker

_LOGGER = logging.getLogger(__name__)
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP = "http/protobuf"
_CLOSE_SECONDS = 3.0


def endpoint() -> str | None:
    """Return where the environment wants spans to be sent, None if nowhere."""
    if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER", "").strip() == "none":
        return None
    return next((value for name in _ENDPOINTS if (value := os.environ.get(name, "").strip())), None)


@contextmanager
def exported_spans(service: str) -> Iterator[None]:
    """Export the spans of this process while the context is open; does nothing where the environment names no endpoint.

    What the environment has wrong is logged, and nothing is exported then: a service works without. At the end what waits is sent, for
    three seconds at most. `service` is the name of the process, unless OTEL_SERVICE_NAME or OTEL_RESOURCE_ATTRIBUTES has one.
    """
    maker = _maker(service) if endpoint() is not None and TRACER.maker is None else None
    if maker is None:
        yield
        return
    TRACER.maker = maker
    try:
        yield
    finally:
        TRACER.maker = None
        _shut_down(maker)


def _maker(service: str) -> "SpanMaker | None":
    try:  # where nothing is exported, none of these is ever imported
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        from hearth.tracing.otel import MAX_LINKS, SpanMaker  # noqa: PLC0415
        from hearth.tracing.otlp import QuietExporter  # noqa: PLC0415

        name = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": f"hearth-{service}"}
        resource = Resource.create({"service.namespace": "hearth", "service.version": version("hearth"), **name})
        host = _host(endpoint() or "")
        sampler = TracerProvider(resource=resource, shutdown_on_exit=False).sampler  # of the environment
        max_links = int(os.environ.get("OTEL_SPAN_LINK_COUNT_LIMIT") or MAX_LINKS)
        maker = SpanMaker(BatchSpanProcessor(QuietExporter()), sampler, resource, max_links)
    except (ImportError, ValueError) as error:
        _LOGGER.error("no spans are exported: %s", error)  # noqa: TRY400 - a mistake in the environment, not in the code
        return None
    if (protocol := next((value for name in _PROTOCOLS if (value := os.environ.get(name))), _HTTP)) != _HTTP:
        _LOGGER.warning("spans are sent as %s, which is all that Hearth speaks; OTEL_EXPORTER_OTLP_PROTOCOL asks for %s", _HTTP, protocol)
    _LOGGER.info("spans are sent to %s", host)
    return maker


def _host(url: str) -> str:
    """Return the address without user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _shut_down(maker: "SpanMaker") -> None:
    """Send what waits; a collector that does not answer is left behind."""
    thread = threading.Thread(target=maker.processor.shutdown, name="traces-end", daemon=True)
    thread.start()
    thread.join(_CLOSE_SECONDS)
    if thread.is_alive():
        _LOGGER.warning("the last spans were not sent within %g s", _CLOSE_SECONDS)
