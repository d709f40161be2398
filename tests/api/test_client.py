"""The client for REST against a real service, and against a server that answers from a script."""

import asyncio
import dataclasses
import inspect
import json
import math
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel

import hearth_api.schemas
from deploy.embedded.temporary_servers import free_port
from hearth.client import (
    AsyncClient,
    Client,
    ClientError,
    Conflict,
    InvalidRequest,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    ServiceUnavailable,
    ServiceUnreachable,
    TooManyRequests,
    UnexpectedAnswer,
    answers,
    calls,
)
from hearth.client import feedback as feedback_calls
from hearth.client.answers import Answer
from hearth.fakes import FakeRecords
from hearth_api.app import create_app
from hearth_api.schemas import (
    admin,
    alerts,
    audit,
    data,
    drift,
    errors,
    explanations,
    feedback,
    models,
    predictions,
    quality,
    retrains,
    rollouts,
    service,
    stream,
)
from tests.api.running import ADMIN_KEY, PAGE_KEY, running, service_settings
from tests.support.models import DATA, FakeRegistry, employees, good_record

CONTRACT = employees()
RECORD = good_record(CONTRACT, Designation=4)
Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def registry() -> FakeRegistry:
    shelf = FakeRegistry(champion="2", previous="1")
    shelf.tags |= {number: {"hearth.gate": "passed"} for number in "123"} | {"4": {"hearth.gate": "refused"}}
    return shelf


@pytest.fixture(scope="module")
def url(registry: FakeRegistry) -> Iterator[str]:
    with running(create_app(service_settings(api_require_key=True), registry, {})) as client:
        yield str(client.base_url)


def asker(kind: str, url: str, **options: Any) -> Ask:
    """Return a function that calls a method of one of the two clients, opened for this call."""

    def blocking(name: str, *args: object, **kwargs: object) -> object:
        with Client(url, **options) as client:
            answer = getattr(client, name)(*args, **kwargs)
            return list(answer) if isinstance(answer, Iterator) else answer

    async def waiting(name: str, *args: object, **kwargs: object) -> object:
        async with AsyncClient(url, **options) as client:
            answer = getattr(client, name)(*args, **kwargs)
            return await answer if inspect.isawaitable(answer) else [item async for item in answer]

    return blocking if kind == "sync" else lambda *args, **kwargs: asyncio.run(waiting(*args, **kwargs))


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def ask(kind: str, url: str) -> Ask:
    return asker(kind, url, api_key=ADMIN_KEY, timeout=280)  # the first explanation waits until its code is compiled


