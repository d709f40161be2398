"""What records turned out to be, through each door, on a real store: the same reports get the same answers."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import httpx
import pandas as pd
import pytest

from deploy.embedded import temporary_servers
from grpc_service.v1 import prediction_pb2 as pb
from hearth.client import Client, Report
from hearth.predictions import Prediction
from hearth.predictions.label_store import LabelStore
from hearth.predictions.migration import migrate
from hearth_api.app import create_app
from tests.api.running import READER_KEY, SCORER_KEY, refused, running, service_settings
from tests.grpc.service import Service, Shelf, error_in, serving, settings
from tests.support.command_line import run_command
from tests.support.models import FakeRegistry

ReportFields = Mapping[str, Any]
OBSERVED = datetime(2026, 11, 20, 8, tzinfo=UTC)
QUERY = """mutation ($reports: [FeedbackInput!]!) { sendFeedback(reports: $reports) {
  outcomes refused receipts { id row outcome dataset before error detail trace_id: traceId } } }"""
_GRAPHQL_NAMES = {"observed_at": "observedAt", "reported_by": "reportedBy"}


@dataclass(frozen=True)
class Site:
    """REST with GraphQL, and gRPC, on one store."""

    rest: httpx.Client
    grpc: Service
    store: LabelStore
    folder: Path

    def predict(self, rows: int = 1, dataset: str = "employees") -> str:
        message_id = uuid4().hex
        self.store.put(
            [
                Prediction(message_id, row, dataset, "champion", "2", "knn", 0, "Low", (0.6, 0.3, 0.1), {}, None, OBSERVED)
                for row in range(rows)
            ]
        )
        return message_id

    def truths(self, message_id: str) -> list[tuple[int, int]]:
        return [(found.row, found.truth) for found in self.store.labelled("employees") if found.message_id == message_id]

    def metric(self, door: str, outcome: str) -> float:
        lines = self.rest.get("/metrics").text.splitlines()
        wanted = f'hearth_labels_received_total{{dataset="employees",outcome="{outcome}",source="{door}"}}'
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(wanted))


@pytest.fixture(scope="module")
def site(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    url = temporary_servers.create_database(postgres_url, f"test_{uuid4().hex}")
    migrate(url)
    with ExitStack() as stack:
        rest = stack.enter_context(running(create_app(service_settings(predictions_url=url), FakeRegistry(champion="2"))))
        service = stack.enter_context(serving(Shelf(), settings(predictions_url=url)))
        store = stack.enter_context(LabelStore(url))
        yield Site(rest, service, store, tmp_path_factory.mktemp("files"))


def by_rest(site: Site, reports: Sequence[ReportFields]) -> list[ReportFields]:
    answer = site.rest.post("/feedback", json={"feedback": reports})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["receipts"])


def by_graphql(site: Site, reports: Sequence[ReportFields]) -> list[ReportFields]:
    named = [{_GRAPHQL_NAMES.get(name, name): value for name, value in report.items()} for report in reports]
    answer = site.rest.post("/graphql", json={"query": QUERY, "variables": {"reports": named}}).json()
    assert "errors" not in answer, answer
    return list(answer["data"]["sendFeedback"]["receipts"])


def by_grpc(site: Site, reports: Sequence[ReportFields]) -> list[ReportFields]:
    request = pb.SendFeedbackRequest()
    for report in reports:
        message = request.reports.add(id=report["id"], row=report.get("row", 0), dataset=report.get("dataset", ""))
        truth = report["truth"]
        message.truth.CopyFrom(pb.Value(text=truth) if isinstance(truth, str) else pb.Value(number=truth))
        message.reported_by = report.get("reported_by", "")
        if "observed_at" in report:
            message.observed_at.FromDatetime(datetime.fromisoformat(report["observed_at"]))
    response = site.grpc.stub.SendFeedback(request)
    assert sum(response.outcomes.values()) == len(reports)
    return [
        {
            "id": receipt.id,
            "row": receipt.row,
            "outcome": receipt.outcome,
            "dataset": receipt.dataset or None,
            "before": receipt.before or None,
            "error": receipt.error.error or None,
            "detail": receipt.error.detail or None,
            "trace_id": receipt.trace_id or None,
        }
        for receipt in response.receipts
    ]


def by_client(site: Site, reports: Sequence[ReportFields]) -> list[ReportFields]:
    with Client(str(site.rest.base_url)) as client:
        answer = client.send_feedback([Report(**_typed(report)) for report in reports])
    assert answer.refused == sum(receipt.outcome == "refused" for receipt in answer.receipts)
    return [receipt.model_dump() for receipt in answer.receipts]


def _typed(report: ReportFields) -> dict[str, Any]:
    return {**report, **({"observed_at": datetime.fromisoformat(report["observed_at"])} if "observed_at" in report else {})}


DOORS: dict[str, Callable[[Site, Sequence[ReportFields]], list[ReportFields]]] = {
    "rest": by_rest,
    "graphql": by_graphql,
    "grpc": by_grpc,
    "client": by_client,
}
every_door = pytest.mark.parametrize("door", DOORS)


@every_door
def test_each_report_is_answered_by_itself(site: Site, door: str) -> None:
    known, waits = site.predict(3), uuid4().hex
    moment = OBSERVED.isoformat()
    reports: list[ReportFields] = [
        {"id": known, "truth": "High", "observed_at": moment},
        {"id": known, "row": 1, "truth": 0.2, "observed_at": moment, "reported_by": "HR"},
        {"id": waits, "truth": "Low", "dataset": "employees", "observed_at": moment},
        {"id": uuid4().hex, "truth": "Low"},
        {"id": known, "row": 2, "truth": "hihg"},
        {"id": known, "row": 2, "truth": "High", "dataset": "heart"},
        {"id": known, "row": 2, "truth": "High", "observed_at": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
    ]

    first = DOORS[door](site, reports)
    assert [receipt["error"] or receipt["outcome"] for receipt in first] == [
        "joined",
        "joined",
        "waiting",
        "unknown_prediction",
        "invalid_truth",
        "invalid_feedback",
        "invalid_feedback",
    ]
    assert [(receipt["id"], receipt["row"]) for receipt in first] == [(report["id"], report.get("row", 0)) for report in reports]
    assert "'hihg', expected one of Low, Medium, High" in first[4]["detail"]
    assert "'heart', expected 'employees'" in first[5]["detail"]
    assert site.truths(known) == [(0, 2), (1, 0)]

    assert [receipt["outcome"] for receipt in DOORS[door](site, reports)[:3]] == ["same"] * 3
    later = (OBSERVED + timedelta(hours=1)).isoformat()
    [changed] = DOORS[door](site, [{"id": known, "truth": "Medium", "observed_at": later}])
    assert (changed["outcome"], changed["before"]) == ("changed", "High")
    assert site.truths(known) == [(1, 0), (0, 1)]


@every_door
def test_a_label_may_come_before_its_prediction(site: Site, door: str) -> None:
    message_id = uuid4().hex
    [receipt] = DOORS[door](site, [{"id": message_id, "truth": "High", "dataset": "employees"}])
    assert receipt["outcome"] == "waiting"
    assert site.truths(message_id) == []

    site.store.put([Prediction(message_id, 0, "employees", "champion", "2", "knn", 0, "Low", (0.6, 0.3, 0.1), {}, None, OBSERVED)])
    assert site.truths(message_id) == [(0, 2)]


def test_what_applies_to_all_reports_is_said_once(site: Site) -> None:
    body = {"feedback": [{"id": uuid4().hex, "truth": "High"}, {"id": uuid4().hex, "truth": "No disease", "dataset": "heart"}]}
    receipts = site.rest.post("/feedback", json={**body, "dataset": "employees", "reported_by": "HR"}).json()["receipts"]
    assert [(receipt["outcome"], receipt["dataset"]) for receipt in receipts] == [("waiting", "employees"), ("waiting", "heart")]


def test_a_zone_that_postgresql_does_not_take_costs_no_label(site: Site) -> None:
    message_id = site.predict(rows=2)
    far: ReportFields = {"id": message_id, "row": 1, "truth": "Low", "observed_at": "2026-11-21T08:00:00+23:59"}
    reports: list[ReportFields] = [{"id": message_id, "truth": "Low"}, far]
    assert [receipt["outcome"] for receipt in by_rest(site, reports)] == ["joined", "joined"]


def test_one_report_needs_no_list(site: Site) -> None:
    answer = site.rest.post("/feedback", json={"id": site.predict(), "truth": "High"}).json()
    assert (answer["outcomes"], answer["refused"]) == ({"joined": 1}, 0)


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("[", "is not JSON"),
        ("[]", "must be a JSON object"),
        ('{"feedback": []}', "at least one report"),
        ('{"feedback": {}}', "at least one report"),
        ('{"feedback": [{}], "data": []}', "unknown keys: 'data'"),
        ('{"feedback": [{}], "feedback": [{}]}', "twice"),
        (json.dumps({"feedback": [{}] * 51}), "more than the 50"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(site: Site, body: str, detail: str) -> None:
    assert detail in refused(site.rest.post("/feedback", content=body), 422, "invalid_body")


def test_too_many_reports_are_refused_by_each_door(site: Site) -> None:
    reports = [{"id": "x", "truth": "Low"}] * 51
    answer = site.rest.post("/graphql", json={"query": QUERY, "variables": {"reports": reports}}).json()
    assert "1 to 50 items, got 51" in answer["errors"][0]["message"]
    for count in (0, 1_001):
        with pytest.raises(grpc.RpcError) as failed:
            site.grpc.stub.SendFeedback(pb.SendFeedbackRequest(reports=[pb.Feedback(id="x")] * count))
        assert "expected 1 to 1000" in error_in(failed.value).detail


def test_received_labels_are_counted_by_door_and_outcome(site: Site) -> None:
    before = {door: site.metric(door, "joined") for door in ("rest", "graphql")}
    for door in before:
        DOORS[door](site, [{"id": site.predict(), "truth": "High"}])
    assert {door: site.metric(door, "joined") for door in before} == {door: count + 1 for door, count in before.items()}


def test_where_keys_are_required_labels_need_a_scope_of_their_own(postgres_url: str) -> None:
    url = temporary_servers.create_database(postgres_url, f"test_{uuid4().hex}")
    migrate(url)
    key = "hr-departments-secret"
    keys = f"hr:feedback:{key} scorer:predict:{SCORER_KEY} reader:read:{READER_KEY}"
    options = service_settings(predictions_url=url, api_require_key=True, api_keys=keys)
    report = {"id": "x", "truth": "High", "dataset": "employees"}
    with running(create_app(options, FakeRegistry(champion="2"))) as client, LabelStore(url) as store:
        refused(client.post("/feedback", json=report), 401, "invalid_key")
        for other in (SCORER_KEY, READER_KEY):
            refused(client.post("/feedback", json=report, headers={"X-API-Key": other}), 403, "missing_scope")
            query = {"query": QUERY, "variables": {"reports": [report]}}
            answer = client.post("/graphql", json=query, headers={"X-API-Key": other}).json()
            assert answer["errors"][0]["extensions"]["error"] == "missing_scope"
        assert client.post("/feedback", json=report, headers={"X-API-Key": key}).json()["outcomes"] == {"waiting": 1}
        refused(client.post("/predict", json={"data": [{}]}, headers={"X-API-Key": key}), 403, "missing_scope")
        with store._connection() as connection:
            assert connection.execute("SELECT reported_by, source FROM labels").fetchall() == [("hr", "rest")]


def test_a_store_that_is_away_is_said_and_nothing_is_lost() -> None:
    with running(create_app(service_settings(), FakeRegistry(champion="2"))) as client:
        refused(client.post("/feedback", json={"id": "x", "truth": "High", "dataset": "employees"}), 503, "predictions_unavailable")


def write_csv(path: Path, rows: Sequence[ReportFields], delimiter: str = ",") -> Path:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue())
    return path


def test_the_command_sends_a_file_and_lists_what_is_refused(site: Site) -> None:
    known = site.predict(2)
    rows: list[dict[str, Any]] = [
        {"id": known, "row": 0, "truth": "High", "observed_at": "2026-11-20"},
        {"id": known, "row": 1, "truth": "Hihg", "observed_at": ""},
        {"id": uuid4().hex, "row": "", "truth": 0, "observed_at": ""},
    ]
    path = write_csv(site.folder / "labels.csv", rows, ";")

    ended = run_command(
        "feedback", path, "--dataset", "employees", "--batch", 2, folder=site.folder, HEARTH_API_URL=str(site.rest.base_url)
    )

    assert ended.code == 1
    assert "3: invalid_truth: truth: got 'Hihg'" in ended.errors
    assert ended.output == f"{path}: 1 joined, 1 refused, 1 waiting.\n"
    assert site.truths(known) == [(0, 2)]


def test_the_command_reads_parquet(site: Site) -> None:
    known = site.predict(2)
    path = site.folder / "labels.parquet"
    frame = {"id": [known, known], "row": [0.0, None], "truth": ["High", "High"], "observed_at": [pd.Timestamp("2026-11-20"), pd.NaT]}
    pd.DataFrame(frame).to_parquet(path)

    ended = run_command("feedback", path, folder=site.folder, HEARTH_API_URL=str(site.rest.base_url))

    assert (ended.code, ended.output) == (0, f"{path}: 1 joined, 1 same.\n")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("labels.csv", b"id,label\na,b\n", "its columns are id, label; expected id, truth"),
        ("labels.csv", b"", "its columns are none"),
        ("labels.csv", b"id,truth\n\xff,b\n", "not a CSV file in UTF-8"),
        ("labels.parquet", b"PAR1", "not a Parquet file"),
        ("labels.xlsx", b"", "ends with .csv or .parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(site: Site, name: str, content: bytes, problem: str) -> None:
    path = site.folder / name
    path.write_bytes(content)
    ended = run_command("feedback", path, folder=site.folder, HEARTH_API_URL=str(site.rest.base_url))
    assert ended.code == 1
    assert problem in ended.errors
