"""A collector of OpenTelemetry: an HTTP server on a free port of this machine that takes spans in protobuf, and keeps them."""

import gzip
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

KINDS = {number: name.removeprefix("SPAN_KIND_").lower() for name, number in SpanMessage.SpanKind.items()}


@dataclass(frozen=True)
class SunkSpan:
    """A span as it came in; `start` and `end` are in nanoseconds since 1970, `links` are pairs of a trace's and a span's id."""

    service: str
    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start: int
    end: int
    failed: bool
    links: tuple[tuple[str, str], ...] = ()
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass
class Sink:
    """What came in. It answers with `status`, and only while `answers` is set."""

    url: str = ""
    spans: list[SunkSpan] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    status: int = 200
    answers: threading.Event = field(default_factory=threading.Event)

    def named(self, name: str) -> list[SunkSpan]:
        return [span for span in list(self.spans) if span.name == name]

    def of_trace(self, trace_id: str) -> list[SunkSpan]:
        return [span for span in list(self.spans) if span.trace_id == trace_id]


@contextmanager
def otlp_sink() -> Iterator[Sink]:
    """Run a collector."""
    sink = Sink()
    sink.answers.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            sink.answers.wait(60)
            if sink.status == 200:
                sink.headers.append({name.lower(): value for name, value in self.headers.items()})
                sink.bodies.append(body)
                sink.spans += read_spans(body)
            try:
                self.send_response(sink.status)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                pass  # the sender has gone meanwhile

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        sink.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield sink
        finally:
            sink.answers.set()
            server.shutdown()
            thread.join()


def read_spans(body: bytes) -> list[SunkSpan]:
    """Return the spans of a request to a collector."""
    request = ExportTraceServiceRequest.FromString(body)
    return [
        _read(span, str(_attributes(group.resource.attributes).get("service.name", "")))
        for group in request.resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]


def _read(span: SpanMessage, service: str) -> SunkSpan:
    return SunkSpan(
        service=service,
        name=span.name,
        kind=KINDS[span.kind],
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start=span.start_time_unix_nano,
        end=span.end_time_unix_nano,
        failed=span.status.code == span.status.STATUS_CODE_ERROR,
        links=tuple((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
        attributes=_attributes(span.attributes),
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, object]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> object:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None
