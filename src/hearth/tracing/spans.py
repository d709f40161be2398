"""Spans: what a process did for a trace, and how long it took. Without an exporter (see `export`) nothing is kept, and nothing imported.

A span holds names, numbers and ids, never a value of a record and no text of an error: a message of ours may quote a value.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from hearth.tracing.context import CURRENT, current_trace
from hearth.tracing.traceparent import TraceContext, new_trace

if TYPE_CHECKING:
    from opentelemetry.trace import Span as OtelSpan

    from hearth.tracing.otel import SpanMaker

Kind = Literal["server", "client", "producer", "consumer", "internal"]
Attributes = Mapping[str, str | int | float | bool | Sequence[str]]


class Span:
    """A piece of work in a trace; `context` is where that which it calls belongs to. May be ended in another thread.

    Without an exporter it is no more than its context, and so it is in a trace that the caller does not keep.
    """

    __slots__ = ("_recorded", "context")

    def __init__(self, context: TraceContext, recorded: "OtelSpan | None" = None) -> None:
        self.context, self._recorded = context, recorded

    @property
    def is_recorded(self) -> bool:
        """Whether what is set here reaches anybody."""
        return self._recorded is not None

    def set(self, attributes: Attributes) -> None:
        if self._recorded is not None:
            self._recorded.set_attributes(attributes)

    def rename(self, name: str) -> None:
        """Give it a name that was not known when it began."""
        if self._recorded is not None:
            self._recorded.update_name(name)

    def fail(self, error: BaseException | str) -> None:
        """Mark it as failed: by the class of an error or a code, without the error's text."""
        if self._recorded is not None:
            from opentelemetry.trace import StatusCode  # noqa: PLC0415 - it is there where a span is recorded

            self._recorded.set_attribute("error.type", error if isinstance(error, str) else type(error).__name__)
            self._recorded.set_status(StatusCode.ERROR)

    def end(self) -> None:
        if self._recorded is not None:
            self._recorded.end()


class Tracer:
    """Begins the spans of the process. `maker` is set while they are exported."""

    __slots__ = ("maker",)

    def __init__(self) -> None:
        self.maker: SpanMaker | None = None

    def begin(
        self,
        name: str,
        kind: Kind = "internal",
        parent: TraceContext | None = None,
        links: Sequence[TraceContext] = (),
        attributes: Attributes | None = None,
    ) -> Span:
        """Begin a span, which the caller has to end; see `span` for a block of code.

        Args:
            name: few different ones, without ids.
            kind: which side of a call it is.
            parent: what it belongs to; without one a trace begins.
            links: other places in traces that it works for, such as the messages of a batch.
            attributes: what is known of it at its start.
        """
        if self.maker is None:
            return Span(new_trace() if parent is None else parent)
        return self.maker.begin(name, kind, parent, links, attributes)


TRACER = Tracer()
"""That of the process."""


@contextmanager
def span(name: str, kind: Kind = "internal", attributes: Attributes | None = None) -> Iterator[Span]:
    """Run a block as a span of the current trace; outside every trace it begins one. An error marks it, and goes on."""
    work = TRACER.begin(name, kind, current_trace(), attributes=attributes)
    token = CURRENT.set(work.context)
    try:
        yield work
    except BaseException as error:
        work.fail(error)
        raise
    finally:
        CURRENT.reset(token)
        work.end()


def begin_batch(name: str, kind: Kind, contexts: Sequence[TraceContext], attributes: Attributes | None = None) -> Span:
    """Begin a span for what came from several places in traces at once: it links to each, and goes on with the only one.

    It is kept if one of them is.
    """
    distinct = list(dict.fromkeys(contexts))
    return TRACER.begin(name, kind, distinct[0] if len(distinct) == 1 else None, distinct, attributes)
