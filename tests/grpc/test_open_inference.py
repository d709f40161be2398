"""The Open Inference Protocol over gRPC, against a real server: tensors in, tensors out, and each mistake named."""

import json
import struct
from collections.abc import Iterator, Sequence
from math import nan
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse

from grpc_service.encoding import record_message
from grpc_service.inference import SERVICE
from grpc_service.v1 import prediction_pb2
from grpc_service.v2 import open_inference_pb2 as pb
from grpc_service.v2.open_inference_pb2_grpc import GRPCInferenceServiceStub
from hearth.predictions import PredictionStore
from tests.grpc.service import Service, Shelf, error_in, fitted, health_stub, serving, settings
from tests.support.samples import EMPLOYEES, records, sample_rows
from tests.support.waiting import LIMIT_SECONDS

RECORDS = records(sample_rows(EMPLOYEES, 300, seed=7)[0])
TEXTS = tuple(EMPLOYEES.categorical_features)
BULK = 129  # more than any model scores on the event loop


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """Version 1 carries knn and champion, version 2 svm; no version carries lightgbm."""
    with serving(Shelf({"knn": "1", "champion": "1", "svm": "2"}, {"1": fitted(), "2": fitted()})) as made:
        yield made


@pytest.fixture(scope="module")
def stub(service: Service) -> GRPCInferenceServiceStub:
    return GRPCInferenceServiceStub(service.channel)


def request(rows: Sequence[dict[str, Any]], *, raw: bool = False, **fields: Any) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(model_name="employees", **fields)
    for name in EMPLOYEES.feature_names:
        values = [row[name] for row in rows]
        if name in TEXTS:
            tensor = message.inputs.add(name=name, datatype="BYTES", shape=[len(rows)])
            encoded = [value.encode() for value in values]
            content = b"".join(struct.pack("<I", len(value)) + value for value in encoded)
        else:
            tensor = message.inputs.add(name=name, datatype="FP64", shape=[len(rows)])
            encoded = [nan if value is None else value for value in values]
            content = np.array(encoded, "<f8").tobytes()
        if raw:
            message.raw_input_contents.append(content)
        else:
            (tensor.contents.bytes_contents if name in TEXTS else tensor.contents.fp64_contents).extend(encoded)
    return message


def refused(stub: GRPCInferenceServiceStub, wrong: pb.ModelInferRequest) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        stub.ModelInfer(wrong, timeout=LIMIT_SECONDS)
    return caught.value.code(), error_in(caught.value).detail


class TestServerAndModels:
    def test_it_is_live_ready_and_says_what_it_is(self, service: Service, stub: GRPCInferenceServiceStub) -> None:
        assert stub.ServerLive(pb.ServerLiveRequest()).live
        assert stub.ServerReady(pb.ServerReadyRequest()).ready
        assert stub.ServerMetadata(pb.ServerMetadataRequest()).name == "hearth"
        assert health_stub(service.channel).Check(HealthCheckRequest(service=SERVICE)).status == HealthCheckResponse.SERVING

    def test_without_any_model_it_is_live_and_not_ready(self) -> None:
        with serving(Shelf()) as service:
            stub = GRPCInferenceServiceStub(service.channel)

            assert stub.ServerLive(pb.ServerLiveRequest()).live
            assert not stub.ServerReady(pb.ServerReadyRequest()).ready
            assert not stub.ModelReady(pb.ModelReadyRequest(name="employees")).ready

    @pytest.mark.parametrize(("version", "ready"), [("", True), ("svm", True), ("2", True), ("lightgbm", False)])
    def test_a_version_is_ready_if_it_serves(self, stub: GRPCInferenceServiceStub, version: str, ready: bool) -> None:
        assert stub.ModelReady(pb.ModelReadyRequest(name="employees", version=version)).ready is ready

    def test_the_metadata_have_inputs_outputs_and_what_can_be_asked_for(self, stub: GRPCInferenceServiceStub) -> None:
        metadata = stub.ModelMetadata(pb.ModelMetadataRequest(name="employees"))

        assert list(metadata.versions) == ["knn", "svm", "champion", "1", "2"]
        assert tuple(item.name for item in metadata.inputs) == EMPLOYEES.feature_names
        assert [(item.name, item.datatype, list(item.shape)) for item in metadata.outputs] == [
            ("label", "BYTES", [-1]),
            ("prediction", "INT64", [-1]),
            ("probabilities", "FP64", [-1, 3]),
        ]

    @pytest.mark.parametrize(
        ("name", "version", "reason"),
        [
            ("employees", "9", "Version 9 of 'employees' serves under no alias; these do: 1 (knn), 2 (svm), 1 (champion)."),
            ("employees", "tarot", "'employees' has no alias 'tarot'"),
            ("weather", "", "There is no data set 'weather'"),
        ],
    )
    def test_what_is_not_served_is_not_found(self, stub: GRPCInferenceServiceStub, name: str, version: str, reason: str) -> None:
        calls = (
            lambda: stub.ModelReady(pb.ModelReadyRequest(name=name, version=version)),
            lambda: stub.ModelMetadata(pb.ModelMetadataRequest(name=name, version=version)),
            lambda: stub.ModelInfer(pb.ModelInferRequest(model_name=name, model_version=version)),
        )
        for call in calls:
            with pytest.raises(grpc.RpcError) as caught:
                call()  # type: ignore[no-untyped-call]
            assert caught.value.code() is grpc.StatusCode.NOT_FOUND
            assert reason in error_in(caught.value).detail