class TestCalls:
    def test_one_record_has_one_label(self, ask: Ask) -> None:
        answer = ask("predict", RECORD, request_id="from-a-test")

        assert (answer.label, answer.labels, answer.version, answer.dataset) == ("High", ["High"], "2", "employees")
        assert answer.probability == pytest.approx(0.8)
        assert answer.request_id.startswith("from-a-test.")

    def test_several_records_of_a_named_data_set_and_alias(self, ask: Ask) -> None:
        answer = ask("predict", [RECORD, {**RECORD, "Designation": 0}], dataset="employees", model="previous")

        assert (answer.labels, answer.label, answer.version) == (["High", "Low"], None, "1")

    def test_numpy_numbers_and_missing_values_of_pandas_are_sent_as_such(self, ask: Ask) -> None:
        frame = pd.DataFrame([{**RECORD, "Designation": np.int64(4), "Mental Fatigue Score": math.nan}])

        answer = ask("predict", frame.to_dict("records"))

        assert answer.labels == ["High"]

    def test_a_value_that_json_cannot_hold_is_named_before_anything_is_sent(self, ask: Ask) -> None:
        with pytest.raises(TypeError, match=r"a record cannot hold .* of type object"):
            ask("predict", {**RECORD, "Designation": object()})

    def test_explanations(self, ask: Ask) -> None:
        answer = ask("explain", RECORD, explained_class="Low", top=2)

        [explanation] = answer.explanations
        assert (explanation.label, explanation.explained_class, len(explanation.contributions)) == ("High", "Low", 2)
        total = explanation.base_value + sum(part.contribution for part in explanation.contributions) + explanation.rest
        assert total == pytest.approx(explanation.score)

    def test_the_service_and_its_models(self, ask: Ask) -> None:
        assert ask("health").status == "ok"
        assert ask("service").default_dataset == "employees"
        assert "heart" in {summary.name for summary in ask("datasets").datasets}
        heart = ask("dataset", "heart")
        assert (heart.target, heart.columns[0].name, heart.columns[0].role) == ("target", "age", "feature")
        [of_employees] = [part for part in ask("models").datasets if part.dataset == "employees"]
        assert {info.alias: info.version for info in of_employees.aliases if info.version} == {"champion": "2", "previous": "1"}
        assert (ask("model_info").version, ask("model_info", "previous", dataset="employees").version) == ("2", "1")
        assert [version.version for version in ask("versions", "employees").versions] == ["4", "3", "2", "1"]
        assert ask("challenge", "employees") is None

    def test_a_service_that_is_not_ready_is_an_answer(self, kind: str) -> None:
        with running(create_app(service_settings(), FakeRegistry())) as client:
            readiness = asker(kind, str(client.base_url))("ready")

        assert not readiness.is_ready
        assert "mlflow" in readiness.detail
        assert not readiness.servers["mlflow"].ok

    def test_a_ready_service(self, ask: Ask) -> None:
        assert ask("ready").is_ready

    @pytest.mark.parametrize("suffix", ["csv", "parquet"])
    def test_a_file_is_scored_into_a_file(self, ask: Ask, tmp_path: Path, suffix: str) -> None:
        frame = FakeRecords.load(CONTRACT, DATA).frame(1500, 3)
        frame.loc[7, "Designation"] = 77
        source, target = tmp_path / f"in.{suffix}", tmp_path / f"out.{suffix}"
        write, read = (frame.to_csv, pd.read_csv) if suffix == "csv" else (frame.to_parquet, pd.read_parquet)
        write(source, index=False)

        report = ask("predict_file", source, target, prefix="new_")

        assert report == answers.ScoredFile(target, 1500, 1, "champion", "2", report.understood)
        assert report.understood.startswith(
            "UTF-8 text, separated by commas, decimal point; " if suffix == "csv" else "a Parquet file of 1 "
        )
        scored = read(target)
        assert len(scored) == 1500
        assert "Designation: got" in scored["new_error"][7]
        assert sorted(tmp_path.iterdir()) == [source, target]

    def test_aliases_are_moved(self, ask: Ask, registry: FakeRegistry) -> None:
        registry.carried.update(champion="2", previous="1")

        promoted = ask("promote", "employees", version="3")
        assert (promoted.alias, promoted.version, promoted.moved, promoted.by) == ("champion", "3", True, "admin")
        back = ask("roll_back", "employees")
        assert (back.version, dict(back.after)) == ("2", {"champion": "2", "previous": "3"})
        assert {alias.version for alias in ask("reload").aliases if alias.alias == "champion" and alias.dataset == "employees"} == {"2"}
        registry.carried.update(champion="2", previous="1")
        ask("reload")


