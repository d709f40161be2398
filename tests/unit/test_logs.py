"""Logs: one line an event for people, or one JSON object a line, whatever is in the message."""

import json
import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextvars import copy_context
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.logs import about, configure_logging
from hearth.logs.context import REQUEST_ID
from hearth.logs.forms import JsonForm, TextForm
from hearth.tracing.context import in_trace
from hearth.tracing.traceparent import TraceContext

ROOT = Path(__file__).parents[2]
NASTY = 'Ana\nERROR fastapi all is lost\r\x1b[2J\u2028"}{\udcff\x00 %s'
ANYTHING = st.text(st.characters(codec=None, exclude_categories=()))


def record(message: str = "said", *arguments: object, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("hearth.test", logging.WARNING, __file__, 1, message, arguments, None)
    made.__dict__.update(fields)
    return made


@pytest.fixture
def restored() -> Iterator[None]:
    """The log of this process as it was."""
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.formatwarning)
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.formatwarning = hooks
    logging.captureWarnings(capture=False)


class TestJson:
    @given(ANYTHING, ANYTHING)
    def test_any_message_is_one_object_on_one_line_of_ascii(self, message: str, value: str) -> None:
        line = JsonForm("api").format(record("%s", message, message_id=value, exc_info=(ValueError, ValueError(message), None)))

        assert line.isascii()
        assert len(line.splitlines()) == 1
        read = json.loads(line)
        json.dumps(read, ensure_ascii=False).encode()  # no half of a surrogate pair, which other readers refuse
        assert read["event"] == message.rstrip().encode("utf-8", "backslashreplace").decode()

    def test_it_has_the_fields_of_every_process_and_those_that_apply(self) -> None:
        def line() -> str:
            REQUEST_ID.set("r1")
            with in_trace(TraceContext("4b" * 16, "00f067aa0ba902b7")):
                return JsonForm("grpc").format(record("served", **about("heart", alias="champion", version="7")))

        read = json.loads(copy_context().run(line))

        assert read.pop("timestamp").endswith("Z")
        assert read == {
            "level": "warning",
            "service": "grpc",
            "event": "served",
            "logger": "hearth.test",
            "trace_id": "4b" * 16,
            "request_id": "r1",
            "dataset": "heart",
            "alias": "champion",
            "version": "7",
        }

    def test_an_error_with_its_trace_is_in_the_same_object(self) -> None:
        def fail() -> None:
            raise KeyError("column") from ValueError("cause")

        with pytest.raises(KeyError) as caught:
            fail()
        found = record("failed", exc_info=(caught.type, caught.value, caught.tb))

        read = json.loads(JsonForm("api").format(found))["exception"]

        assert (read["type"], read["text"]) == ("KeyError", "'column'")
        assert "ValueError: cause" in read["stack"]
        assert read["stack"].count("Traceback (most recent call last)") == 1

    def test_a_message_whose_arguments_do_not_fit_is_said_all_the_same(self) -> None:
        class Broken:
            def __str__(self) -> str:
                raise RuntimeError

        for found in (record("%d rows", "many"), record("%s", Broken())):
            assert "cannot be filled in" in json.loads(JsonForm("api").format(found))["event"]
            assert "cannot be filled in" in TextForm("api").format(found)


class TestText:
    @given(ANYTHING)
    def test_a_message_is_one_line_that_no_caller_can_break(self, message: str) -> None:
        assert len(TextForm("api").format(record("%s", message)).splitlines()) == 1

    def test_it_reads_as_before(self) -> None:
        line = TextForm("api").format(record("%d rows", 3))

        assert line.endswith("Z WARNING api 3 rows")
        assert line[4] == "-"

    def test_control_characters_are_escaped(self) -> None:
        assert r"Ana\nERROR fastapi all is lost\r\x1b[2J\u2028" in TextForm("api").format(record("%s", NASTY))

    @given(ANYTHING)
    def test_every_line_of_the_trace_of_an_error_is_indented_and_has_no_control_character(self, text: str) -> None:
        found = record("failed", exc_info=(ValueError, ValueError(text), None))
        found.stack_info = text
        first, *lines = TextForm("api").format(found).splitlines()

        assert first.endswith("failed")
        assert all(line.startswith("    ") for line in lines)
        assert not [letter for letter in "".join(lines) if ord(letter) < 32 and letter != "\t"]

    def test_what_another_handler_has_kept_of_a_trace_is_written_safely_and_left_to_others(self) -> None:
        for error in (None, (ValueError, ValueError("x\n2026 INFO api forged \x1b[2J"), None)):
            found = record("failed", exc_info=error)
            found.exc_text = "ValueError: x\n2026 INFO api forged \x1b[2J"

            _, *lines = TextForm("api").format(found).split("\n")

            assert lines == ["    ValueError: x", r"    2026 INFO api forged \x1b[2J"]
            assert found.exc_text == "ValueError: x\n2026 INFO api forged \x1b[2J"


