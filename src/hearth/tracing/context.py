"""Which trace the running code belongs to: a variable of the running task or thread, so two requests at once never mix."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from hearth.tracing.traceparent import TraceContext

CURRENT: ContextVar[TraceContext | None] = ContextVar("hearth_trace", default=None)


def current_trace() -> TraceContext | None:
    """Return the place in a trace at which the running code is, or None outside every request, message and run."""
    return CURRENT.get()


def current_trace_id() -> str | None:
    """Return the id of the trace that the running code belongs to, 32 hexadecimal digits, or None outside every trace."""
    trace = CURRENT.get()
    return None if trace is None else trace.trace_id


@contextmanager
def in_trace(trace: TraceContext | None) -> Iterator[None]:
    """Run a block as a part of a trace."""
    token = CURRENT.set(trace)
    try:
        yield
    finally:
        CURRENT.reset(token)
