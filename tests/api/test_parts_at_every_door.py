"""Sets and what is unusual are the same at every door of a running Hearth; a version that does not know them says so at each."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from grpc_service.encoding import packed_message, record_message
from grpc_service.v1 import prediction_pb2 as pb
from grpc_service.v1.prediction_pb2_grpc import PredictionStub
from grpc_service.v2 import open_inference_pb2 as v2
from grpc_service.v2.open_inference_pb2_grpc import GRPCInferenceServiceStub
from hearth.cli.remote import _why_unusual
from hearth.client import Client, Conflict
from hearth.client.answers import StoredPrediction
from hearth.contracts import load_contract
from hearth.contracts.names import graphql_names
from hearth.fakes import FakeRecords
from hearth.modelling.prediction_sets import PredictionSets
from hearth.modelling.trust import Trust
from hearth.modelling.unusual_fit import fit_unusual
from hearth.predictions import Prediction
from hearth.predictions.parquet_export import write_parquet
from hearth.registry import RegisteredVersion, StoredModel
from hearth.serving.loaded_model import LoadedModel
from hearth.serving.model_follower import ModelFollower
from hearth.serving.recording.answer import Answer, describe_features
from hearth.serving.recording.messages import AnswerBatch, Stored, WriteResult
from hearth.serving.recording.request_ids import unique_id
from hearth.serving.recording.store_queue import StoreQueue
from hearth.streaming.client import Entry
from hearth.streaming.messages import encode
from hearth.streaming.worker.scoring import score
from hearth_api.app import create_app
from hearth_api.graphql_schema import builders as graphql_builders
from hearth_api.schemas import builders as rest_builders
from tests.api.running import running, service_settings
from tests.grpc.service import Service, Shelf, serving
from tests.grpc.service import settings as grpc_settings
from tests.support.fake_registry import ByDesignation, stored
from tests.support.models import DATA, FakeRegistry, employees

CONTRACT = employees()
ORDINARY = {**FakeRecords.load(CONTRACT, DATA).records(1, 5)[0], "Designation": 2}
ORDINARY = {name: ORDINARY[name] for name in CONTRACT.feature_names}
STRANGE = {**ORDINARY, "Sleep Hours": 12.0, "Team Size": 50, "Recognition Frequency": 15}
SETS = [["Low", "Medium"], ["Low", "Medium"]]  # ByDesignation gives 0.1, 0.8, 0.1; the thresholds are below
OLD = "knn"  # the alias of a version without trust
PERSONAL = {"Sleep Hours": True, "Team Size": "hash", "Gender": True}
NAME_ALONE = {"value": None, "low": None, "high": None, "share": None}
Answers = tuple[list[list[str]], list[dict[str, Any]]]


@cache
def trust(without: str = "") -> Trust:
    """Return what a version keeps of made-up rows; none of them is of the gender `without`."""
    frame = FakeRecords.load(CONTRACT, DATA).frame(3_000, 3)[list(CONTRACT.feature_names)]
    frame = frame[frame["Gender"] != without].astype(dict.fromkeys(CONTRACT.numeric_features, float))
    return Trust(PredictionSets(0.9, (0.05, 0.2, 0.2)), fit_unusual(CONTRACT, frame))


class TrustShelf(FakeRegistry):
    """The champion knows what an answer can include, the version of another alias does not."""

    known: Callable[[], Trust] = staticmethod(trust)

    def __init__(self) -> None:
        super().__init__(**{"champion": "3", OLD: "2"})

    def load_with_example(self, version: RegisteredVersion) -> StoredModel:
        loaded = super().load_with_example(version)
        return stored(self.model, loaded.example, self.known() if version.version == "3" else None)


class GrpcShelf(TrustShelf, Shelf):
    """The same for the gRPC service of the tests."""

    def __init__(self) -> None:
        Shelf.__init__(self, {"champion": "3", OLD: "2"}, {"2": ByDesignation(), "3": ByDesignation()})


@dataclass
class Doors:
    http: httpx.Client
    grpc: Service
    models: ModelFollower

    def rest(self, alias: str, include: str) -> httpx.Response:
        return self.http.post(f"/predict?model={alias}&include={include}", json={"data": [ORDINARY, STRANGE]})

    def graphql(self, alias: str, fields: str) -> Any:
        query = f'query ($records: Records!) {{ predict(records: $records, model: "{alias}") {{ predictions {{ label {fields} }} }} }}'
        answer = self.http.post(
            "/graphql", json={"query": query, "variables": {"records": {"employees": [graphql(ORDINARY), graphql(STRANGE)]}}}
        )
        return answer.json()


def graphql(record: dict[str, object]) -> dict[str, object]:
    return {graphql_names(CONTRACT.columns)[name]: value for name, value in record.items()}


@pytest.fixture(scope="module")
def doors() -> Iterator[Doors]:
    shelf = TrustShelf()
    with ExitStack() as stack:
        http = stack.enter_context(running(create_app(service_settings(), shelf)))
        service = stack.enter_context(serving(GrpcShelf()))
        models = stack.enter_context(ModelFollower(shelf, {"employees": CONTRACT}, 60))
        models.wait_until_polled(30)
        yield Doors(http, service, models)


def rest(doors: Doors) -> Answers:
    body = doors.rest("champion", "set,unusual").json()
    return body["sets"], body["unusual_records"]


def invocations(doors: Doors) -> Answers:
    body = doors.http.post("/invocations", json={"dataframe_records": [ORDINARY, STRANGE], "params": {"include": "set,unusual"}}).json()
    assert body["predictions"] == [1, 1]
    return body["sets"], body["unusual_records"]


def _tensors() -> list[dict[str, Any]]:
    return [
        {"name": name, "shape": [2], "datatype": "BYTES" if isinstance(value, str) else "FP64", "data": [value, STRANGE[name]]}
        for name, value in ORDINARY.items()
    ]


def v2_rest(doors: Doors) -> Answers:
    answer = doors.http.post("/v2/models/employees/infer", json={"inputs": _tensors(), "parameters": {"include": "set,unusual"}})
    outputs = {output["name"]: output["data"] for output in answer.json()["outputs"]}
    assert outputs["label"] == ["Medium", "Medium"]
    return [json.loads(text) for text in outputs["set"]], [json.loads(text) for text in outputs["unusual"]]


def v2_rest_outputs(doors: Doors) -> Answers:
    answer = doors.http.post("/v2/models/employees/infer", json={"inputs": _tensors(), "outputs": [{"name": "unusual"}, {"name": "set"}]})
    outputs = {output["name"]: output["data"] for output in answer.json()["outputs"]}
    assert list(outputs) == ["unusual", "set"]
    return [json.loads(text) for text in outputs["set"]], [json.loads(text) for text in outputs["unusual"]]


def v2_grpc(doors: Doors, alias: str = "") -> Answers:
    request = v2.ModelInferRequest(model_name="employees", model_version=alias)
    request.parameters["include"].string_param = "unusual,set"
    for tensor in _tensors():
        contents = v2.InferTensorContents()
        if tensor["datatype"] == "BYTES":
            contents.bytes_contents.extend(str(value).encode() for value in tensor["data"])
        else:
            contents.fp64_contents.extend(tensor["data"])
        request.inputs.add(name=tensor["name"], datatype=tensor["datatype"], shape=[2], contents=contents)
    response = GRPCInferenceServiceStub(doors.grpc.channel).ModelInfer(request, timeout=20)
    texts = {output.name: output.contents.bytes_contents for output in response.outputs}
    return [json.loads(text) for text in texts["set"]], [json.loads(text) for text in texts["unusual"]]


def _own_grpc(doors: Doors, request: pb.PredictRequest) -> Answers:
    response = PredictionStub(doors.grpc.channel).Predict(request, timeout=20)
    unusual = [
        {
            "score": one.score,
            "unusual": one.unusual,
            "columns": [
                {
                    "name": column.name,
                    "value": getattr(column.value, kind) if (kind := column.value.WhichOneof("kind")) else None,
                    **{name: getattr(column, name) if column.HasField(name) else None for name in ("low", "high", "share")},
                }
                for column in one.columns
            ],
            "combinations": [list(pair.columns) for pair in one.combinations],
        }
        for one in response.unusual
    ]
    return [[response.classes[code] for code in members.classes] for members in response.sets], unusual


def grpc_map(doors: Doors) -> Answers:
    return _own_grpc(doors, pb.PredictRequest(records=[record_message(ORDINARY), record_message(STRANGE)], include=["set", "unusual"]))


def grpc_packed(doors: Doors) -> Answers:
    return _own_grpc(doors, pb.PredictRequest(packed=packed_message([ORDINARY, STRANGE]), include=["set", "unusual"]))


def graphql_fields(doors: Doors) -> Answers:
    fields = "set unusual { score unusual columns { name value low high share } combinations }"
    rows = doors.graphql("champion", fields)["data"]["predict"]["predictions"]
    return [row["set"] for row in rows], [row["unusual"] for row in rows]


def client(doors: Doors) -> Answers:
    with Client(str(doors.http.base_url)) as caller:
        answer = caller.predict([ORDINARY, STRANGE], include=["set", "unusual"])
    assert answer.sets is not None
    assert answer.unusual_records is not None
    return [list(labels) for labels in answer.sets], [json.loads(one.model_dump_json()) for one in answer.unusual_records]


TYPED: list[Callable[[Doors], Answers]] = [
    rest,
    invocations,
    v2_rest,
    v2_rest_outputs,
    v2_grpc,
    grpc_map,
    grpc_packed,
    graphql_fields,
    client,
]


@pytest.mark.parametrize("door", TYPED, ids=lambda door: door.__name__)
def test_every_door_answers_the_same(doors: Doors, door: Callable[[Doors], Answers]) -> None:
    sets, unusual = door(doors)

    assert sets == SETS
    assert [one["unusual"] for one in unusual] == [False, True]
    assert unusual == doors.rest("champion", "unusual").json()["unusual_records"]
    seen = {column["name"]: column for column in unusual[1]["columns"]}
    assert seen.keys() >= {"Sleep Hours", "Team Size", "Recognition Frequency"}
    assert seen["Team Size"]["value"] == 50
    assert seen["Team Size"]["high"] < 50


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_files_get_columns_and_a_bad_row_stays_empty(doors: Doors, kind: str) -> None:
    rows = [ORDINARY, STRANGE, {**ORDINARY, "Team Size": -1}]
    sink = io.BytesIO()
    if kind == "csv":
        lines = io.StringIO(newline="")
        writer = csv.DictWriter(lines, ORDINARY)
        writer.writeheader()
        writer.writerows(rows)
        sink.write(lines.getvalue().encode())
    else:
        pq.write_table(pa.Table.from_pylist(rows), sink)

    answer = doors.http.post(f"/predict/{kind}?include=set,unusual&prefix=new_", content=sink.getvalue())

    assert answer.status_code == 200, answer.text
    if kind == "csv":
        table: list[dict[str, Any]] = list(csv.DictReader(io.StringIO(answer.text, newline="")))
        assert [row["new_unusual"] for row in table] == ["False", "True", ""]
    else:
        table = pq.read_table(io.BytesIO(answer.content)).to_pylist()
        assert [row["new_unusual"] for row in table] == [False, True, None]
    assert [row["new_set"] or "" for row in table] == ["Low | Medium", "Low | Medium", ""]
    assert "Team Size 50 (" in table[1]["new_unusual_values"]
    assert float(table[1]["new_unusual_score"]) > 0.99
    assert table[2]["new_error"].startswith("Team Size: ")


@pytest.fixture(scope="module")
def personal_doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    data = tmp_path_factory.mktemp("data")
    content = yaml.safe_load((DATA / "employees/contract.yaml").read_text("utf-8"))
    for name, personal in PERSONAL.items():
        content["columns"][name]["personal"] = personal
    (data / "employees").mkdir()
    (data / "employees/contract.yaml").write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    contract = load_contract("employees", data)
    shelf, grpc_shelf = TrustShelf(), GrpcShelf()
    shelf.known = grpc_shelf.known = lambda: trust(without=str(STRANGE["Gender"]))
    with ExitStack() as stack:
        http = stack.enter_context(running(create_app(service_settings(data_dir=data, predictions_hash_key="k" * 20), shelf)))
        service = stack.enter_context(serving(grpc_shelf, grpc_settings(predictions_hash_key="k" * 20), contract))
        models = stack.enter_context(ModelFollower(shelf, {"employees": contract}, 60))
        models.wait_until_polled(30)
        yield Doors(http, service, models)


class TestPersonalColumns:
    """Of them every door tells the name alone: the ends of a range, and a rare value, are somebody's."""

    @pytest.mark.parametrize("door", TYPED, ids=lambda door: door.__name__)
    def test_are_named_and_that_is_all(self, personal_doors: Doors, door: Callable[[Doors], Answers]) -> None:
        _, unusual = door(personal_doors)

        assert unusual[1]["unusual"] is True
        seen = {column.pop("name"): column for column in unusual[1]["columns"]}
        assert seen.keys() >= {*PERSONAL, "Recognition Frequency"}
        assert {name: seen[name] for name in PERSONAL} == dict.fromkeys(PERSONAL, NAME_ALONE)
        assert seen["Recognition Frequency"]["high"] < seen["Recognition Frequency"]["value"]

    def test_in_files_and_on_the_command_line_too(self, personal_doors: Doors) -> None:
        lines = io.StringIO(newline="")
        writer = csv.DictWriter(lines, ORDINARY)
        writer.writeheader()
        writer.writerow(STRANGE)

        answer = personal_doors.http.post("/predict/csv?include=unusual", content=lines.getvalue().encode())
        with Client(str(personal_doors.http.base_url)) as caller:
            [told] = caller.predict([STRANGE], include=["unusual"]).unusual_records or ()

        assert answer.status_code == 200, answer.text
        [row] = csv.DictReader(io.StringIO(answer.text, newline=""))
        for text in (row["unusual_values"], _why_unusual(told)):
            assert {"Sleep Hours", "Team Size", "Gender"} <= set(text.split("; "))
            assert "Recognition Frequency 15 (" in text


