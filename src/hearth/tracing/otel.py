"""OpenTelemetry's side of spans. Imported only where spans are exported: it is a third of a second, and 15 MB."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Self

from opentelemetry.context import Context
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    Tracer,
    TraceState,
    format_span_id,
    format_trace_id,
    get_current_span,
    get_tracer_provider,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from hearth.tracing.context import in_trace
from hearth.tracing.spans import TRACER, Attributes, Kind, Span
from hearth.tracing.traceparent import TraceContext

_KINDS: Mapping[Kind, SpanKind] = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "consumer": SpanKind.CONSUMER,
    "internal": SpanKind.INTERNAL,
}
_SAMPLED, _NOT_SAMPLED = TraceFlags(TraceFlags.SAMPLED), TraceFlags(TraceFlags.DEFAULT)
_NOWHERE = Context()
_SCOPE = "hearth"
_FOREIGN_LINKS = 128


class LinkSampler(Sampler):
    """Keeps a span without a parent if it links to a place in a trace that is kept; decides as `other` does in all other cases."""

    def __init__(self, other: Sampler) -> None:
        self._other = other

    def should_sample(  # noqa: PLR0913, PLR0917 - its interface
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Mapping[str, AttributeValue] | None = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        if links and not get_current_span(parent_context).get_span_context().is_valid:
            return SamplingResult(Decision.RECORD_AND_SAMPLE, attributes)  # only sampled links come here: see `SpanMaker`
        return self._other.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        return f"LinkSampler({self._other.get_description()})"


class SpanMaker:
    """Begins spans with the tracer of a provider.

    With `follows_parent`, what belongs to a place in a trace that is not kept is not kept either, which needs no question to the sampler.
    """

    def __init__(self, tracer: Tracer, *, follows_parent: bool, max_links: int) -> None:
        self.tracer, self._follows_parent, self._max_links = tracer, follows_parent, max_links

    @classmethod
    def of(cls, provider: TracerProvider, max_links: int) -> Self:
        """Return one for a provider of our own, whose sampler then looks at links too."""
        follows_parent = isinstance(provider.sampler, ParentBased)
        provider.sampler = LinkSampler(provider.sampler)
        return cls(provider.get_tracer(_SCOPE), follows_parent=follows_parent, max_links=max_links)

    def begin(
        self, name: str, kind: Kind, parent: TraceContext | None, links: Sequence[TraceContext], attributes: Attributes | None
    ) -> Span:
        """Begin a span as `Tracer.begin` says; links to what nobody keeps are left out."""
        if parent is not None and not parent.sampled and self._follows_parent:
            return Span(parent)  # the sampler would say so, at several times the cost
        kept = [Link(_span_context(link)) for link in links if link.sampled][: self._max_links] if links else None
        context = _NOWHERE if parent is None else set_span_in_context(NonRecordingSpan(_span_context(parent)), _NOWHERE)
        recorded = self.tracer.start_span(name, context, _KINDS[kind], attributes, kept)
        place = recorded.get_span_context()
        sampled = place.trace_flags.sampled
        return Span(
            TraceContext(format_trace_id(place.trace_id), format_span_id(place.span_id), sampled),
            recorded if recorded.is_recording() else None,
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
    context = TraceContext(format_trace_id(place.trace_id), format_span_id(place.span_id), place.trace_flags.sampled)
    before = TRACER.maker
    provider = get_tracer_provider()
    if isinstance(provider, TracerProvider):
        TRACER.maker = SpanMaker(provider.get_tracer(_SCOPE), follows_parent=True, max_links=_FOREIGN_LINKS)
    try:
        with in_trace(context):
            yield
    finally:
        TRACER.maker = before


def _span_context(place: TraceContext) -> SpanContext:
    flags = _SAMPLED if place.sampled else _NOT_SAMPLED
    return SpanContext(int(place.trace_id, 16), int(place.span_id, 16), is_remote=True, trace_flags=flags)
