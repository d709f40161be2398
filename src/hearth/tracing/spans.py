"""Spans: what a process did for a trace, and how long it took. Without an exporter (see `export`) nothing is kept, and nothing imported.

A span holds names, numbers and ids, never a value of a record and no text of an error: a message of ours may quote a value.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from hearth.tracing.context import CURRENT, current_trace
from hearth.tracing.traceparent import TraceContext, new_trace

if TYPE_CHECKING:
    from hearth.tracing.otel import SpanMaker

Kind = Literal["server", "client", "producer", "consumer", "internal"]
Attributes = Mapping[str, str | int | float | bool | Sequence[str]]


class Span:
    """A piece of work in a trace; `context` is where that which it calls belongs to. May be ended in another thread.

    This one is kept by nobody and is no more than its context; those that are sent are in `otel`.
    """

    __slots__ = ("context",)

    def __init__(self, context: TraceContext) -> None:
        self.context = context

    @property
    def is_recorded(self) -> bool:
        """Whether what is set here reaches anybody."""
        return False

    def set(self, attributes: Attributes) -> None:
        """Add to what is known of it."""

    def rename(self, name: str) -> None:
        """Give it a name that was not known when it began."""

    def fail(self, error: BaseException | str) -> None:
        """Mark it as failed: by the class of an error or a code, without the error's text."""

    def end(self) -> None:
        """End it; nothing is changed afterwards."""


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
    """Begin a span for what came from several places in traces at once: it links to each.

    Where all are in one trace it belongs to that one, below the first of them; else it begins its own, and is kept if one of theirs is.
    """
    distinct = list(dict.fromkeys(contexts))
    is_one_trace = len({place.trace_id for place in distinct}) == 1
    return TRACER.begin(name, kind, distinct[0] if is_one_trace else None, distinct, attributes)