def test_what_is_not_asked_for_is_not_there(doors: Doors) -> None:
    body = doors.http.post("/predict", json={"data": [ORDINARY]}).json()
    assert not body.keys() & {"set", "sets", "unusual", "unusual_records"}
    one = doors.http.post("/predict?include=set", json={"data": [ORDINARY]}).json()
    assert (one["set"], one["sets"]) == (SETS[0], SETS[:1])
    assert not one.keys() & {"unusual", "unusual_records"}


@pytest.mark.parametrize(
    ("include", "said"),
    [("sets", "'sets'"), ("set,set", "'set' twice"), ("set,,", "''"), ("x" * 500, "xxx…'"), ("set,unusual,set,set", "'set,set'")],
)
@pytest.mark.parametrize("path", ["/predict", "/predict/csv", "/predict_stream"])
def test_what_no_answer_has_is_refused_by_name(doors: Doors, path: str, include: str, said: str) -> None:
    answer = doors.http.post(path, params={"include": include}, json={"data": [ORDINARY]})

    assert (answer.status_code, answer.json()["error"]) == (422, "invalid_request")
    assert said in answer.json()["detail"]
    assert len(answer.json()["detail"]) < 250


class TestAVersionThatDoesNotKnow:
    SAID = "Version 2 of 'employees' was trained before prediction sets were kept with a version: train again."

    @pytest.mark.parametrize("path", ["/predict", "/predict/csv", "/predict/parquet", "/predict_stream"])
    def test_rest(self, doors: Doors, path: str) -> None:
        answer = doors.http.post(path, params={"model": OLD, "include": "set"}, json={"data": [ORDINARY]})
        assert (answer.status_code, answer.json()["error"], answer.json()["detail"]) == (409, "not_kept", self.SAID)

    def test_unusual_has_a_sentence_of_its_own(self, doors: Doors) -> None:
        assert "before what is unusual was kept" in doors.rest(OLD, "unusual").json()["detail"]

    def test_invocations_and_v2(self, doors: Doors) -> None:
        params = {"model": OLD, "include": "set"}
        answer = doors.http.post("/invocations", json={"dataframe_records": [ORDINARY], "params": params})
        assert (answer.status_code, answer.json()["error"]) == (409, "not_kept")
        v2_answer = doors.http.post(
            f"/v2/models/employees/versions/{OLD}/infer", json={"inputs": _tensors(), "parameters": {"include": "set"}}
        )
        assert (v2_answer.status_code, v2_answer.json()["error"]) == (409, self.SAID)

    def test_graphql_answers_the_rest_and_one_error(self, doors: Doors) -> None:
        body = doors.graphql(OLD, "set unusual { score }")
        assert [row["label"] for row in body["data"]["predict"]["predictions"]] == ["Medium", "Medium"]
        assert [row["set"] for row in body["data"]["predict"]["predictions"]] == [None, None]
        assert [error["extensions"]["error"] for error in body["errors"]] == ["not_kept", "not_kept"]  # one a field, not one a record

    def test_grpc(self, doors: Doors) -> None:
        request = pb.PredictRequest(alias=OLD, records=[record_message(ORDINARY)], include=["set"])
        with pytest.raises(grpc.RpcError, match=r"Version 2 of 'employees'") as refused:
            PredictionStub(doors.grpc.channel).Predict(request, timeout=20)
        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        with pytest.raises(grpc.RpcError, match="trained before"):
            v2_grpc(doors, OLD)
        with pytest.raises(grpc.RpcError, match="'include' names 'x'"):
            PredictionStub(doors.grpc.channel).Predict(pb.PredictRequest(records=request.records, include=["x"] * 1_000), timeout=20)

    def test_client(self, doors: Doors) -> None:
        with Client(str(doors.http.base_url)) as caller, pytest.raises(Conflict, match="train again"):
            caller.predict(ORDINARY, model=OLD, include=["unusual"])


