"""API keys and limits over gRPC: the same policy as REST's, for the calls that predict."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from grpc_service.access import caller_address
from grpc_service.encoding import record_message
from grpc_service.v1 import prediction_pb2 as pb
from grpc_service.v2 import open_inference_pb2 as v2
from grpc_service.v2.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.grpc.service import Service, Shelf, error_in, fitted, serving, settings
from tests.support.samples import EMPLOYEES, records, sample_rows
from tests.support.waiting import LIMIT_SECONDS

[RECORD] = records(sample_rows(EMPLOYEES, 1, seed=3)[0])
REQUEST = pb.PredictRequest(records=[record_message(RECORD)])
AS_PAGE = [("x-api-key", "readers-long-secret")]
Call = Callable[[Service, Any], object]


@pytest.fixture(scope="module")
def locked() -> Iterator[Service]:
    with serving(Shelf({"champion": "1"}, {"1": fitted()}), settings(api_require_key=True)) as service:
        yield service


def predict(service: Service, metadata: Any) -> object:
    return service.stub.Predict(REQUEST, metadata=metadata, timeout=LIMIT_SECONDS)


def infer(service: Service, metadata: Any) -> object:
    message = v2.ModelInferRequest(model_name="employees")
    rows = ["" if value is None else str(value) for value in RECORD.values()]
    tensor = message.inputs.add(name="input-0", datatype="BYTES", shape=[1, len(rows)])
    tensor.contents.bytes_contents.extend(text.encode() for text in rows)
    return GRPCInferenceServiceStub(service.channel).ModelInfer(message, metadata=metadata, timeout=LIMIT_SECONDS)


def refused(call: Call, service: Service, metadata: Any) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        call(service, metadata)
    return caught.value.code(), error_in(caught.value).error


@pytest.mark.parametrize("call", [predict, infer])
class TestRequiredKey:
    def test_a_key_for_predictions_opens_the_call(self, locked: Service, call: Call) -> None:
        assert call(locked, AS_PAGE)
        assert call(locked, [("authorization", "Bearer readers-long-secret")])

    @pytest.mark.parametrize(
        ("metadata", "code", "error"),
        [
            ([], grpc.StatusCode.UNAUTHENTICATED, "invalid_key"),
            ([("x-api-key", "guessed-long-secret")], grpc.StatusCode.UNAUTHENTICATED, "invalid_key"),
            ([("authorization", "Basic readers-long-secret")], grpc.StatusCode.UNAUTHENTICATED, "invalid_key"),
            ([("x-api-key", "robots-long-secret")], grpc.StatusCode.PERMISSION_DENIED, "missing_scope"),
        ],
    )
    def test_without_one_the_call_ends(self, locked: Service, call: Call, metadata: Any, code: grpc.StatusCode, error: str) -> None:
        assert refused(call, locked, metadata) == (code, error)


def test_each_message_of_a_stream_needs_the_key(locked: Service) -> None:
    [answer] = locked.stub.PredictStream(iter([REQUEST]), timeout=LIMIT_SECONDS)
    assert (answer.error.error, answer.error.status) == ("invalid_key", grpc.StatusCode.UNAUTHENTICATED.value[0])

    [answer] = locked.stub.PredictStream(iter([REQUEST]), metadata=AS_PAGE, timeout=LIMIT_SECONDS)
    assert answer.response.labels


def test_lists_and_metadata_stay_open(locked: Service) -> None:
    assert locked.stub.ListModels(pb.ListModelsRequest()).datasets
    assert GRPCInferenceServiceStub(locked.channel).ModelReady(v2.ModelReadyRequest(name="employees")).ready


def test_calls_above_the_limit_are_refused_by_key_and_by_address() -> None:
    with serving(Shelf({"champion": "1"}, {"1": fitted()}), settings(api_rate_limit="2/hour")) as service:
        for metadata in ([], AS_PAGE):
            assert predict(service, metadata)
            assert infer(service, metadata)
            assert refused(predict, service, metadata) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "too_many_requests")


@pytest.mark.parametrize(
    ("peer", "address"),
    [("ipv4:10.0.0.7:5000", "10.0.0.7"), ("ipv6:%5B2001:db8::1%5D:443", "2001:db8::1"), ("unix:/run/hearth.sock", "unix:/run/hearth.sock")],
)
def test_a_caller_without_a_key_is_its_address(peer: str, address: str) -> None:
    assert caller_address(peer) == address
