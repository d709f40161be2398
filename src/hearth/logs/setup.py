"""Sets up the log of a process."""

import logging
import sys
import threading
import warnings
from types import TracebackType
from typing import TYPE_CHECKING

from hearth.errors import InvalidSettings
from hearth.logs.forms import FORMS, Form, JsonForm, TextForm
from hearth.logs.printed import log_what_is_printed

if TYPE_CHECKING:
    from sys import UnraisableHookArgs

_LOGGER = logging.getLogger("hearth")
_QUIET = ("urllib3", "httpx")  # they log every request and retry; callers log what matters
_SERVERS = ("uvicorn", "uvicorn.error", "uvicorn.access")


def configure_logging(service: str, level: str = "INFO", form: str | None = None) -> None:
    """Set up the log of the whole process; called by `main()` functions, never at import.

    Without `form`, HEARTH_LOG_FORMAT says it, in the environment, in .env or in .env.local. A value that is none ends the process with
    code 1 and a line that says so.
    """
    problem = ""
    try:
        chosen = _require_form(form) if form is not None else _form_of_settings()
    except InvalidSettings as error:
        chosen, problem = "text", str(error)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonForm(service) if chosen == "json" else TextForm(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    for library in _QUIET:
        logging.getLogger(library).setLevel(logging.ERROR)
    for server in map(logging.getLogger, _SERVERS):  # one that was started by its own command has handlers already
        if server.handlers:
            server.handlers.clear()
            server.propagate = True
    if chosen == "json":
        _log_what_ends_threads()
    if problem:
        _LOGGER.critical("%s", problem)
        sys.exit(1)


def json_handler(service: str) -> logging.Handler:
    """Return a handler that writes JSON, and set up what else a process writes; for configuration files of servers that are not ours."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonForm(service))
    logging.captureWarnings(capture=True)
    _log_what_ends_threads()
    log_what_is_printed()
    return handler


def _form_of_settings() -> Form:
    """Return what the setting says.

    Raises:
        InvalidSettings: it says something else.
    """
    from hearth.settings import LogSettings  # noqa: PLC0415 - launchers and MLflow's environment have no pydantic-settings

    return LogSettings().log_format


def _require_form(text: str) -> Form:
    for form in FORMS:
        if text == form:
            return form
    raise InvalidSettings(f"HEARTH_LOG_FORMAT is {text!r}: expected 'text' or 'json'.")


def _log_what_ends_threads() -> None:
    """Write what Python itself would print, about errors that nobody catches, as records too."""
    warnings.formatwarning = _one_line

    def end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            _LOGGER.critical("the process ends by an error that nobody expected", exc_info=(kind, error, trace))

    def end_thread(ended: threading.ExceptHookArgs) -> None:
        if ended.exc_value is not None:
            name = ended.thread.name if ended.thread else "that is gone"
            _LOGGER.error("the thread %s ends by an error that nobody expected", name, exc_info=ended.exc_value)

    def note(found: "UnraisableHookArgs") -> None:
        if found.exc_value is not None:
            _LOGGER.error("%s: %r", found.err_msg or "an error where none can be raised", found.object, exc_info=found.exc_value)

    sys.excepthook, threading.excepthook, sys.unraisablehook = end, end_thread, note


def _one_line(message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:
    """Return a warning without the line of code that it stands for."""
    del line
    return f"{filename}:{lineno}: {category.__name__}: {message}"
