"""What the gRPC service tells Prometheus on a port of its own, and what it has stored."""

import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families as families

from deploy.embedded.temporary_servers import free_port
from grpc_service.encoding import packed_message, record_message
from grpc_service.v1 import prediction_pb2 as pb
from hearth.predictions import PredictionStore
from tests.grpc.service import Service, Shelf, fitted, serving, settings
from tests.support.samples import EMPLOYEES, records, sample_rows

RECORDS = records(sample_rows(EMPLOYEES, 200, seed=6)[0])


@dataclass(frozen=True)
class Told:
    """A service and its metrics."""

    service: Service
    port: int

    def value(self, name: str, **labels: str) -> float:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            found = [sample for family in families(answer.read().decode()) for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in found if labels.items() <= sample.labels.items())


@pytest.fixture
def told(fresh_database: str) -> Iterator[Told]:
    port = free_port()
    options = settings(grpc_metrics_port=port, record_predictions="all", predictions_url=fresh_database)
    with serving(Shelf({"knn": "1", "champion": "1", "challenger": "2"}, {"1": fitted(), "2": fitted()}), options) as service:
        yield Told(service, port)


def request(rows: int, **changes: Any) -> pb.PredictRequest:
    return pb.PredictRequest(records=[record_message(record) for record in RECORDS[:rows]], **changes)


def test_calls_are_counted_by_method_and_code_and_messages_of_a_stream_as_calls(told: Told) -> None:
    stub = told.service.stub
    stub.Predict(request(2))
    stub.Predict(pb.PredictRequest(packed=packed_message(RECORDS), alias="knn"))
    stub.ListModels(pb.ListModelsRequest())
    with pytest.raises(grpc.RpcError):
        stub.Predict(request(1, alias='tar"ot'))
    assert len(list(stub.PredictStream(iter([request(1), request(1, dataset="weather")])))) == 2

    calls = "hearth_grpc_calls_total"
    assert told.value(calls, method="Predict", code="OK") == 2
    assert told.value(calls, method="Predict", code="NOT_FOUND") == 1
    assert told.value(calls, method="PredictStream", code="OK") == 1
    assert told.value(calls, method="PredictStream", code="NOT_FOUND") == 1
    assert told.value("hearth_grpc_call_seconds_count", method="Predict") == 3
    assert told.value("hearth_errors_total", protocol="grpc", code="unknown_alias") == 1
    assert told.value("hearth_errors_total", protocol="grpc", code="unknown_dataset") == 1
    assert told.value("hearth_records_scored_total", alias="knn", version="1", source="grpc") == 200
    assert told.value("hearth_model_serving", dataset="employees", alias="champion", version="1") == 1


def test_what_was_answered_is_found_in_the_store_by_the_request_id_of_the_answer(fresh_database: str) -> None:
    options = settings(record_predictions="all", predictions_url=fresh_database, record_drain_seconds=60)
    with serving(Shelf({"champion": "1"}, {"1": fitted()}), options) as service:
        answers = [service.stub.Predict(request(3, request_id="mine")) for _ in range(2)]
        [streamed] = service.stub.PredictStream(iter([request(1, request_id="its own")]))

    assert streamed.request_id == "its own"
    with PredictionStore(fresh_database) as store:
        for answer in (*answers, streamed.response):
            found = store.of_message(answer.request_id)
            assert [given.record for given in found] == RECORDS[: len(answer.labels)]
            assert [given.label for given in found] == list(answer.labels)
            assert {given.source for given in found} == {"grpc"}