class TestInfer:
    @pytest.mark.parametrize("rows", [1, 5, BULK])
    @pytest.mark.parametrize("raw", [False, True], ids=["typed", "raw"])
    def test_the_answer_is_that_of_predict_in_the_form_of_the_request(
        self, service: Service, stub: GRPCInferenceServiceStub, raw: bool, rows: int
    ) -> None:
        answer = stub.ModelInfer(request(RECORDS[:rows], raw=raw, id="mine"))

        ours = service.stub.Predict(prediction_pb2.PredictRequest(records=[record_message(record) for record in RECORDS[:rows]]))
        label, prediction, probabilities = answer.outputs
        if raw:
            assert len(answer.raw_output_contents) == 3
            np.testing.assert_array_equal(np.frombuffer(answer.raw_output_contents[1], "<i8"), ours.predictions)
            np.testing.assert_array_equal(np.frombuffer(answer.raw_output_contents[2], "<f8"), ours.probabilities)
            assert answer.raw_output_contents[0][4:].startswith(ours.labels[0].encode())
        else:
            assert [text.decode() for text in label.contents.bytes_contents] == list(ours.labels)
            assert list(prediction.contents.int64_contents) == list(ours.predictions)
            assert list(probabilities.contents.fp64_contents) == list(ours.probabilities)
        assert list(probabilities.shape) == [rows, 3]
        assert json.loads(probabilities.parameters["classes"].string_param) == list(EMPLOYEES.target.classes)
        assert (answer.model_name, answer.model_version, answer.id) == ("employees", "1", "mine")
        assert answer.parameters["alias"].string_param == "champion"
        assert answer.parameters["request_id"].string_param.startswith("mine.")

    @pytest.mark.parametrize(("version", "alias"), [("svm", "svm"), ("2", "svm"), ("1", "knn")])
    def test_a_version_is_an_alias_or_the_number_that_one_carries(self, stub: GRPCInferenceServiceStub, version: str, alias: str) -> None:
        assert stub.ModelInfer(request(RECORDS[:1], model_version=version)).parameters["alias"].string_param == alias

    def test_only_the_named_outputs_come_in_their_order(self, stub: GRPCInferenceServiceStub) -> None:
        message = request(RECORDS[:1])
        for name in ("probabilities", "label"):
            message.outputs.add(name=name)

        assert [output.name for output in stub.ModelInfer(message).outputs] == ["probabilities", "label"]

    def test_what_the_contract_refuses_is_named_with_row_column_value_and_expectation(self, stub: GRPCInferenceServiceStub) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            stub.ModelInfer(request([RECORDS[0], {**RECORDS[1], "Designation": 9}]))

        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        [problem] = error_in(caught.value).errors
        assert (problem.row, problem.column, problem.value.number) == (1, "Designation", 9)
        assert problem.expected == "a whole number from 0 to 5 (level)"

    def test_more_records_than_a_message_may_have_are_refused(self, service: Service) -> None:
        with serving(service.shelf, settings(grpc_max_records=3)) as strict:
            code, detail = refused(GRPCInferenceServiceStub(strict.channel), request(RECORDS[:4]))

        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "more than the 3 that one request may have" in detail

    def test_an_alias_without_a_version_is_unavailable(self, stub: GRPCInferenceServiceStub) -> None:
        code, detail = refused(stub, request(RECORDS[:1], model_version="lightgbm"))

        assert code is grpc.StatusCode.UNAVAILABLE
        assert "no version carries this alias yet" in detail


