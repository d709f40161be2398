"""How a line of the log is written: for people, or as JSON with the names that Airflow gives to the same fields."""

import json
import logging
import re
import time
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal

from hearth.logs.context import FIELDS, REQUEST_ID
from hearth.tracing.context import current_trace_id

Form = Literal["text", "json"]
FORMS: tuple[Form, ...] = ("text", "json")

# What would end a line or move the cursor of a terminal; a tab does neither. Some of a message may come from a caller.
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_ACCESS_PARTS = 5  # of uvicorn's lines about requests: address, method, path, version of HTTP, status


class TextForm(logging.Formatter):
    """One line an event: time in UTC, level, service, message. Only the trace of an error has lines of its own, which are indented."""

    def __init__(self, service: str) -> None:
        super().__init__(f"%(asctime)s.%(msecs)03dZ %(levelname)-7s {service.replace('%', '%%')} %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a message that cannot be put together is said so."""
        original = record.msg, record.args, record.exc_text
        record.msg, record.args = _CONTROL.sub(_escaped, message_of(record).rstrip()), ()
        # What another handler has kept of the trace is not indented
        record.exc_text = _indented(record.exc_text) if record.exc_text and not record.exc_info else None
        try:
            return super().format(record)
        finally:
            record.msg, record.args, record.exc_text = original  # other handlers write it too

    def formatException(self, ei: tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]) -> str:  # noqa: N802 - the library's name
        """Return the trace of an error, no line of which can be taken for an event."""
        return _indented("".join(traceback.format_exception(*ei)))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - the library's name
        """Return a stack in the same way."""
        return _indented(stack_info)


class JsonForm(logging.Formatter):
    """One JSON object an event, on one line of ASCII whatever is in it."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the object as text; fields that do not apply are left out."""
        fields: dict[str, object] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "service": self._service,
            "event": message_of(record).rstrip(),
            "logger": record.name,
            "trace_id": getattr(record, "trace_id", None) or current_trace_id(),
            "request_id": getattr(record, "request_id", None) or REQUEST_ID.get(),
            **{name: getattr(record, name, None) for name in FIELDS if name != "request_id"},
            "exception": _exception(record),
            "stack": record.stack_info,
        }
        return json.dumps({name: _plain(value) for name, value in fields.items() if value is not None})


def message_of(record: logging.LogRecord) -> str:
    """Return the message of a record; of one whose arguments do not fit, what was to be said and why it cannot be."""
    if record.name == "uvicorn.access" and isinstance(record.args, tuple) and len(record.args) == _ACCESS_PARTS:
        address, method, path, version, status = record.args
        return f'{address} - "{method} {str(path).partition("?")[0]} HTTP/{version}" {status}'  # a query may hold values of a record
    try:
        return record.getMessage()
    except Exception as error:  # noqa: BLE001 - text of any object is made here, and a line of the log must not end a process
        return f"{record.msg!r} cannot be filled in ({type(error).__name__})"


def _exception(record: logging.LogRecord) -> dict[str, str] | None:
    if not record.exc_info or record.exc_info[1] is None:
        return None
    kind, error, trace = record.exc_info
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    try:
        text = str(error)
    except Exception as problem:  # noqa: BLE001 - as above
        text = f"its text cannot be made ({type(problem).__name__})"
    return {"type": name, "text": text, "stack": "".join(traceback.format_exception(kind, error, trace))}


def _plain(value: object) -> object:
    """Return text in place of everything but a group of fields; halves of surrogate pairs, which JSON cannot hold, as escapes."""
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def _indented(text: str) -> str:
    return "\n".join(f"    {_CONTROL.sub(_escaped, line)}" for line in text.rstrip("\n").split("\n"))


def _escaped(match: re.Match[str]) -> str:
    return match.group().encode("unicode_escape").decode("ascii")
