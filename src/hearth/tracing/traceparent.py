"""The W3C form of a place in a trace (`traceparent`, version 00): what a caller gives, and what it gets back.

00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01
version, 32 digits of the trace, 16 of the span that called, flags: the last bit says that the caller's spans are kept
"""

import os
import re
from typing import NamedTuple

HEADER = "traceparent"
LONGEST = 512  # a value of a later version may have parts that version 00 does not know

# A later version may go on after the flags, with a hyphen. Version ff is forbidden, as are ids of zeros.
_FORM = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-[^\s,]*)?", re.ASCII)


class TraceContext(NamedTuple):
    """A place in a trace: the trace, and the span in it that what comes next belongs to.

    Attributes:
        trace_id: 32 hexadecimal digits, lower case, not all zero.
        span_id: 16 hexadecimal digits, lower case, not all zero.
        sampled: whether the caller keeps its spans of this trace; a service that exports follows it.
    """

    trace_id: str
    span_id: str
    sampled: bool = False

    def __str__(self) -> str:
        """Return the value of a `traceparent`."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


def parse_traceparent(text: str) -> TraceContext | None:
    """Read a `traceparent`. Anything that breaks its rules is None, never an error: a new trace begins there, as the W3C asks."""
    if len(text) > LONGEST:
        return None
    found = _FORM.fullmatch(text)
    if found is None or (found[1] == "00" and found[5]):
        return None
    return TraceContext(found[2], found[3], sampled=bool(int(found[4], 16) & 1))


def new_trace() -> TraceContext:
    """Begin a trace. Nobody keeps spans of it yet, so it is not sampled."""
    return TraceContext(_digits(16), _digits(8))


def _digits(size: int) -> str:
    """Return `size` random bytes as hexadecimal digits, not all zero."""
    digits = os.urandom(size).hex()
    return digits if digits.strip("0") else _digits(size)