def _both_forms(message: pb.ModelInferRequest) -> None:
    message.inputs[0].contents.bytes_contents.append(b"Male")


def _too_few_raw(message: pb.ModelInferRequest) -> None:
    del message.raw_input_contents[-1]


def _short_raw(message: pb.ModelInferRequest) -> None:
    message.raw_input_contents[3] = b"\0" * 7


def _not_utf8(message: pb.ModelInferRequest) -> None:
    message.inputs[0].contents.bytes_contents[0] = b"\xff"


@pytest.mark.parametrize(
    ("raw", "spoil", "reason"),
    [
        (True, _both_forms, "The request has both contents and raw_input_contents"),
        (True, _too_few_raw, "The request has 13 inputs, but 12 raw_input_contents."),
        (True, _short_raw, "The input 'Designation' has 7 bytes; FP64 of shape [1] takes 8."),
        (False, lambda message: message.inputs[3].ClearField("contents"), "has 0 values in fp64_contents; its shape [1] takes 1"),
        (False, lambda message: setattr(message.inputs[3], "datatype", "INT64"), "has 0 values in int64_contents"),
        (False, lambda message: setattr(message.inputs[3], "datatype", "BOOL"), "has the datatype 'BOOL'; expected one of"),
        (False, lambda message: setattr(message.inputs[3], "datatype", "FP16"), "which only raw_input_contents can hold"),
        (False, lambda message: message.inputs[3].shape.append(-1), "expected a list of whole numbers of at least 0"),
        (False, lambda message: message.inputs[3].ClearField("shape"), "has the shape []"),
        (False, lambda message: message.ClearField("inputs"), "The request has no inputs"),
        (False, lambda message: message.outputs.add(name="logits"), "There is no output 'logits'"),
        (False, lambda message: setattr(message.parameters["priority"], "int64_param", 1), "'priority', which is not read"),
        (
            False,
            lambda message: setattr(message.inputs[0].parameters["content_type"], "string_param", "jpg"),
            "expected one of: 'np', 'pd', 'str'",
        ),
        (False, _not_utf8, "are not UTF-8"),
    ],
)
def test_what_is_wrong_with_a_request_is_named(stub: GRPCInferenceServiceStub, raw: bool, spoil: Any, reason: str) -> None:
    message = request(RECORDS[:1], raw=raw)
    spoil(message)

    code, detail = refused(stub, message)

    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert reason in detail


def test_what_was_answered_is_found_in_the_store_by_the_request_id_of_the_answer(fresh_database: str) -> None:
    options = settings(record_predictions="all", predictions_url=fresh_database, record_drain_seconds=60)
    with serving(Shelf({"champion": "1"}, {"1": fitted()}), options) as service:
        answer = GRPCInferenceServiceStub(service.channel).ModelInfer(request(RECORDS[:3], raw=True))

    with PredictionStore(fresh_database) as store:
        stored = store.of_message(answer.parameters["request_id"].string_param)
    assert [given.record for given in stored] == RECORDS[:3]
    assert {given.source for given in stored} == {"grpc"}