class TestTheStream:
    @pytest.fixture
    def model(self, doors: Doors) -> LoadedModel:
        return doors.models.get("employees", "champion")

    def test_every_prediction_is_stored_with_what_its_version_knows(self, model: LoadedModel) -> None:
        block = score(model, CONTRACT, [Entry("1-0", encode("employees", "champion", [ORDINARY, STRANGE]))]).block

        assert block.parts.unusual is not None
        assert block.parts.unusual.tolist() == [False, True]
        first, second = (line.rstrip(b"\n").split(b"\t")[-4:-1] for line in block.lines())
        assert (first[0], first[2], second[2]) == (b'{"Low","Medium"}', b"f", b"t")
        assert float(second[1]) == 1.0

    def test_a_message_that_asks_for_what_the_version_does_not_know_is_dead_alone(self, doors: Doors) -> None:
        old = doors.models.get("employees", OLD)
        fields = encode("employees", OLD, [ORDINARY])
        entries = [Entry("1-0", {**fields, b"include": b"set"}), Entry("2-0", fields), Entry("3-0", {**fields, b"include": b"all"})]

        scored = score(old, CONTRACT, entries)

        assert scored.block.message_ids == ["2-0"]
        assert [(letter.entry.id, letter.error) for letter in scored.letters] == [("1-0", "not_kept"), ("3-0", "invalid_message")]
        assert next(iter(scored.block.lines())).endswith(b"\t\\N\t\\N\t\\N\n")

    def test_a_message_of_a_version_that_knows_is_scored(self, model: LoadedModel) -> None:
        fields = {**encode("employees", "champion", [ORDINARY]), b"include": b"set,unusual"}
        scored = score(model, CONTRACT, [Entry("1-0", fields)])
        assert (len(scored.block), scored.letters) == (1, [])