@pytest.mark.parametrize("form", [TextForm("batch-api"), JsonForm("batch-api")])
def test_what_a_request_asks_is_not_in_a_line_about_it(form: logging.Formatter) -> None:
    found = record('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", "/graphql?query={predict(age:61)}", "1.1", 200)
    found.name = "uvicorn.access"

    assert "GET /graphql HTTP/1.1" in form.format(found)
    assert "61" not in form.format(found).partition("GET")[2]


@pytest.mark.usefixtures("restored")
def test_warnings_and_errors_of_threads_are_records_too(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("worker", form="json")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=True)
        warnings.warn("old\nway", UserWarning, stacklevel=1)
    thread = threading.Thread(target=lambda: 1 / 0, name="scores")
    thread.start()
    thread.join()

    warned, ended = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert warned["logger"] == "py.warnings"
    assert warned["event"].endswith("UserWarning: old\nway")
    assert ended["exception"]["type"] == "ZeroDivisionError"
    assert "scores" in ended["event"]


@pytest.mark.usefixtures("restored")
def test_a_server_that_was_started_by_its_own_command_writes_the_same_form(capsys: pytest.CaptureFixture[str]) -> None:
    server = logging.getLogger("uvicorn.error")
    server.addHandler(logging.StreamHandler())

    configure_logging("fastapi", form="json")
    server.warning("closing")

    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["event"] == "closing"


def run(code: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**environment, **settings}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("form", ["yaml", "JSON", ""])
def test_an_unknown_form_ends_the_process_with_a_line_that_says_so(form: str) -> None:
    ended = run("from hearth.logs import configure_logging; configure_logging('grpc'); print('on')", HEARTH_LOG_FORMAT=form)

    assert (ended.returncode, ended.stdout) == (1, "")
    [line] = ended.stderr.splitlines()
    assert "CRITICAL grpc HEARTH_LOG_FORMAT" in line
    assert "'text' or 'json'" in line


def test_an_error_that_nobody_catches_is_one_object() -> None:
    ended = run("from hearth.logs import configure_logging; configure_logging('grpc'); 1 / 0", HEARTH_LOG_FORMAT="json")

    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert json.loads(line)["exception"]["type"] == "ZeroDivisionError"


def test_what_a_library_prints_is_a_line_of_the_log() -> None:
    code = (
        "from hearth.logs import configure_logging; from hearth.logs.printed import log_what_is_printed; import click;"
        "configure_logging('streamlit'); log_what_is_printed(); print('two', end=' '); print('words'); click.echo('hello'); print()"
    )

    lines = run(code, HEARTH_LOG_FORMAT="json").stderr.splitlines()

    assert [json.loads(line)["event"] for line in lines] == ["two words", "hello"]


@pytest.mark.parametrize("broken", ["open('/dev/full', 'w', buffering=1)", "closed"])
def test_a_log_that_cannot_be_written_does_not_end_what_prints(broken: str) -> None:
    code = (
        "import io, logging, sys; from hearth.logs import configure_logging; from hearth.logs.printed import log_what_is_printed;"
        f"closed = io.StringIO(); closed.close(); sys.stderr = sys.__stderr__ = {broken};"
        "configure_logging('mlflow', form='json'); log_what_is_printed(); out = sys.__stdout__;"
        "print('lost'); print('too', file=sys.stderr); logging.getLogger().error('as well'); out.write('on'); out.flush();"
        "import os; os._exit(0)"
    )

    ended = run(code)

    assert (ended.returncode, ended.stdout) == (0, "on"), ended.stderr


def test_the_launchers_of_servers_write_the_form_too() -> None:
    ended = run(
        "from deploy.embedded.launcher import SettingError, refuse; refuse('valkey', SettingError('no port'))", HEARTH_LOG_FORMAT="json"
    )

    assert ended.returncode == 1
    assert json.loads(ended.stderr)["event"] == "no port"