class TestErrors:
    def test_what_is_wrong_with_records_is_readable_and_structured(self, ask: Ask) -> None:
        with pytest.raises(InvalidRequest) as caught:
            ask("predict", [RECORD, {**RECORD, "Designation": 9, "Gender": "x"}])

        error = caught.value
        assert (error.status, error.code, error.more_problems) == (422, "invalid_records", 0)
        assert [(problem.row, problem.column, problem.value) for problem in error.problems] == [(1, "Gender", "x"), (1, "Designation", 9)]
        assert str(error).splitlines()[0] == "invalid_records: 2 problems"
        assert "  row 1, 'Designation': got 9, expected a whole number from 0 to 5 (level)" in str(error).splitlines()
        assert error.request_id

    def test_of_many_problems_the_first_are_listed_and_all_are_counted(self, ask: Ask) -> None:
        with pytest.raises(InvalidRequest) as caught:
            ask("predict", [{}] * 50)

        error = caught.value
        assert (len(error.problems), error.more_problems) == (100, 450)
        assert str(error).splitlines()[-1] == "  and 545 more"

    @pytest.mark.parametrize(
        ("key", "name", "args", "kwargs", "expected", "code"),
        [
            (None, "predict", [RECORD], {}, NotAuthenticated, "invalid_key"),
            ("a-wrong-key-of-some-length", "predict", [RECORD], {}, NotAuthenticated, "invalid_key"),
            (PAGE_KEY, "roll_back", ["employees"], {}, NotAllowed, "missing_scope"),
            (ADMIN_KEY, "predict", [RECORD], {"dataset": "a/../b c"}, NotFound, "not_found"),
            (ADMIN_KEY, "predict", [RECORD], {"dataset": "planets"}, NotFound, "unknown_dataset"),
            (ADMIN_KEY, "predict", [RECORD], {"model": "nothing"}, NotFound, "unknown_alias"),
            (ADMIN_KEY, "promote", ["employees"], {"version": "4"}, Conflict, "alias_not_moved"),
            (ADMIN_KEY, "promote", ["employees"], {}, InvalidRequest, "invalid_request"),
            (ADMIN_KEY, "explain", [RECORD], {"explained_class": "Huge"}, InvalidRequest, "unknown_class"),
        ],
    )
    def test_a_refusal_is_an_error_of_its_kind(  # noqa: PLR0913, PLR0917 - a table
        self, kind: str, url: str, key: str | None, name: str, args: list[object], kwargs: dict[str, str], expected: type, code: str
    ) -> None:
        with pytest.raises(ClientError) as caught:
            asker(kind, url, api_key=key)(name, *args, **kwargs)

        assert (type(caught.value), getattr(caught.value, "code", "")) == (expected, code)

    def test_a_file_that_cannot_be_scored_leaves_no_file(self, ask: Ask, tmp_path: Path) -> None:
        source, target = tmp_path / "in.csv", tmp_path / "out.csv"
        source.write_text("a,b\n1,2\n", "utf-8")
        target.write_text("of yesterday", "utf-8")

        with pytest.raises(InvalidRequest, match="invalid_file"):
            ask("predict_file", source, target)

        assert (sorted(tmp_path.iterdir()), target.read_text("utf-8")) == ([source, target], "of yesterday")

    def test_a_file_that_does_not_exist(self, ask: Ask, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            ask("predict_file", tmp_path / "nothing.csv", tmp_path / "out.csv")

    def test_nobody_listens(self, kind: str) -> None:
        port = free_port()

        with pytest.raises(ServiceUnreachable, match=f"http://127.0.0.1:{port} does not answer: ") as caught:
            asker(kind, f"http://127.0.0.1:{port}/", retries=1)("predict", RECORD)

        assert not caught.value.may_have_arrived

    def test_an_address_without_a_scheme_is_refused_at_once(self, kind: str) -> None:
        with pytest.raises(ValueError, match=r"'127\.0\.0\.1:8800' is not an address such as"):
            asker(kind, "127.0.0.1:8800")("health")


@dataclass(frozen=True)
class Reply:
    """An answer of the scripted server; `drops`: it closes the connection instead; `claimed`: bytes it announces."""

    status: int = 200
    body: bytes = b'{"status": "ok"}'
    headers: dict[str, str] = field(default_factory=dict)
    drops: bool = False
    claimed: int | None = None
    delay_seconds: float = 0


@dataclass
class Script:
    url: str
    replies: list[Reply]
    requests: list[str] = field(default_factory=list)
    connections: int = 0


@contextmanager
def scripted(replies: Sequence[Reply]) -> Iterator[Script]:
    """Serve replies one after the other, the last one for ever."""
    script, end = Script("", list(replies)), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            script.connections += 1

        def _reply(self) -> None:
            script.requests.append(f"{self.command} {self.path}")
            self._read_body()
            reply = script.replies.pop(0) if len(script.replies) > 1 else script.replies[0]
            end.wait(reply.delay_seconds)
            if reply.drops:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(reply.claimed or len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)
            self.close_connection = reply.claimed is not None

        def _read_body(self) -> None:
            if self.headers.get("Transfer-Encoding") == "chunked":
                while size := int(self.rfile.readline(), 16):
                    self.rfile.read(size + 2)
                self.rfile.readline()
            else:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))

        do_GET = do_POST = _reply  # noqa: N815 - the names of the base class

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        script.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield script
        finally:
            end.set()
            server.shutdown()
            thread.join()