class TestStoredPredictions:
    ONE = Prediction(
        "1-0", 0, "employees", "champion", "3", "knn", 1, "Medium", (0.1, 0.8, 0.1), {}, None, datetime(2026, 11, 29, tzinfo=UTC)
    )
    KNOWN = replace(ONE, label_set=("Medium", "High"), unusual_score=0.9975, is_unusual=True)

    def test_rest_and_the_client_have_what_the_version_knew_else_null(self) -> None:
        for prediction, labels, unusual in ((self.KNOWN, ["Medium", "High"], {"score": 0.9975, "unusual": True}), (self.ONE, None, None)):
            answer = rest_builders.stored_prediction({"employees": CONTRACT}, prediction)
            read = StoredPrediction.model_validate_json(answer.model_dump_json())
            assert read.set == labels
            assert (None if read.unusual is None else read.unusual.model_dump()) == unusual

    def test_graphql_has_it_too(self) -> None:
        node: Any = graphql_builders.stored_of(self.KNOWN, {"employees": CONTRACT})
        assert (node.set, node.unusual.score, node.unusual.unusual) == (["Medium", "High"], 0.9975, True)

    def test_a_parquet_export_has_columns_of_it(self, tmp_path: Path) -> None:
        write_parquet([self.KNOWN, self.ONE], tmp_path / "file.parquet", CONTRACT)
        table = pq.read_table(tmp_path / "file.parquet").select(["set", "unusual_score", "unusual"]).to_pylist()
        assert table == [
            {"set": ["Medium", "High"], "unusual_score": 0.9975, "unusual": True},
            {"set": None, "unusual_score": None, "unusual": None},
        ]


class TestWhatIsCounted:
    def test_stored_answers_are_counted_by_version_challengers_are_not(self, doors: Doors) -> None:
        class Kept:
            """A writer that has stored everything."""

            def put(self, batch: AnswerBatch, _give_up: Callable[[], bool]) -> WriteResult:
                return Stored(len(batch.rows))

            def end(self) -> None: ...

            def close(self) -> None: ...

        model = doors.models.get("employees", "champion")
        columns = model.scorer.parser.parse([ORDINARY, STRANGE])
        scores = model.scorer.score_columns(columns)
        queue = StoreQueue(Kept(), {"employees": describe_features(CONTRACT)}, 1_000, 1_000_000)
        queue.start()
        for role, rows in (("answer", None), ("challenger", None), ("answer", np.array([1]))):
            queue.add(Answer(model, columns, scores, unique_id(""), "rest", role, 1.0, rows, None))  # type: ignore[arg-type]
        queue.close(10)

        assert queue.counts().unusual == {("employees", "champion", "3", "rest"): (3, 2)}
