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
    from opentelemetry.sdk.trace import TracerProvider

_LOGGER = logging.getLogger(__name__)
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP = "http/protobuf"
_CLOSE_SECONDS = 3.0
_MAX_LINKS = 128  # of a span, unless OTEL_SPAN_LINK_COUNT_LIMIT says more: a span in the queue keeps each


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
    provider = _provider(service) if endpoint() is not None and TRACER.maker is None else None
    if provider is None:
        yield
        return
    from hearth.tracing.otel import SpanMaker  # noqa: PLC0415 - where nothing is exported it is never imported

    TRACER.maker = SpanMaker.of(provider, _max_links())
    try:
        yield
    finally:
        TRACER.maker = None
        _shut_down(provider)


def _provider(service: str) -> "TracerProvider | None":
    try:
        from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import SpanLimits, TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

        from hearth.tracing.otlp import QuietExporter  # noqa: PLC0415

        name = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": f"hearth-{service}"}
        resource = Resource.create({"service.namespace": "hearth", "service.version": version("hearth"), **name})
        limits = SpanLimits(max_links=_max_links())
        host = _host(endpoint() or "")
        provider = TracerProvider(resource=resource, shutdown_on_exit=False, span_limits=limits)
        provider.add_span_processor(BatchSpanProcessor(QuietExporter()))
    except (ImportError, ValueError) as error:
        _LOGGER.error("no spans are exported: %s", error)  # noqa: TRY400 - a mistake in the environment, not in the code
        return None
    if (protocol := next((value for name in _PROTOCOLS if (value := os.environ.get(name))), _HTTP)) != _HTTP:
        _LOGGER.warning("spans are sent as %s, which is all that Hearth speaks; OTEL_EXPORTER_OTLP_PROTOCOL asks for %s", _HTTP, protocol)
    _LOGGER.info("spans are sent to %s", host)
    return provider


def _host(url: str) -> str:
    """Return the address without user, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _max_links() -> int:
    text = os.environ.get("OTEL_SPAN_LINK_COUNT_LIMIT", "")
    return int(text) if text.isdecimal() else _MAX_LINKS


def _shut_down(provider: "TracerProvider") -> None:
    """Send what waits; a collector that does not answer is left behind."""
    thread = threading.Thread(target=provider.shutdown, name="traces-end", daemon=True)
    thread.start()
    thread.join(_CLOSE_SECONDS)
    if thread.is_alive():
        _LOGGER.warning("the last spans were not sent within %g s", _CLOSE_SECONDS)
