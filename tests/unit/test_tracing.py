"""Spans of a process: off by default, exported where the environment says so, bounded whatever a collector does."""

import logging
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from hearth.tracing import otel
from hearth.tracing.context import current_trace, in_trace
from hearth.tracing.export import exported_spans
from hearth.tracing.otel import in_current_span
from hearth.tracing.otlp import QuietExporter
from hearth.tracing.spans import TRACER, begin_batch, span
from hearth.tracing.traceparent import TraceContext, new_trace
from tests.support.otlp_sink import Sink, otlp_sink

KEPT = new_trace()._replace(sampled=True)


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sink]:
    with otlp_sink() as sink:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
        yield sink


def exporter_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("Otel")]


def test_without_an_endpoint_nothing_of_opentelemetry_is_imported_and_no_thread_runs() -> None:
    program = (
        "import sys, threading\n"
        "from hearth.tracing.export import exported_spans\n"
        "from hearth.tracing.spans import span\n"
        "with exported_spans('test'), span('work') as work:\n"
        "    assert not work.is_recorded\n"
        "    print(threading.active_count(), [name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    clean = {"PATH": "/usr/bin:/bin"}
    told = subprocess.run([sys.executable, "-c", program], env=clean, capture_output=True, text=True, check=True)
    assert told.stdout == "1 []\n"


@pytest.mark.parametrize(
    ("name", "value"), [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none"), ("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]
)
def test_the_standard_switches_turn_it_off(sink: Sink, monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with exported_spans("test"), span("work"):
        assert TRACER.maker is None
        assert exporter_threads() == []
    assert sink.spans == []


def test_spans_are_sent_with_their_parents_names_and_headers_of_the_environment(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=hearth")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "the-name")
    with exported_spans("test"), in_trace(KEPT), span("outer", "server") as outer, span("inner", attributes={"n": 1}):
        place = current_trace()
    assert exporter_threads() == []

    [inner], [sent] = sink.named("inner"), sink.named("outer")
    assert (sent.trace_id, sent.parent_id, sent.kind, sent.service) == (KEPT.trace_id, KEPT.span_id, "server", "the-name")
    assert (inner.trace_id, inner.parent_id, inner.attributes) == (KEPT.trace_id, outer.context.span_id, {"n": 1})
    assert place == (KEPT.trace_id, inner.span_id, True)
    assert sink.headers[0]["x-tenant"] == "hearth"


def test_an_error_marks_a_span_without_its_text(sink: Sink) -> None:
    with exported_spans("test"), pytest.raises(ValueError, match="secret"), span("work"):
        raise ValueError("secret")
    [sent] = sink.spans
    assert sent.failed
    assert sent.attributes == {"error.type": "ValueError"}
    assert all(b"secret" not in body for body in sink.bodies)


def test_a_caller_that_keeps_no_spans_is_followed(sink: Sink) -> None:
    asked = new_trace()
    with exported_spans("test"), in_trace(asked), span("work") as work:
        assert (work.context, work.is_recorded) == (asked, False)
    assert sink.spans == []


@pytest.mark.parametrize(("share", "sent"), [("0", 0), ("1", 50)])
def test_the_sampler_of_the_environment_decides_about_new_traces_and_what_is_inside_follows(
    sink: Sink, monkeypatch: pytest.MonkeyPatch, share: str, sent: int
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", share)
    with exported_spans("test"):
        for _ in range(50):
            with in_trace(None), span("outer"), span("inner"):
                pass
    assert (len(sink.named("outer")), len(sink.named("inner"))) == (sent, sent)


def test_a_batch_links_to_all_that_are_kept_and_is_kept_for_one_of_them(sink: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
    others = [new_trace() for _ in range(3)]
    with exported_spans("test"):
        begin_batch("unkept", "consumer", others).end()
        begin_batch("kept", "consumer", [*others, KEPT]).end()
        begin_batch("alone", "consumer", [KEPT, KEPT]).end()
    assert sink.named("unkept") == []
    [kept], [alone] = sink.named("kept"), sink.named("alone")
    assert (kept.parent_id, kept.links) == ("", ((KEPT.trace_id, KEPT.span_id),))
    assert kept.trace_id not in {KEPT.trace_id, *(other.trace_id for other in others)}
    assert (alone.trace_id, alone.parent_id, alone.links) == (KEPT.trace_id, KEPT.span_id, ((KEPT.trace_id, KEPT.span_id),))


def test_the_links_of_a_span_have_a_bound(sink: Sink) -> None:
    places = [TraceContext(f"{number:032x}", f"{number:016x}", sampled=True) for number in range(1, 1_001)]
    with exported_spans("test"):
        begin_batch("many", "consumer", places).end()
    [sent] = sink.spans
    assert len(sent.links) == 128


@pytest.mark.parametrize("address", ["http://127.0.0.1:9", "nonsense", "http://[::1", "ftp://127.0.0.1:9/"])
def test_a_bad_or_absent_collector_costs_no_time_and_two_lines(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, address: str
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    began = time.monotonic()
    with exported_spans("test"):
        for _ in range(20):
            with span("work"):
                pass
            time.sleep(0.02)
    assert time.monotonic() - began < 60  # it would take 20 times its time-out, and more, if it waited for each
    assert not [record for record in caplog.records if record.name.startswith("opentelemetry")]
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) <= 2


def test_a_collector_that_never_answers_bounds_memory_and_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100")
        monkeypatch.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "50")
        with exported_spans("test"):
            maker = TRACER.maker
            assert maker is not None
            for _ in range(2_000):
                with span("work"):
                    pass
            assert len(maker.processor._batch_processor._queue) <= 100  # type: ignore[attr-defined]  # of the SDK
            ends = time.monotonic()
        assert time.monotonic() - ends < 60
    assert "the last spans were not sent within 3 s" in caplog.text


def test_spans_that_were_lost_are_one_line_and_sent_again_is_another(
    sink: Sink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    sink.status = 400  # one that is not tried again
    with exported_spans("test"):
        while "spans are lost" not in caplog.text:
            with span("work"):
                time.sleep(0.01)
        sink.status = 200
        while "spans are sent again" not in caplog.text:
            with span("work"):
                time.sleep(0.01)
    assert caplog.text.count("spans are lost") == caplog.text.count("spans are sent again") == 1
    assert sink.spans


def test_what_the_environment_has_wrong_is_logged_and_nothing_is_exported(
    sink: Sink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "1")  # less than a batch
    with exported_spans("test"), span("work") as work:
        assert not work.is_recorded
    assert "no spans are exported" in caplog.text
    assert sink.spans == []


def test_another_protocol_is_told_and_http_is_spoken(sink: Sink, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    with exported_spans("test"), span("work"):
        pass
    assert "spans are sent as http/protobuf" in caplog.text
    assert len(sink.spans) == 1


def test_a_task_runs_in_the_trace_of_opentelemetrys_current_span_whether_or_not_it_is_sent(
    sink: Sink, monkeypatch: pytest.MonkeyPatch
) -> None:
    around = SpanContext(int(KEPT.trace_id, 16), int(KEPT.span_id, 16), is_remote=True, trace_flags=TraceFlags(1))
    with in_current_span():
        assert current_trace() is None
    with use_span(NonRecordingSpan(around)), in_current_span(), span("inside") as work:
        assert (current_trace(), work.is_recorded) == (KEPT, False)

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(QuietExporter()))
    monkeypatch.setattr(otel, "get_tracer_provider", lambda: provider)
    with use_span(NonRecordingSpan(around)), in_current_span(), span("inside"):
        pass
    provider.shutdown()
    [sent] = sink.spans
    assert (sent.name, sent.trace_id, sent.parent_id) == ("inside", KEPT.trace_id, KEPT.span_id)
    assert TRACER.maker is None
