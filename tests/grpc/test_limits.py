"""Bounds of calls and messages, against a real server: what small things may not hold up."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from grpc_service.encoding import record_message
from grpc_service.limits import OTHER_CALLS
from grpc_service.requests import RecordReader
from grpc_service.v1 import prediction_pb2 as pb
from grpc_service.v2 import open_inference_pb2 as v2
from grpc_service.v2.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.grpc.service import Service, Shelf, error_in, fitted, health_stub, serving, settings
from tests.support.samples import EMPLOYEES, records, sample_rows
from tests.support.waiting import LIMIT_SECONDS

RECORD = records(sample_rows(EMPLOYEES, 1, seed=5)[0])[0]
SMALL = pb.PredictRequest(records=[record_message(RECORD)])


@pytest.fixture
def service() -> Iterator[Service]:
    limits = settings(
        grpc_max_records=10_000,
        grpc_max_message_bytes=10_000_000,
        grpc_max_concurrent_calls=5,
        grpc_max_streams=2,
        grpc_stream_idle_seconds=60,
    )
    with serving(Shelf({"champion": "1"}, {"1": fitted()}), limits) as made:
        yield made


def open_stream(service: Service, stack: contextlib.ExitStack) -> Any:
    """A stream that has had one answer, and then waits."""
    end = threading.Event()
    stack.callback(end.set)

    def requests() -> Iterator[pb.PredictRequest]:
        yield SMALL
        end.wait()

    stream = service.stub.PredictStream(requests())
    stack.callback(stream.cancel)
    return stream


def refused(call: Any) -> pb.Error:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return error_in(caught.value)


def test_idle_streams_shut_out_neither_calls_nor_health(service: Service) -> None:
    with contextlib.ExitStack() as stack:
        streams = [open_stream(service, stack) for _ in range(2)]
        for stream in streams:
            assert next(stream).response.labels
        error = refused(lambda: next(open_stream(service, stack)))
        assert (error.error, error.detail.partition(":")[0]) == (
            "too_many_calls",
            "2 streams are open, which is the limit (HEARTH_GRPC_MAX_STREAMS)",
        )
        assert service.stub.Predict(SMALL, timeout=LIMIT_SECONDS).labels
        health = health_stub(service.channel)
        assert health.Check(HealthCheckRequest(), timeout=LIMIT_SECONDS).status == HealthCheckResponse.SERVING


def test_a_place_is_free_again_when_a_stream_ends(service: Service) -> None:
    for _ in range(5):
        with contextlib.ExitStack() as stack:
            assert next(open_stream(service, stack)).response.labels


def test_watchers_of_health_do_not_shut_out_those_who_ask(service: Service) -> None:
    health = health_stub(service.channel)
    with contextlib.ExitStack() as stack:
        for _ in range(OTHER_CALLS // 2):
            watcher = health.Watch(HealthCheckRequest())
            stack.callback(watcher.cancel)
            assert next(watcher).status == HealthCheckResponse.SERVING
        assert refused(lambda: next(health.Watch(HealthCheckRequest()))).error == "too_many_calls"
        assert health.Check(HealthCheckRequest(), timeout=LIMIT_SECONDS).status == HealthCheckResponse.SERVING
        assert service.stub.Predict(SMALL, timeout=LIMIT_SECONDS).labels


def test_a_stream_without_a_message_ends() -> None:
    with (
        serving(Shelf({"champion": "1"}, {"1": fitted()}), settings(grpc_stream_idle_seconds=0.2)) as service,
        contextlib.ExitStack() as stack,
    ):
        error = refused(lambda: list(open_stream(service, stack)))
        assert error.error == "idle_stream"
        assert "HEARTH_GRPC_STREAM_IDLE_SECONDS" in error.detail


def test_one_record_of_many_columns_is_read_outside_the_event_loop(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[str] = []
    original = RecordReader.read

    def read(self: RecordReader, request: pb.PredictRequest) -> Any:
        threads.append(threading.current_thread().name)
        return original(self, request)

    monkeypatch.setattr(RecordReader, "read", read)
    wide = pb.PredictRequest(records=[record_message(RECORD | {f"c{number}": 1 for number in range(100_000)})])
    error = refused(lambda: service.stub.Predict(wide, timeout=60))
    service.stub.Predict(SMALL, timeout=LIMIT_SECONDS)
    assert error.error == "invalid_request"
    assert error.detail.startswith("Record 0 has 100013 values, more than the 1000 that are read; 'employees' has ")
    assert threads[0].startswith("compute")
    assert not threads[1].startswith("compute")


@pytest.mark.parametrize("part", ["inputs", "raw_input_contents", "outputs", "parameters", "shape"])
def test_parts_of_an_inference_request_are_counted_before_they_are_read(service: Service, part: str) -> None:
    tensor = v2.ModelInferRequest.InferInputTensor
    request = v2.ModelInferRequest(model_name="employees")
    match part:
        case "inputs":
            request.inputs.extend(tensor(name=f"i{number}", datatype="FP64", shape=[1]) for number in range(10_000))
        case "raw_input_contents":
            request.raw_input_contents.extend([b""] * 10_000)
        case "outputs":
            request.outputs.extend(v2.ModelInferRequest.InferRequestedOutputTensor(name="label") for _ in range(10_000))
        case "parameters":
            request.inputs.append(tensor(name="x", datatype="FP64", shape=[1]))
            for number in range(10_000):
                request.inputs[0].parameters[f"p{number}"].bool_param = True
        case _:
            request.inputs.append(tensor(name="x", datatype="FP64", shape=[1] * 10_000))
    error = refused(lambda: GRPCInferenceServiceStub(service.channel).ModelInfer(request, timeout=30))
    assert error.error == "invalid_request"
    assert f"has 10000 {part if part != 'shape' else 'sizes in a shape'}; at most" in error.detail


WIDE = pb.PredictRequest(records=[record_message({f"c{number}": number for number in range(200_000)})])


def test_a_message_of_very_many_values_is_refused_before_it_is_read(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RecordReader, "read", lambda *_: pytest.fail("it was read"))
    error = refused(lambda: service.stub.Predict(WIDE, timeout=30))
    assert error.error == "too_many_values"
    assert "more than 150000 values (HEARTH_GRPC_MAX_VALUES)" in error.detail


def test_it_ends_a_stream_and_the_next_one_is_answered(service: Service) -> None:
    assert refused(lambda: list(service.stub.PredictStream(iter([SMALL, WIDE])))).error == "too_many_values"
    assert [answer.response.labels for answer in service.stub.PredictStream(iter([SMALL]))]


def test_as_many_records_as_one_message_may_have_are_still_read(service: Service) -> None:
    many = pb.PredictRequest(records=[record_message(RECORD)] * 10_000)
    assert many.ByteSize() > 500_000
    assert len(service.stub.Predict(many, timeout=30).labels) == 10_000


def test_packed_columns_of_any_bytes_do_not_count(service: Service) -> None:
    """A column of the value 10 is, among codes, full of the byte that stands before keys."""
    tens = v2.ModelInferRequest(model_name="employees", inputs=[{"name": "a", "datatype": "INT64", "shape": [200_000]}])
    tens.inputs[0].contents.int64_contents.extend([10] * 200_000)
    stub = GRPCInferenceServiceStub(service.channel)
    assert refused(lambda: stub.ModelInfer(tens, timeout=30)).error != "too_many_values"