def refusal(status: int, code: str, **headers: str) -> Reply:
    return Reply(status, json.dumps({"error": code, "detail": "Not now.", "errors": []}).encode(), headers={"Retry-After": "0", **headers})


PREDICTED = Reply(
    body=json.dumps(
        {
            **dict.fromkeys(("prediction", "label", "probability")),
            **dict.fromkeys(("dataset", "alias", "model", "version", "model_version", "family", "request_id"), "x"),
            "predictions": [],
            "labels": [],
            "probabilities": [],
            "n_samples": 0,
        }
    ).encode()
)
MOVED = Reply(
    body=json.dumps(
        {
            **dict.fromkeys(("dataset", "alias", "version", "family", "gate", "serving", "by"), "x"),
            "moved": True,
            "before": {},
            "after": {},
        }
    ).encode()
)
DROPPED = Reply(drops=True)


class TestRepeats:
    """What is sent again, and what is not."""

    @pytest.mark.parametrize(
        "failure", [DROPPED, refusal(503, "registry_unavailable"), refusal(429, "too_many_requests"), Reply(502, b"<html>")]
    )
    def test_a_read_is_sent_again(self, kind: str, failure: Reply) -> None:
        with scripted([failure, failure, Reply()]) as script:
            assert asker(kind, script.url, retries=2)("health").status == "ok"

        assert script.requests == ["GET /health"] * 3

    def test_a_read_that_fails_for_good_raises_after_the_retries(self, kind: str) -> None:
        with scripted([refusal(503, "registry_unavailable")]) as script, pytest.raises(ServiceUnavailable):
            asker(kind, script.url, retries=2)("models")

        assert len(script.requests) == 3

    @pytest.mark.parametrize("code", ["too_many_requests", "too_busy"])
    def test_a_prediction_that_was_refused_before_it_was_scored_is_sent_again(self, kind: str, code: str) -> None:
        with scripted([refusal(429, code), PREDICTED]) as script:
            asker(kind, script.url)("predict", RECORD)

        assert len(script.requests) == 2

    @pytest.mark.parametrize("failure", [DROPPED, Reply(502, b"<html>"), Reply(503, b"of a proxy"), refusal(500, "internal_error")])
    @pytest.mark.parametrize("name", ["predict", "predict_stream"])
    def test_records_that_may_have_been_stored_or_queued_are_not_sent_again(self, kind: str, failure: Reply, name: str) -> None:
        with scripted([failure, PREDICTED]) as script, pytest.raises(ClientError):
            asker(kind, script.url)(name, RECORD)

        assert len(script.requests) == 1

    def test_messages_that_the_stream_may_have_taken_are_not_queued_again(self, kind: str) -> None:
        with scripted([refusal(503, "stream_unavailable")]) as script, pytest.raises(ServiceUnavailable):
            asker(kind, script.url)("predict_stream", RECORD)

        assert len(script.requests) == 1

    def test_a_full_stream_is_tried_again_and_then_an_error(self, kind: str) -> None:
        with scripted([refusal(429, "stream_full")]) as script, pytest.raises(TooManyRequests, match="stream_full"):
            asker(kind, script.url, retries=1)("predict_stream", RECORD)

        assert len(script.requests) == 2

    @pytest.mark.parametrize("failure", [DROPPED, refusal(503, "registry_unavailable"), refusal(429, "too_many_requests")])
    @pytest.mark.parametrize(("name", "kwargs"), [("promote", {"version": "3"}), ("roll_back", {})])
    def test_an_alias_is_never_moved_again(self, kind: str, failure: Reply, name: str, kwargs: dict[str, str]) -> None:
        with scripted([failure, MOVED]) as script, pytest.raises(ClientError):
            asker(kind, script.url, retries=5)(name, "employees", **kwargs)

        assert len(script.requests) == 1

    def test_a_longer_wait_than_allowed_is_not_waited_for(self, kind: str) -> None:
        with scripted([refusal(429, "too_many_requests", **{"Retry-After": "3600"})]) as script, pytest.raises(TooManyRequests) as caught:
            asker(kind, script.url, max_wait_seconds=30)("models")

        assert (len(script.requests), caught.value.retry_seconds) == (1, 3600)

    def test_an_upload_that_was_refused_is_read_from_its_start_again(self, kind: str, tmp_path: Path) -> None:
        (tmp_path / "in.csv").write_bytes(b"a\n" + b"1\n" * 100_000)
        headers = {"X-Rows": "2", "X-Rows-Refused": "0", "X-Model-Alias": "champion", "X-Model-Version": "7"}
        with scripted([refusal(429, "too_busy"), Reply(body=b"scored", headers=headers)]) as script:
            report = asker(kind, script.url)("predict_file", tmp_path / "in.csv", tmp_path / "out.csv")

        assert (len(script.requests), report.version, report.path.read_bytes()) == (2, "7", b"scored")

    def test_an_answer_that_is_cut_off_leaves_no_file(self, kind: str, tmp_path: Path) -> None:
        (tmp_path / "in.csv").write_text("a\n1\n", "utf-8")
        with scripted([Reply(body=b"half", claimed=100)]) as script, pytest.raises(ServiceUnreachable) as caught:
            asker(kind, script.url)("predict_file", tmp_path / "in.csv", tmp_path / "out.csv")

        assert caught.value.may_have_arrived
        assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]

    def test_silence_ends_after_the_time_limit(self, kind: str) -> None:
        with scripted([Reply(delay_seconds=60)]) as script, pytest.raises(ServiceUnreachable, match="does not answer: "):
            asker(kind, script.url, timeout=0.2)("health")

        assert len(script.requests) == 1

    @pytest.mark.parametrize("reply", [Reply(body=b"<html>"), Reply(404, b"<html>"), Reply(body=b"{}"), Reply(302, b"")])
    def test_an_answer_of_another_service_is_named_as_such(self, kind: str, reply: Reply) -> None:
        with scripted([reply]) as script, pytest.raises(UnexpectedAnswer, match=rf"GET {script.url}/health answered {reply.status}, and "):
            asker(kind, script.url)("health")


