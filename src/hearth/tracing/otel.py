"""OpenTelemetry's side of spans. Imported only where spans are exported: it is a third of a second, and 15 MB.

Sampler, resource, processor and exporter are the SDK's. Its spans are not: begun, named and given attributes through the SDK, with a lock
at each step, a span costs twice as much as one that is written whole when it ends (docs/adr/0029-traces.md).
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    format_span_id,
    format_trace_id,
    get_current_span,
    get_tracer_provider,
    set_span_in_context,
)

from hearth.tracing.context import in_trace
from hearth.tracing.spans import TRACER, Attributes, Kind, Span
from hearth.tracing.traceparent import TraceContext, new_trace

_KINDS: Mapping[Kind, SpanKind] = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
    "internal": SpanKind.INTERNAL,
}
_FLAGS = {True: TraceFlags(TraceFlags.SAMPLED), False: TraceFlags(TraceFlags.DEFAULT)}
_SCOPE = InstrumentationScope("hearth")
_UNSET, _FAILED = Status(StatusCode.UNSET), Status(StatusCode.ERROR)
MAX_LINKS = 128


class SpanMaker:
    """Begins spans that go to a processor, as far as the sampler wants them."""

    def __init__(self, processor: SpanProcessor, sampler: Sampler, resource: Resource, max_links: int = MAX_LINKS) -> None:
        """`max_links` bounds what one span refers to."""
        self.processor, self.resource = processor, resource
        self._sampler, self._max_links = sampler, max_links
        self._follows_parent = isinstance(sampler, ParentBased)

    def begin(
        self, name: str, kind: Kind, parent: TraceContext | None, links: Sequence[TraceContext], attributes: Attributes | None
    ) -> Span:
        """Begin a span as `Tracer.begin` says; links to what nobody keeps are left out."""
        kept = [link for link in links if link.sampled] if links else []
        if parent is not None and self._follows_parent:
            if not parent.sampled:
                return Span(parent)
            place = new_trace()._replace(trace_id=parent.trace_id, sampled=True)
        else:
            place = new_trace() if parent is None else new_trace()._replace(trace_id=parent.trace_id)
            sampled = (parent is None and bool(kept)) or self._wanted(place, name, kind, parent, attributes)
            if not sampled:
                return Span(place)
            place = place._replace(sampled=True)
        return RecordedSpan(self, name, kind, place, parent, kept[: self._max_links], attributes)

    def _wanted(self, place: TraceContext, name: str, kind: Kind, parent: TraceContext | None, attributes: Attributes | None) -> bool:
        context = None if parent is None else set_span_in_context(NonRecordingSpan(_span_context(parent, is_remote=True)))
        result = self._sampler.should_sample(context, int(place.trace_id, 16), name, _KINDS[kind], attributes)
        return result.decision is Decision.RECORD_AND_SAMPLE


class RecordedSpan(Span):
    """A span that is sent when it has ended."""

    __slots__ = ("_attributes", "_began", "_kind", "_links", "_maker", "_name", "_parent", "_status")

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a span
        self,
        maker: SpanMaker,
        name: str,
        kind: Kind,
        place: TraceContext,
        parent: TraceContext | None,
        links: Sequence[TraceContext],
        attributes: Attributes | None,
    ) -> None:
        super().__init__(place)
        self._maker, self._name, self._kind, self._parent, self._links = maker, name, kind, parent, links
        self._attributes = dict(attributes) if attributes else {}
        self._status = _UNSET
        self._began = time.time_ns()

    @property
    def is_recorded(self) -> bool:
        return True

    def set(self, attributes: Attributes) -> None:
        self._attributes.update(attributes)

    def rename(self, name: str) -> None:
        self._name = name

    def fail(self, error: BaseException | str) -> None:
        self._attributes["error.type"] = error if isinstance(error, str) else type(error).__name__
        self._status = _FAILED

    def end(self) -> None:
        self._maker.processor.on_end(
            ReadableSpan(
                name=self._name,
                context=_span_context(self.context, is_remote=False),
                parent=None if self._parent is None else _span_context(self._parent, is_remote=True),
                resource=self._maker.resource,
                attributes=self._attributes,
                links=[Link(_span_context(link, is_remote=True)) for link in self._links],
                kind=_KINDS[self._kind],
                status=self._status,
                start_time=self._began,
                end_time=time.time_ns(),
                instrumentation_scope=_SCOPE,
            )
        )


@contextmanager
def in_current_span() -> Iterator[None]:
    """Run a block in the trace of OpenTelemetry's current span, such as Airflow has around a task; its spans go where that span goes.

    Airflow has one for each run of a DAG, also where nothing is exported.
    """
    place = get_current_span().get_span_context()
    if not place.is_valid:
        yield
        return
    before, provider = TRACER.maker, get_tracer_provider()
    if isinstance(provider, TracerProvider):
        TRACER.maker = SpanMaker(provider.get_tracer(_SCOPE.name).span_processor, provider.sampler, provider.resource)  # type: ignore[attr-defined]  # the SDK's tracer
    try:
        with in_trace(TraceContext(format_trace_id(place.trace_id), format_span_id(place.span_id), place.trace_flags.sampled)):
            yield
    finally:
        TRACER.maker = before


def _span_context(place: TraceContext, *, is_remote: bool) -> SpanContext:
    return SpanContext(int(place.trace_id, 16), int(place.span_id, 16), is_remote=is_remote, trace_flags=_FLAGS[place.sampled])
