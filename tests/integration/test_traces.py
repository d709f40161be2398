"""One trace from a caller to the store, over each protocol, on real servers, and as a collector gets it."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import psycopg
import pytest
from strawberry.utils.str_converters import to_camel_case

from grpc_service.encoding import record_message
from grpc_service.v1 import prediction_pb2 as pb
from hearth.contracts.names import field_name
from hearth.monitoring.retraining import Choice, State
from hearth.predictions import Prediction, PredictionStore
from hearth.predictions.label_store import LabelStore
from hearth.predictions.migration import migrate
from hearth.predictions.retrain_store import RetrainStore
from hearth.streaming.client import StreamWriter
from hearth.streaming.dead_letters import DeadLetters
from hearth.streaming.messages import encode
from hearth.streaming.replay import Replay
from hearth.tracing.context import in_trace
from hearth.tracing.export import exported_spans
from hearth.tracing.traceparent import TraceContext, new_trace, parse_traceparent
from hearth_api.app import create_app
from tests.api.running import running, service_settings
from tests.grpc.service import Shelf, fitted, serving, settings
from tests.support.models import FakeRegistry
from tests.support.otlp_sink import Sink, SunkSpan, otlp_sink
from tests.support.samples import EMPLOYEES, records, sample_rows
from tests.support.waiting import wait_until
from tests.support.worker_bench import Bench, record

CALLER = TraceContext("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", sampled=True)
HEADERS = {"traceparent": str(CALLER)}
SECRET = 3.14159  # a value of a record that no span may hold
GRAPHQL_RECORD = {to_camel_case(field_name(name)): int(value) if isinstance(value, float) else value for name, value in record().items()}
GRAPHQL = "query ($records: Records!) { predict(records: $records) { requestId } }"


@pytest.fixture
def sink(monkeypatch: pytest.MonkeyPatch) -> Iterator[Sink]:
    """A collector, to which this process sends its spans."""
    with otlp_sink() as sink:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", sink.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        with exported_spans("test"):
            yield sink


@pytest.fixture
def client(fresh_database: str, valkey_url: str) -> Iterator[httpx.Client]:
    migrate(fresh_database)
    options = service_settings(
        predictions_url=fresh_database, redis_url=valkey_url, record_predictions="all", record_drain_seconds=60, stream_name="traced"
    )
    with running(create_app(options, FakeRegistry(champion="2"), checks={})) as client:
        yield client


def only(spans: list[SunkSpan]) -> SunkSpan:
    assert len(spans) == 1, spans
    return spans[0]


def stored(url: str, message_id: str) -> list[Prediction]:
    with PredictionStore(url) as store:
        wait_until(lambda: store.of_message(message_id))
        return store.of_message(message_id)


def test_rest_takes_a_trace_over_gives_it_back_and_stores_it(sink: Sink, client: httpx.Client, fresh_database: str) -> None:
    answer = client.post("/predict", json={"data": [record(**{"Sleep Hours": SECRET})]}, headers=HEADERS)
    given = parse_traceparent(answer.headers["traceparent"])
    request_id = answer.json()["request_id"]
    [row] = stored(fresh_database, request_id)
    wait_until(lambda: sink.named("store predictions"))

    assert given is not None
    assert (given.trace_id, given.sampled) == (CALLER.trace_id, True)
    assert given.span_id != CALLER.span_id
    served, storing = only(sink.named("POST /predict")), only(sink.named("store predictions"))
    assert (served.trace_id, served.parent_id, served.span_id, served.kind) == (*CALLER[:2], given.span_id, "server")
    assert served.attributes == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        "hearth.request_id": request_id,
    }
    assert (storing.trace_id, storing.parent_id, storing.kind) == (CALLER.trace_id, given.span_id, "client")
    assert row.trace_id == CALLER.trace_id
    [listed] = client.get("/predictions").json()["predictions"]
    assert listed["trace_id"] == CALLER.trace_id
    assert client.get(f"/predictions/{request_id}").json()["predictions"][0]["trace_id"] == CALLER.trace_id
    query = "{ predictions(first: 1) { edges { node { traceId } } } }"
    found = client.post("/graphql", json={"query": query}).json()["data"]["predictions"]["edges"]
    assert found == [{"node": {"traceId": CALLER.trace_id}}]
    assert str(SECRET).encode() not in b"".join(sink.bodies)


def test_graphql_runs_in_the_trace_of_its_request(sink: Sink, client: httpx.Client, fresh_database: str) -> None:
    body = {"query": GRAPHQL, "variables": {"records": {"employees": [GRAPHQL_RECORD]}}}
    answer = client.post("/graphql", json=body, headers=HEADERS).json()
    assert "errors" not in answer, answer
    [row] = stored(fresh_database, answer["data"]["predict"]["requestId"])

    assert row.trace_id == CALLER.trace_id
    wait_until(lambda: sink.named("POST /graphql"))
    assert only(sink.named("POST /graphql")).parent_id == CALLER.span_id


@pytest.mark.parametrize("bad", ["", "nonsense", str(CALLER).upper(), "ff" + str(CALLER)[2:], f"{CALLER}, {CALLER}"])
def test_what_is_no_traceparent_begins_a_new_trace(client: httpx.Client, bad: str) -> None:
    answers = [client.post("/predict", json={"data": [record()]}, headers={"traceparent": bad}) for _ in range(2)]
    places = [parse_traceparent(answer.headers["traceparent"]) for answer in answers]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert None not in places
    assert len({place.trace_id for place in places if place} | {CALLER.trace_id}) == 3


def test_two_traceparents_are_none(client: httpx.Client) -> None:
    twice = [("traceparent", str(CALLER)), ("traceparent", str(new_trace()))]
    given = parse_traceparent(client.get("/models", headers=twice).headers["traceparent"])
    assert given is not None
    assert given.trace_id != CALLER.trace_id


def test_without_an_exporter_the_callers_place_comes_back_as_it_is_also_in_an_error(client: httpx.Client) -> None:
    for answer in (client.get("/health", headers=HEADERS), client.get("/nothing", headers=HEADERS)):
        assert answer.headers["traceparent"] == str(CALLER)


def test_a_record_in_a_compute_thread_and_one_of_a_file_keep_the_trace(client: httpx.Client, fresh_database: str) -> None:
    many = client.post("/predict", json={"data": [record()] * 50}, headers=HEADERS)
    names = list(record())
    text = ",".join(names) + "\n" + ",".join(str(record()[name]) for name in names)
    file = client.post("/predict/csv", content=text, headers={**HEADERS, "Content-Type": "text/csv"})
    for answer in (many, file):
        rows = stored(fresh_database, answer.headers["x-request-id"])
        assert {row.trace_id for row in rows} == {CALLER.trace_id}


def test_a_server_error_fails_its_span_and_a_refusal_does_not(sink: Sink, client: httpx.Client) -> None:
    client.post("/predict", json={}, headers=HEADERS)
    client.get("/predictions/unknown", headers=HEADERS)
    wait_until(lambda: len(sink.spans) >= 2)
    statuses = {span.name: (span.attributes["http.response.status_code"], span.failed) for span in sink.spans}
    assert statuses == {"POST /predict": (422, False), "GET /predictions/{message_id}": (404, False)}


def test_probes_make_no_spans(sink: Sink, client: httpx.Client) -> None:
    for path in ("/health", "/metrics", "/ready", "/models"):
        client.get(path)
    wait_until(lambda: sink.spans)
    assert {span.name for span in sink.spans} == {"GET /models"}


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_probes_make_no_spans_below_a_root_path_either(sink: Sink, prefix: str) -> None:
    options = service_settings(api_root_path="/api")
    with running(create_app(options, FakeRegistry(champion="2"), checks={})) as client:
        for path in ("/health", "/metrics", "/ready", "/models"):
            assert client.get(prefix + path).status_code == 200
    wait_until(lambda: sink.spans)
    assert {span.name for span in sink.spans} == {"GET /models"}


def test_grpc_takes_a_trace_over_gives_it_back_and_stores_it(sink: Sink, fresh_database: str) -> None:
    migrate(fresh_database)
    options = settings(record_predictions="all", predictions_url=fresh_database, record_drain_seconds=60)
    request = pb.PredictRequest(records=[record_message(found) for found in records(sample_rows(EMPLOYEES, 2, seed=6)[0])])
    with serving(Shelf({"champion": "1"}, {"1": fitted()}), options) as service:
        response, call = service.stub.Predict.with_call(request, metadata=[("traceparent", str(CALLER))])
        given = parse_traceparent(dict(call.trailing_metadata())["traceparent"])
        stream = service.stub.PredictStream(iter([request]), metadata=[("traceparent", str(CALLER))])
        [streamed] = stream
        begun = parse_traceparent(dict(stream.initial_metadata())["traceparent"])
        with pytest.raises(Exception, match="tarot") as refused:
            service.stub.Predict(pb.PredictRequest(alias="tarot"), metadata=[("traceparent", str(CALLER))])
        told: Any = refused.value
        failed = parse_traceparent(dict(told.trailing_metadata())["traceparent"])
        plain = service.stub.Predict.with_call(request)[1]
        made = parse_traceparent(dict(plain.trailing_metadata())["traceparent"])
        for message_id in (response.request_id, streamed.response.request_id):
            assert {row.trace_id for row in stored(fresh_database, message_id)} == {CALLER.trace_id}

    assert given and begun and failed and made  # noqa: PT018 - for the types
    assert {place.trace_id for place in (given, begun, failed)} == {CALLER.trace_id}
    assert made.trace_id != CALLER.trace_id

    def calls_of_caller() -> list[SunkSpan]:  # whether the span of storing is theirs depends on what else is stored in the same batch
        return [span for span in sink.of_trace(CALLER.trace_id) if span.kind == "server"]

    wait_until(lambda: len(calls_of_caller()) == 3)
    calls = calls_of_caller()
    assert {(span.name, span.parent_id, span.attributes["rpc.grpc.status_code"]) for span in calls} == {
        ("hearth.v1.Prediction/Predict", CALLER.span_id, 0),
        ("hearth.v1.Prediction/PredictStream", CALLER.span_id, 0),
        ("hearth.v1.Prediction/Predict", CALLER.span_id, 5),
    }


def test_the_span_of_a_stream_that_is_cancelled_while_an_answer_is_written_ends(sink: Sink, caplog: pytest.LogCaptureFixture) -> None:
    request = pb.PredictRequest(records=[record_message(found) for found in records(sample_rows(EMPLOYEES, 500, seed=6)[0])])
    sent = 0

    def requests() -> Iterator[pb.PredictRequest]:
        nonlocal sent
        while True:
            sent += 1
            yield request

    def is_full() -> bool:
        """Whether nothing moves any more, because nobody reads the answers."""
        before = sent
        time.sleep(0.5)
        return before > 1 and sent == before

    with serving(Shelf({"champion": "1"}, {"1": fitted()})) as service:
        stream = service.stub.PredictStream(requests(), metadata=[("traceparent", str(CALLER))])
        next(stream)
        wait_until(is_full)
        stream.cancel()
        wait_until(lambda: sink.of_trace(CALLER.trace_id))
        assert service.stub.Predict(request, timeout=30).labels

    assert only(sink.named("hearth.v1.Prediction/PredictStream")).failed
    assert [entry.getMessage() for entry in caplog.records if entry.name == "asyncio" and entry.levelname == "ERROR"] == []


def test_a_message_goes_from_its_sender_to_the_store_in_one_trace(sink: Sink, bench: Bench) -> None:
    message_id = bench.send(record(**{"Sleep Hours": SECRET}))
    with bench.working(FakeRegistry(champion="3")):
        wait_until(lambda: bench.settled() and bench.count() == 1)
    wait_until(lambda: sink.named("acknowledge"))

    sent, batch = only(sink.named(f"send {bench.name}")), only(sink.named(f"process {bench.name}"))
    [row] = bench.stored()
    assert (row.message_id, row.trace_id) == (message_id, sent.trace_id)
    assert (sent.kind, sent.parent_id) == ("producer", "")
    assert (batch.kind, batch.trace_id, batch.parent_id) == ("consumer", sent.trace_id, sent.span_id)
    assert batch.links == ((sent.trace_id, sent.span_id),)
    for name, kind in (("score", "internal"), ("store predictions", "client"), ("acknowledge", "client")):
        inner = only(sink.named(name))
        assert (inner.trace_id, inner.parent_id, inner.kind) == (sent.trace_id, batch.span_id, kind)
        assert batch.start <= inner.start <= inner.end <= batch.end
    assert sent.end <= only(sink.named("store predictions")).start
    assert str(SECRET).encode() not in b"".join(sink.bodies)


def test_a_batch_of_several_messages_links_to_each_and_each_keeps_its_own_trace(sink: Sink, bench: Bench) -> None:
    ids = [bench.send(record()) for _ in range(5)]
    with bench.working(FakeRegistry(champion="3")):
        wait_until(lambda: bench.settled() and bench.count() == 5)
    wait_until(lambda: sink.named(f"process {bench.name}"))

    sent = [(span.trace_id, span.span_id) for span in sink.named(f"send {bench.name}")]
    batch = only(sink.named(f"process {bench.name}"))
    assert len({trace for trace, _ in sent}) == 5
    assert batch.parent_id == ""
    assert set(batch.links) == set(sent)
    assert batch.attributes["messaging.batch.message_count"] == 5
    traces = {row.message_id: row.trace_id for row in bench.stored()}
    assert [traces[id_] for id_ in ids] == [trace for trace, _ in sorted(sent, key=lambda pair: [span[0] for span in sent].index(pair[0]))]


def test_records_that_rest_queues_are_stored_in_the_trace_of_the_request(
    sink: Sink, client: httpx.Client, valkey_url: str, fresh_database: str
) -> None:
    queue = Bench(valkey_url, fresh_database)
    queue.name = "traced"
    queue.redis.delete("traced")
    answer = client.post("/predict_stream?batch=2", json={"data": [record()] * 4}, headers=HEADERS)
    assert answer.status_code == 202, answer.text
    with queue.working(FakeRegistry(champion="3"), stream_name="traced"):
        wait_until(lambda: queue.settled() and queue.count() == 4)
    queue.close()
    wait_until(lambda: sink.named("acknowledge"))

    served, sent, batch = (only(sink.named(name)) for name in ("POST /predict_stream", "send traced", "process traced"))
    assert (served.parent_id, sent.parent_id, batch.parent_id) == (CALLER.span_id, served.span_id, sent.span_id)
    assert {row.trace_id for row in queue.stored()} == {CALLER.trace_id}


@pytest.mark.parametrize("bad", [b"", b"nonsense", b"\xff\xfe", str(CALLER).upper().encode()])
def test_a_traceparent_that_cannot_be_read_refuses_no_message(bench: Bench, bad: bytes) -> None:
    bench.writer.send([{**encode("employees", "champion", [record()]), b"traceparent": bad}])
    fields = [b"dataset", b"employees", b"record", json.dumps(record()).encode(), b"traceparent", b"a", b"traceparent", b"b"]
    bench.redis.execute_command("XADD", bench.name, "*", *fields)
    with bench.working(FakeRegistry(champion="3")):
        wait_until(lambda: bench.settled() and bench.count() == 2)
    assert bench.dead() == []
    assert all(row.trace_id for row in bench.stored())


def test_a_dead_letter_keeps_its_trace_and_brings_it_back_to_the_stream(bench: Bench) -> None:
    with in_trace(CALLER):
        bench.send(record(), alias="tarot")
    bench.redis.xadd(bench.name, {"dataset": "employees", "alias": "tarot", "record": json.dumps(record())})
    with bench.working(FakeRegistry(champion="3")):
        wait_until(lambda: len(bench.dead()) == 2)
        with DeadLetters(bench.valkey_url, bench.name) as letters:
            told, untold = letters.list()
        assert told.trace_id == CALLER.trace_id
        assert untold.trace_id is not None
        with Replay(bench.valkey_url, bench.name) as replay:
            replay.put_back([told, untold], {"alias": "champion"})
        wait_until(lambda: bench.settled() and bench.count() == 2)
    assert {row.message_id: row.trace_id for row in bench.stored()} == {
        told.message_id: CALLER.trace_id,
        untold.message_id: untold.trace_id,
    }


def test_a_label_keeps_the_trace_of_the_prediction_that_it_judges(client: httpx.Client, fresh_database: str) -> None:
    request_id = client.post("/predict", json={"data": [record()]}, headers=HEADERS).json()["request_id"]
    stored(fresh_database, request_id)
    reports = [{"id": request_id, "truth": "High"}, {"id": "not yet", "truth": "Low", "dataset": "employees"}]
    receipts = client.post("/feedback", json={"feedback": reports}).json()["receipts"]

    assert [receipt["trace_id"] for receipt in receipts] == [CALLER.trace_id, None]
    with psycopg.connect(fresh_database) as connection:
        rows = connection.execute("SELECT message_id, replace(trace_id::text, '-', '') FROM labels").fetchall()
    assert dict(rows) == {request_id: CALLER.trace_id, "not yet": None}
    with LabelStore(fresh_database) as store:
        [labelled] = store.labelled("employees")
    assert labelled.trace_id == CALLER.trace_id


def test_a_decision_to_train_again_has_the_trace_of_its_run(fresh_database: str) -> None:
    migrate(fresh_database)
    choice = Choice(State.RUNNING, "person", "somebody wants it")
    with RetrainStore(fresh_database) as store, in_trace(CALLER):
        row = store.record("run-1", "employees", choice, datetime.now(UTC))
        assert row is not None
        assert row.trace_id == CALLER.trace_id
        assert [found.trace_id for found in store.latest("employees", 5)] == [CALLER.trace_id]


def test_a_sender_outside_of_every_trace_begins_one_for_each_message(bench: Bench) -> None:
    with StreamWriter(bench.valkey_url, bench.name) as writer:
        writer.send([encode("employees", "champion", [record()])] * 3)
    sent = [fields[b"traceparent"].decode() for _, fields in bench.redis.xrange(bench.name)]
    assert len({place.trace_id for text in sent if (place := parse_traceparent(text))}) == 3