def test_the_connection_is_used_again() -> None:
    with scripted([Reply()]) as script, Client(script.url) as client:
        for _ in range(5):
            client.health()

    assert (len(script.requests), script.connections) == (5, 1)


MAKERS = {"post", "json_body"}  # what calls are made with


def test_both_clients_have_every_call_with_its_signature_and_docstring() -> None:
    described = [
        value
        for module in (calls, feedback_calls)
        for name, value in vars(module).items()
        if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_") and name not in MAKERS
    ]

    assert len(described) == 38
    for call in described:
        for client in (Client, AsyncClient):
            method = getattr(client, call.__name__)
            assert method.__doc__ == call.__doc__
            assert list(inspect.signature(method).parameters)[1:] == list(inspect.signature(call).parameters)


MODULES = (
    admin,
    alerts,
    audit,
    data,
    drift,
    errors,
    explanations,
    feedback,
    models,
    predictions,
    quality,
    retrains,
    rollouts,
    service,
    stream,
)
SERVED = {
    name: model
    for module in MODULES
    for name, model in vars(module).items()
    if isinstance(model, type) and issubclass(model, BaseModel) and model.__module__.startswith(hearth_api.schemas.__name__)
}
OTHER_NAMES = {
    "Drift": "DriftInfo",
    "SecondOpinion": "SecondOpinionInfo",
    "Predictions": "PredictionAnswer",
    "UnusualColumn": "UnusualColumnAnswer",
    "Unusual": "UnusualAnswer",
    "Contribution": "ContributionAnswer",
    "Explanation": "ExplanationAnswer",
    "Receipt": "ReceiptInfo",
    "Retrain": "RetrainInfo",
    "TrainedOn": "TrainedOnInfo",
    "Erasure": "ErasureInfo",
    "Explanations": "ExplainAnswer",
    "PairedQuality": "PairedInfo",
    "Rollouts": "RolloutList",
    **{
        name: f"{name}Info"
        for name in (
            *("Interval", "Measured", "Coverage", "QualityPart", "Evidence", "VersionQuality", "Quality", "PastQuality"),
            *("Retrain", "TrainedOn", "Erasure", "Rollout", "RolloutEvent"),
        )
    },
}


