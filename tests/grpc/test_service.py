"""The calls, against a real server: what is answered, and what a caller learns of each failure."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future
from math import nan
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from grpc_service.encoding import packed_message, record_message
from grpc_service.health import SERVICE
from grpc_service.metrics import Calls
from grpc_service.server import follower_of
from grpc_service.v1 import prediction_pb2 as pb
from grpc_service.v1.prediction_pb2_grpc import PredictionStub
from tests.grpc.service import WHEN, Broken, Gated, Service, Shelf, error_in, fitted, health_stub, serving, settings
from tests.support.samples import EMPLOYEES, records, sample_rows
from tests.support.waiting import LIMIT_SECONDS, wait_until

FRAME, _ = sample_rows(EMPLOYEES, 300, seed=5)
RECORDS = records(FRAME)
BULK = 129  # more than any model scores where they arrive
PIPELINES = {"1": fitted(), "2": fitted(Gated), "3": fitted(Broken)}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """`knn` and `champion` are a fitted pipeline, `svm` waits at a gate, `challenger` breaks; `lightgbm` and `previous` have no version."""
    Gated.reset()
    with serving(Shelf({"knn": "1", "champion": "1", "svm": "2", "challenger": "3"}, PIPELINES)) as made:
        yield made


@pytest.fixture(autouse=True)
def _open_gate() -> Iterator[None]:
    Gated.reset()
    yield
    Gated.gate.set()


def request(rows: list[dict[str, Any]], **changes: Any) -> pb.PredictRequest:
    return pb.PredictRequest(records=[record_message(row) for row in rows], **changes)


def packed(rows: list[dict[str, Any]], **changes: Any) -> pb.PredictRequest:
    return pb.PredictRequest(packed=packed_message(rows), **changes)


def refused(service: Service, wrong: pb.PredictRequest) -> tuple[grpc.StatusCode, pb.Error]:
    with pytest.raises(grpc.RpcError) as caught:
        service.stub.Predict(wrong, timeout=LIMIT_SECONDS)
    return caught.value.code(), error_in(caught.value)


class TestPredict:
    @pytest.mark.parametrize("rows", [1, 2, BULK], ids=["one", "two", "more than are scored in place"])
    @pytest.mark.parametrize("form", [request, packed])
    def test_the_answer_is_that_of_the_fitted_pipeline(self, service: Service, form: Any, rows: int) -> None:
        answer = service.stub.Predict(form(RECORDS[:rows], alias="knn", dataset="employees"))

        wanted = PIPELINES["1"].predict_proba(FRAME[:rows])
        np.testing.assert_allclose(np.reshape(answer.probabilities, (rows, 3)), wanted, atol=1e-6)
        assert list(answer.predictions) == wanted.argmax(axis=1).tolist()
        assert list(answer.labels) == [EMPLOYEES.target.classes[code] for code in answer.predictions]
        assert tuple(answer.classes) == EMPLOYEES.target.classes
        assert (answer.dataset, answer.alias, answer.version, answer.family) == ("employees", "knn", "1", "knn")

    def test_without_data_set_and_alias_the_default_champion_answers(self, service: Service) -> None:
        answer = service.stub.Predict(request(RECORDS[:1]))

        assert (answer.dataset, answer.alias) == ("employees", "champion")

    @pytest.mark.parametrize("given", ["", "mine"])
    def test_every_answer_has_a_name_of_its_own_that_begins_with_what_the_caller_gave(self, service: Service, given: str) -> None:
        names = [service.stub.Predict(request(RECORDS[:1], request_id=given)).request_id for _ in range(2)]

        assert all(name.startswith(given) for name in names)
        assert len({*names, given}) == 3

    def test_a_row_of_the_raw_file_may_be_sent_with_its_other_columns(self, service: Service) -> None:
        row = {**RECORDS[0], "Employee ID": "e1", "Date of Joining": "2008-09-30", "Burn Rate": 0.4, "Years in Company": 3}

        assert service.stub.Predict(request([row])).labels == service.stub.Predict(request(RECORDS[:1])).labels

    def test_a_moved_alias_is_followed_while_it_serves(self) -> None:
        shelf = Shelf({"knn": "1"}, PIPELINES)
        with serving(shelf) as service:
            assert service.stub.Predict(request(RECORDS[:1], alias="knn")).version == "1"
            shelf.carried["knn"] = "2"
            wait_until(lambda: service.stub.Predict(request(RECORDS[:1], alias="knn")).version == "2")


class TestErrors:
    def test_a_bad_record_is_named_with_row_column_value_and_expectation(self, service: Service) -> None:
        code, error = refused(service, request([RECORDS[0], {**RECORDS[1], "Designation": 9, "Gender": "unknown"}]))

        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert (error.error, error.status, error.more_errors) == ("invalid_records", 3, 0)
        assert [(p.row, p.column, p.value.WhichOneof("kind"), p.expected) for p in error.errors] == [
            (1, "Gender", "text", "one of 'Female', 'Male'"),
            (1, "Designation", "number", "a whole number from 0 to 5 (level)"),
        ]
        assert (error.errors[0].value.text, error.errors[1].value.number) == ("unknown", 9)
        assert error.detail == "row 1, 'Gender': got 'unknown', expected one of 'Female', 'Male' (and 1 more)"

    @pytest.mark.parametrize("value", [nan, float("inf"), float("-inf")])
    def test_a_number_that_is_none_is_refused_and_comes_back(self, service: Service, value: float) -> None:
        code, error = refused(service, request([{**RECORDS[0], "Sleep Hours": value}]))

        assert code is grpc.StatusCode.INVALID_ARGUMENT
        np.testing.assert_equal(error.errors[0].value.number, value)

    def test_null_is_told_from_a_value_that_says_nothing(self, service: Service) -> None:
        wrong = request([{**RECORDS[0], "Sleep Hours": None}])
        wrong.records[0].values["Designation"].ClearField("number")

        _, error = refused(service, wrong)

        assert [(p.column, p.value.WhichOneof("kind"), p.HasField("value")) for p in error.errors] == [
            ("Designation", None, False),
            ("Sleep Hours", "null", True),
        ]

    def test_problems_beyond_what_clients_accept_in_metadata_are_counted(self, service: Service) -> None:
        code, error = refused(service, request([{**record, "Gender": "ß" * 2_000, "Designation": "ß" * 2_000} for record in RECORDS[:100]]))

        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert len(error.errors) >= 2
        assert len(error.errors) + error.more_errors == 200

    @pytest.mark.parametrize("size", [100, 100_000])
    def test_an_unknown_alias_is_not_found_however_long_it_is(self, service: Service, size: int) -> None:
        code, error = refused(service, request(RECORDS[:1], alias="té\n" * size))

        assert code is grpc.StatusCode.NOT_FOUND
        assert error.error == "unknown_alias"
        assert error.detail.startswith("'employees' has no alias")

    def test_an_unknown_data_set_is_not_found(self, service: Service) -> None:
        code, error = refused(service, request(RECORDS[:1], dataset="weather"))

        assert (code, error.error) == (grpc.StatusCode.NOT_FOUND, "unknown_dataset")
        assert error.detail == "There is no data set 'weather'; there are: employees."

    def test_an_alias_without_a_version_is_unavailable(self, service: Service) -> None:
        code, error = refused(service, request(RECORDS[:1], alias="lightgbm"))

        assert (code, error.error) == (grpc.StatusCode.UNAVAILABLE, "model_unavailable")
        assert "no version carries this alias yet" in error.detail

    def test_with_the_registry_away_and_nothing_loaded_the_reason_is_told(self) -> None:
        with serving(Shelf(away=True)) as service:
            code, error = refused(service, request(RECORDS[:1]))

        assert (code, error.error) == (grpc.StatusCode.UNAVAILABLE, "model_unavailable")
        assert "MLflow does not answer" in error.detail

    def test_no_records_too_many_and_both_forms_are_refused(self, service: Service) -> None:
        with serving(service.shelf, settings(grpc_max_records=3)) as strict:
            found = [refused(strict, wrong) for wrong in (pb.PredictRequest(), request(RECORDS[:4]), packed(RECORDS[:4]))]
            assert len(strict.stub.Predict(packed(RECORDS[:3])).labels) == 3

        assert {(code, error.error) for code, error in found} == {(grpc.StatusCode.INVALID_ARGUMENT, "invalid_request")}
        assert [error.detail for _, error in found] == [
            "The request has no records: send at least one of 'employees'.",
            *["The request has 4 records, more than the 3 that one message may have: send several."] * 2,
        ]

    def test_a_message_above_the_limit_is_refused_unread(self, service: Service) -> None:
        with serving(service.shelf, settings(grpc_max_message_bytes=2_000)) as strict:
            assert strict.stub.Predict(request(RECORDS[:1])).labels
            with pytest.raises(grpc.RpcError) as caught:
                strict.stub.Predict(request(RECORDS[:10]))

        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    def test_bytes_that_are_no_message_end_the_call_and_nothing_else(self, service: Service) -> None:
        call = service.channel.unary_unary(f"/{SERVICE}/Predict", request_serializer=bytes, response_deserializer=bytes)

        with pytest.raises(grpc.RpcError) as caught:
            call(b"\xff\xff\xff not a message")

        assert caught.value.code() is grpc.StatusCode.UNKNOWN  # gRPC's own answer: no handler of ours sees the call
        assert service.stub.Predict(request(RECORDS[:1])).labels

    def test_a_failure_of_ours_tells_the_log_everything_and_the_caller_nothing(
        self, service: Service, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Broken, "broken", True)

        code, error = refused(service, request(RECORDS[:1], alias="challenger"))

        assert (code, error.error) == (grpc.StatusCode.INTERNAL, "internal_error")
        assert error.detail == "The service failed; its log says why."
        assert "secret of the inside" in caplog.text
        assert "Traceback" in caplog.text

    def test_more_calls_than_may_be_open_are_refused(self, service: Service) -> None:
        with serving(service.shelf, settings(grpc_max_concurrent_calls=1)) as strict:
            Gated.wait_at_gate()
            first = strict.stub.Predict.future(packed(RECORDS[:BULK], alias="svm"))
            assert Gated.asked.wait(LIMIT_SECONDS)
            with pytest.raises(grpc.RpcError) as caught:
                strict.stub.Predict(request(RECORDS[:1]), timeout=LIMIT_SECONDS)
            Gated.gate.set()

            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert len(first.result(LIMIT_SECONDS).labels) == BULK


class TestDeadlines:
    def test_a_deadline_ends_the_call_and_what_waits_behind_it_is_never_scored(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ended: list[str] = []
        monkeypatch.setattr(Calls, "cancelled", lambda _, method, __: ended.append(method))
        Gated.wait_at_gate()
        first = service.stub.Predict.future(packed(RECORDS[:BULK], alias="svm"), timeout=3)
        assert Gated.asked.wait(LIMIT_SECONDS)
        with pytest.raises(grpc.RpcError) as behind:
            service.stub.Predict(packed(RECORDS[: BULK + 1], alias="svm"), timeout=1)
        with pytest.raises(grpc.RpcError) as caught:
            first.result(LIMIT_SECONDS)
        wait_until(lambda: len(ended) == 2)  # the server learns of it by itself, a moment after the caller
        Gated.gate.set()
        last = service.stub.Predict(packed(RECORDS[: BULK + 2], alias="svm"), timeout=LIMIT_SECONDS)

        assert {caught.value.code(), behind.value.code()} == {grpc.StatusCode.DEADLINE_EXCEEDED}
        assert len(last.labels) == BULK + 2
        assert Gated.rows == [BULK, BULK + 2]

    def test_a_bulk_request_does_not_hold_up_the_others(self, service: Service) -> None:
        Gated.wait_at_gate()
        bulk = service.stub.Predict.future(packed(RECORDS[:BULK], alias="svm"))
        assert Gated.asked.wait(LIMIT_SECONDS)

        assert service.stub.Predict(request(RECORDS[:1]), timeout=LIMIT_SECONDS).labels
        Gated.gate.set()
        assert len(bulk.result(LIMIT_SECONDS).labels) == BULK


class TestPredictStream:
    def test_each_message_has_its_answer_in_order(self, service: Service) -> None:
        sizes = [1, BULK, 2, 1]
        answers = list(service.stub.PredictStream(request(RECORDS[:size], request_id=str(number)) for number, size in enumerate(sizes)))

        assert [answer.request_id for answer in answers] == ["0", "1", "2", "3"]
        assert [len(answer.response.labels) for answer in answers] == sizes

    def test_an_answer_comes_before_the_next_message_is_sent(self, service: Service) -> None:
        answered: list[Future[None]] = [Future() for _ in range(3)]
        sent: list[int] = []

        def messages() -> Iterator[pb.PredictRequest]:
            for number in range(3):
                sent.append(number)
                yield request(RECORDS[:1])
                answered[number].result(LIMIT_SECONDS)

        for number, answer in enumerate(service.stub.PredictStream(messages())):
            assert answer.HasField("response")
            assert sent == list(range(number + 1))
            answered[number].set_result(None)

    def test_a_bad_message_is_answered_with_its_error_and_the_stream_goes_on(
        self, service: Service, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Broken, "broken", True)
        answers = list(
            service.stub.PredictStream(
                iter(
                    [
                        request([{**RECORDS[0], "Designation": 9}], request_id="bad record"),
                        request(RECORDS[:1], alias="tarot", request_id="bad alias"),
                        request(RECORDS[:1], alias="lightgbm", request_id="no version"),
                        pb.PredictRequest(request_id="empty"),
                        request(RECORDS[:1], alias="challenger", request_id="broken"),
                        request(RECORDS[:1], request_id="good"),
                    ]
                )
            )
        )

        codes = grpc.StatusCode
        assert [(a.request_id, a.error.error, a.error.status) for a in answers] == [
            ("bad record", "invalid_records", codes.INVALID_ARGUMENT.value[0]),
            ("bad alias", "unknown_alias", codes.NOT_FOUND.value[0]),
            ("no version", "model_unavailable", codes.UNAVAILABLE.value[0]),
            ("empty", "invalid_request", codes.INVALID_ARGUMENT.value[0]),
            ("broken", "internal_error", codes.INTERNAL.value[0]),
            ("good", "", 0),
        ]
        [problem] = answers[0].error.errors
        assert (problem.row, problem.column, problem.value.number) == (0, "Designation", 9)
        assert answers[-1].response.labels


class TestModels:
    def test_every_alias_is_listed_with_its_version_and_metrics(self, service: Service) -> None:
        [dataset] = service.stub.ListModels(pb.ListModelsRequest()).datasets

        assert (dataset.name, dataset.title, dataset.metric) == ("employees", EMPLOYEES.title, "macro_f1")
        listed = {alias.alias: alias for alias in dataset.aliases}
        assert list(listed) == ["knn", "svm", "lightgbm", "champion", "challenger", "canary", "previous"]
        knn = listed["knn"]
        assert (knn.version, knn.registered, knn.family, knn.run_id, knn.problem) == ("1", "1", "knn", "run-1", "")
        assert knn.metrics == {"macro_f1": 0.81}
        assert knn.since.seconds > WHEN.timestamp() - 10 * 365 * 86_400
        assert not listed["lightgbm"].HasField("version")

    def test_an_unknown_data_set_cannot_be_listed(self, service: Service) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            service.stub.ListModels(pb.ListModelsRequest(dataset="weather"))

        assert (caught.value.code(), error_in(caught.value).error) == (grpc.StatusCode.NOT_FOUND, "unknown_dataset")

    def test_the_info_of_a_model_says_what_the_registry_and_the_contract_know(self, service: Service) -> None:
        info = service.stub.ModelInfo(pb.ModelInfoRequest(alias="knn"))

        assert (info.dataset, info.alias.version, info.digest) == ("employees", "1", "0a1b")
        assert (info.created.seconds, dict(info.tags)) == (WHEN.timestamp(), {"hearth.family": "knn"})
        assert info.card == "/models/employees/1/card"
        assert tuple(info.classes) == EMPLOYEES.target.classes
        features = {feature.name: feature for feature in info.features}
        assert tuple(features) == EMPLOYEES.feature_names
        assert (features["Designation"].kind, features["Designation"].maximum, features["Designation"].unit) == ("integer", 5, "level")
        assert list(features["Gender"].categories) == ["Female", "Male"]
        assert features["Mental Fatigue Score"].nullable
        assert not features["Gender"].HasField("minimum")

    def test_while_the_registry_is_away_what_is_loaded_serves_and_is_listed(self) -> None:
        shelf = Shelf({"knn": "1"}, PIPELINES)
        with serving(shelf) as service:
            shelf.away = True
            info = service.stub.ModelInfo(pb.ModelInfoRequest(alias="knn"))

            assert (info.alias.version, dict(info.alias.metrics), info.digest) == ("1", {"macro_f1": 0.81}, "0a1b")
            assert service.stub.ListModels(pb.ListModelsRequest()).datasets[0].aliases[0].version == "1"
            assert service.stub.Predict(request(RECORDS[:1], alias="knn")).labels

    @pytest.mark.parametrize(("alias", "code"), [("tarot", grpc.StatusCode.NOT_FOUND), ("lightgbm", grpc.StatusCode.UNAVAILABLE)])
    def test_the_info_of_what_does_not_serve_is_an_error(self, service: Service, alias: str, code: grpc.StatusCode) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            service.stub.ModelInfo(pb.ModelInfoRequest(alias=alias))

        assert caught.value.code() is code


class TestStandardServices:
    def test_the_process_serves_without_models_but_the_service_does_not_until_it_has_one(self) -> None:
        shelf = Shelf({}, PIPELINES)
        with serving(shelf) as service:
            health = health_stub(service.channel)
            watch = health.Watch(HealthCheckRequest(service=SERVICE), timeout=LIMIT_SECONDS)
            seen = [next(watch).status]
            shelf.carried["svm"] = "2"
            while seen[-1] is not HealthCheckResponse.SERVING:
                seen.append(next(watch).status)

            assert health.Check(HealthCheckRequest()).status == HealthCheckResponse.SERVING
            assert HealthCheckResponse.NOT_SERVING in seen
            assert health.Check(HealthCheckRequest(service=SERVICE)).status == HealthCheckResponse.SERVING

    def test_a_process_loads_the_models_of_the_default_data_set_first(self) -> None:
        contracts = {name: EMPLOYEES.model_copy(update={"name": name}) for name in ("accounts", "employees", "heart")}
        models = follower_of(settings(api_default_dataset="employees"), contracts)

        assert list(dict.fromkeys(alias.dataset for alias in models.status().aliases)) == ["employees", "accounts", "heart"]

    def test_a_process_serves_when_the_champion_does(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hearth.serving.model_follower._FIRST_MODEL_SECONDS", 0.05)
        shelf = Shelf({"champion": "2"}, PIPELINES)
        go_on = threading.Event()
        load = shelf.load_with_example
        monkeypatch.setattr(shelf, "load_with_example", lambda version: load(version) if go_on.wait(30) else None)
        with serving(shelf, waits=False) as service:
            health = health_stub(service.channel)
            names = ("", SERVICE)
            before = [health.Check(HealthCheckRequest(service=name)).status for name in names]
            watches = [health.Watch(HealthCheckRequest(service=name), timeout=30) for name in names]
            go_on.set()
            for watch in watches:
                while next(watch).status is not HealthCheckResponse.SERVING:
                    pass

            assert before == [HealthCheckResponse.NOT_SERVING] * 2
            assert service.stub.Predict(request(RECORDS[:1])).labels

    def test_an_unknown_service_is_not_found(self, service: Service) -> None:
        with pytest.raises(grpc.RpcError) as caught:
            health_stub(service.channel).Check(HealthCheckRequest(service="weather"))

        assert caught.value.code() is grpc.StatusCode.NOT_FOUND

    def test_a_caller_that_has_no_proto_file_can_ask_for_the_interface(self, service: Service) -> None:
        reflected = ProtoReflectionDescriptorDatabase(service.channel)

        assert set(reflected.get_services()) >= {SERVICE, "inference.GRPCInferenceService", "grpc.health.v1.Health"}
        found = reflected.FindFileContainingSymbol(SERVICE)
        assert {method.name for method in found.service[0].method} == {
            "Predict",
            "PredictStream",
            "SendFeedback",
            "ListModels",
            "ModelInfo",
        }


class TestStop:
    def test_a_call_that_is_open_at_the_stop_is_answered_and_a_new_one_is_not(self) -> None:
        with serving(Shelf({"svm": "2"}, PIPELINES)) as service:
            Gated.wait_at_gate()
            channel = grpc.insecure_channel(service.address)  # that of the service is closed before the server stops
            stub = PredictionStub(channel)
            open_call = stub.Predict.future(packed(RECORDS[:BULK], alias="svm"))
            assert Gated.asked.wait(LIMIT_SECONDS)
            threading.Timer(0.3, Gated.gate.set).start()

        with channel:
            assert len(open_call.result(LIMIT_SECONDS).labels) == BULK
            with pytest.raises(grpc.RpcError) as caught:
                stub.Predict(request(RECORDS[:1]), timeout=LIMIT_SECONDS)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE

    def test_a_call_that_takes_longer_than_it_may_is_ended(self) -> None:
        with serving(Shelf({"knn": "1"}, PIPELINES), settings(grpc_grace_seconds=0.2)) as service:
            channel = grpc.insecure_channel(service.address)
            never: Future[None] = Future()
            answers = PredictionStub(channel).PredictStream(iter(never.result, None))

        # the service has stopped, though the caller has not ended its stream
        with channel, pytest.raises(grpc.RpcError):
            next(answers)
        never.set_result(None)