ANSWERS = [value for value in vars(answers).values() if isinstance(value, type) and issubclass(value, Answer) and value is not Answer]


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_has_the_fields_that_the_service_sends(answer: type[Answer]) -> None:
    fields = set(answer.model_fields)
    if answer is answers.Readiness:
        assert fields == set(SERVED["NotReady"].model_fields) - {"error", "errors"}
    else:
        assert fields == set(SERVED[OTHER_NAMES.get(answer.__name__, answer.__name__)].model_fields)


def test_every_route_has_a_call() -> None:
    app = create_app(service_settings(), FakeRegistry())
    paths = {
        path for path in app.openapi()["paths"] if not any(path.startswith(f"/{name}/") for name in ("employees", "heart", "covertype"))
    }

    reached = {
        "/", "/health", "/ready", "/datasets", "/datasets/{name}", "/models", "/models/{dataset}/versions", "/model-info", "/predict",
        "/explain", "/datasets/{dataset}/data", "/datasets/{dataset}/samples",
        "/predict/csv", "/predict/parquet", "/predict_stream", "/predictions", "/predictions/{message_id}", "/stream", "/model/reload",
        "/drift/{dataset}", "/drift/{dataset}/history", "/quality/{dataset}", "/quality/{dataset}/history", "/feedback",
        "/audit", "/alerts", "/alerts/{alert_id}", "/alerts/{alert_id}/acknowledge", "/alerts/{alert_id}/resolve",
        "/models/{dataset}/rollout/start", "/models/{dataset}/rollout/{action}", "/rollouts/{dataset}", "/retrains/{dataset}",
        "/models/{dataset}/promote", "/models/{dataset}/rollback", "/models/{dataset}/{version}/card",
    }  # fmt: skip
    other_names = {"/{dataset}/model-info"}
    other_protocols = {"/metrics", "/invocations", "/ping", "/version", "/api/v2/alerts"}
    assert {path for path in paths if not path.startswith("/v2")} - other_names == reached | other_protocols


def test_it_imports_neither_pandas_nor_mlflow_nor_the_service() -> None:
    heavy = ["pandas", "numpy", "sklearn", "mlflow", "pyarrow", "boto3", "redis", "fastapi", "hearth.settings", "hearth.contracts"]
    program = f"import sys, hearth.client; print([name for name in {heavy} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert done.stdout.strip() == "[]"


def test_values_of_an_answer_cannot_be_changed() -> None:
    health = answers.Health(status="ok")

    with pytest.raises(ValueError, match="frozen"):
        health.status = "ill"  # type: ignore[misc]  # that is the test
    assert dataclasses.is_dataclass(answers.ScoredFile)
