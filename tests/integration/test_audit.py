"""The audit trail on a real PostgreSQL: every administrative door writes one row, nobody changes one, and none is lost in an outage."""

import logging
import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from deploy.embedded import temporary_servers
from deploy.rotation.audit_row import audited
from hearth.alerts import AlertStore
from hearth.audit import Action, Actor, AuditStore, AuditTrail, Entry, Result, acting, current_actor, new_entry, open_trail
from hearth.audit.reads import WINDOW_SECONDS, ReadTrail
from hearth.audit.store import AuditFilter
from hearth.client import ApiError, Client
from hearth.errors import AliasNotMoved, PredictionsUnavailable
from hearth.predictions import Prediction, PredictionStore
from hearth.predictions.migration import migrate
from hearth_api.app import create_app
from tests.api.running import ADMIN_KEY, AS_ADMIN, READER_KEY, running, service_settings
from tests.support.command_line import run_command
from tests.support.models import FakeRegistry
from tests.support.waiting import wait_until

ALL = AuditFilter()
ADA = Actor("key", "ada", "rest", "127.0.0.1")
AS_READER = {"X-API-Key": READER_KEY}
NASTY = "employees\0' ; DROP TABLE audit; -- \udcff" + "x" * 1_000


@pytest.fixture
def store(fresh_database: str) -> Iterator[AuditStore]:
    migrate(fresh_database)
    with AuditStore(fresh_database, max_connections=2) as store:
        yield store


@pytest.fixture
def service(store: AuditStore, fresh_database: str) -> Iterator[httpx.Client]:
    registry = FakeRegistry(champion="2", previous="1", knn="2")
    registry.tags = {number: {"hearth.gate": "passed"} for number in ("1", "2", "3")}
    with running(create_app(service_settings(predictions_url=fresh_database, api_require_key=True), registry)) as client:
        wait_until(lambda: bool(rows(store, "keys_changed")))
        yield client


def rows(store: AuditStore, action: str | None = None) -> list[Entry]:
    return store.entries(1_000, AuditFilter(action=action))


def prediction(message_id: str) -> Prediction:
    return Prediction(
        message_id=message_id,
        row=0,
        dataset="employees",
        alias="champion",
        version="2",
        family="knn",
        enqueued_at=None,
        scored_at=datetime.now(UTC),
        record={"Age": 61},
        code=0,
        label="Low",
        probabilities=(0.8, 0.1, 0.1),
    )


class TestTable:
    @pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'eve'", "DELETE FROM audit", "TRUNCATE audit"])
    def test_it_is_append_only(self, store: AuditStore, fresh_database: str, statement: str) -> None:
        store.add([new_entry(Action.PROMOTED, dataset="heart", actor=ADA)])

        with (
            psycopg.connect(fresh_database) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege, match=r"append-only") as caught,
        ):
            connection.execute(statement.encode())

        assert "docs/audit.md" in str(caught.value)
        assert [row.actor.name for row in rows(store)] == ["ada"]

    def test_an_administrator_removes_old_rows_by_the_documented_way(self, store: AuditStore, fresh_database: str) -> None:
        store.add([new_entry(Action.PROMOTED, actor=ADA)])

        with psycopg.connect(fresh_database) as connection:  # a superuser's
            connection.execute("SET session_replication_role = replica")
            connection.execute("DELETE FROM audit WHERE at < now() + interval '1 day'")

        assert rows(store) == []

    def test_a_row_that_is_written_twice_is_one(self, store: AuditStore) -> None:
        entry = new_entry(Action.PROMOTED, dataset="heart", version="7", detail={"before": {"champion": "6"}}, actor=ADA)
        store.add([entry])
        store.add([entry])

        [row] = rows(store)
        assert (row.key, row.dataset, row.version, row.detail) == (entry.key, "heart", "7", {"before": {"champion": "6"}})
        assert abs(row.at - entry.at).total_seconds() < 0.001

    def test_any_text_of_a_caller_is_stored_cut_and_whole(self, store: AuditStore) -> None:
        actor = Actor("key", "a\0\udcff", "rest", r"\u0000")
        detail = {"row\0": NASTY, r"\u0000": [r"\u0000", {"\udcff": ("\0", 1, 0.5, None, True, float("nan"))}]}
        store.add([new_entry(Action.PREDICTIONS_ERASED, subject=NASTY, detail=detail, actor=actor)])

        [row] = rows(store)
        assert row.subject.startswith("employees?' ; DROP TABLE audit")
        assert len(row.subject) == 300
        clean = NASTY.replace("\0", "?").replace("\udcff", "?")
        assert row.detail == {"row?": clean, r"\u0000": [r"\u0000", {"?": ["?", 1, 0.5, None, True, "nan"]}]}
        assert (row.actor.name, row.actor.address) == ("a??", r"\u0000")

    def test_pages_follow_each_other_whatever_is_added(self, store: AuditStore) -> None:
        for number in range(5):
            store.add([new_entry(Action.PROMOTED, version=str(number), actor=ADA)])
        first = store.entries(2, ALL)
        store.add([new_entry(Action.PROMOTED, version="9", actor=ADA)])

        second = store.entries(2, ALL, before=first[-1].id)

        assert [row.version for row in first + second] == ["4", "3", "2", "1"]

    def test_filters_choose(self, store: AuditStore) -> None:
        store.add([new_entry(Action.PROMOTED, dataset="heart", actor=ADA), new_entry(Action.ROLLED_BACK, result=Result.REFUSED, actor=ADA)])

        assert len(store.entries(9, AuditFilter(dataset="heart"))) == 1
        assert len(store.entries(9, AuditFilter(result="refused"))) == 1
        assert len(store.entries(9, AuditFilter(actor="ada"))) == 2
        assert store.entries(9, AuditFilter(until=datetime(2026, 1, 1, tzinfo=UTC))) == []

    def test_keys_are_noted_when_they_change_and_never_the_secrets(self, store: AuditStore) -> None:
        assert store.note_keys({"admin": "admin 0a", "page": "read 1b"}, ADA)
        assert not store.note_keys({"admin": "admin 0a", "page": "read 1b"}, ADA)
        assert store.note_keys({"admin": "admin 0a", "page": "read 2c", "new": "read 3d"}, ADA)

        detail = rows(store)[0].detail
        assert (detail["added"], detail["removed"], detail["changed"]) == (["new"], [], ["page"])

    def test_a_name_that_cannot_be_stored_as_it_is_changes_nothing_at_the_next_start(self, store: AuditStore) -> None:
        keys = {"page\udcff": "read " + "0a" * 300}

        assert store.note_keys(keys, ADA)
        assert not store.note_keys(keys, ADA)


class TestDoors:
    def test_every_administrative_door_writes_one_row(self, store: AuditStore, service: httpx.Client, fresh_database: str) -> None:
        with PredictionStore(fresh_database) as predictions, AlertStore(fresh_database) as alerts:
            predictions.put([prediction("m1"), prediction("m2")])
            first, second, third = (alerts.open(kind, "employees", "warning", kind).id for kind in ("drift", "quality", "late"))

        def post(path: str, json: object = None) -> httpx.Response:
            return service.post(path, json=json, headers=AS_ADMIN)

        calls: list[tuple[httpx.Response, str, str]] = [
            (post("/models/employees/promote", json={"version": "3"}), "promoted", "done"),
            (post("/models/employees/rollback"), "rolled_back", "done"),
            (post("/models/employees/promote", json={"version": "9", "to": "svm"}), "promoted", "refused"),
            (post("/models/employees/rollout/start", json={"version": "3"}), "rollout_started", "done"),
            (post("/models/employees/rollout/pause"), "rollout_changed", "done"),
            (post("/models/employees/rollout/stop"), "rollout_changed", "done"),
            (post("/models/employees/rollout/pause"), "rollout_changed", "refused"),
            (post(f"/alerts/{first}/acknowledge", json={"by": "Ada"}), "alert_acknowledged", "done"),
            (post(f"/alerts/{second}/resolve", json={"why": "over"}), "alert_resolved", "done"),
            (graphql(service, f'mutation {{ acknowledgeAlert(id: "{third}") {{ id }} }}'), "alert_acknowledged", "done"),
            (graphql(service, f'mutation {{ resolveAlert(id: "{third}") {{ id }} }}'), "alert_resolved", "done"),
            (service.delete("/predictions/m1", headers=AS_ADMIN), "predictions_erased", "done"),
            (service.delete("/predictions/unknown", headers=AS_ADMIN), "predictions_erased", "refused"),
            (service.get("/predictions?dataset=employees", headers=AS_READER), "predictions_read", "done"),
            (service.get("/predictions/m2", headers=AS_READER), "predictions_read", "done"),
            (graphql(service, "{ predictions(first: 5) { edges { node { messageId } } } }"), "predictions_read", "done"),
        ]

        found = [row for row in reversed(rows(store)) if row.action is not Action.KEYS_CHANGED]

        assert [(row.action, row.result) for row in found if not by_itself(row)] == [(action, result) for _, action, result in calls], [
            (answer.status_code, answer.text) for answer, _, _ in calls
        ]
        by_door = {row.actor.door for row in found if not by_itself(row)}
        assert by_door == {"rest", "graphql"}
        assert {(row.actor.kind, row.actor.name, row.actor.address) for row in found if not by_itself(row)} == {
            ("key", "admin", "127.0.0.1"),
            ("key", "reader", "127.0.0.1"),
        }
        assert all(row.request_id for row in found if not by_itself(row))
        promoted = found[0]
        assert (promoted.dataset, promoted.alias, promoted.version) == ("employees", "champion", "3")
        assert promoted.detail["before"] == {"champion": "2", "previous": "1"}
        read = next(row for row in found if row.action is Action.PREDICTIONS_READ)
        assert read.detail == {"filter": {"role": "answer"}, "reads": 1, "rows": 1}
        text = "\n".join(map(repr, rows(store)))
        assert ADMIN_KEY not in text
        assert READER_KEY not in text
        assert "61" not in str([row.detail for row in found])

    def test_the_trail_is_read_by_administrators_alone_and_pages_by_its_cursor(self, store: AuditStore, service: httpx.Client) -> None:
        for number in range(3):
            store.add([new_entry(Action.PROMOTED, dataset="heart", version=str(number), actor=ADA)])

        page = service.get("/audit", params={"dataset": "heart", "limit": 2}, headers=AS_ADMIN).json()
        rest = service.get(page["next"], headers=AS_ADMIN).json()

        assert [entry["version"] for entry in page["entries"] + rest["entries"]] == ["2", "1", "0"]
        assert rest["next"] is None
        assert service.get("/audit").status_code == 401
        assert service.get("/audit", headers=AS_READER).status_code == 403
        for wrong in ("action=none", "limit=0", "after=x", "since=yesterday", "actor=%00", "result=maybe"):
            assert service.get(f"/audit?{wrong}", headers=AS_ADMIN).status_code == 422, wrong

    def test_graphql_the_client_and_the_command_read_the_same(self, store: AuditStore, service: httpx.Client, tmp_path: Path) -> None:
        store.add([new_entry(Action.ROLLED_BACK, dataset="heart", version="7", detail={"before": {"champion": "8"}}, actor=ADA)])
        address = str(service.base_url)

        answer = graphql(service, '{ audit(dataset: "heart") { entries { id version detail actor } cursor } }').json()["data"]["audit"]
        with Client(address, api_key=ADMIN_KEY) as client:
            [entry] = client.audit(dataset="heart").entries
        printed = run_command("audit", "--dataset", "heart", "--url", address, "--api-key", ADMIN_KEY, folder=tmp_path)
        with Client(address, api_key=READER_KEY) as reader, pytest.raises(ApiError):
            reader.audit()

        assert answer["entries"] == [{"id": str(entry.id), "version": "7", "detail": {"before": {"champion": "8"}}, "actor": "ada"}]
        assert "rolled_back" in str(printed)
        assert "errors" in graphql(service, "{ audit { cursor } }", AS_READER).json()


def graphql(service: httpx.Client, query: str, headers: dict[str, str] | None = None) -> httpx.Response:
    return service.post("/graphql", json={"query": query}, headers=headers or AS_ADMIN)


def by_itself(row: Entry) -> bool:
    return row.actor.kind == "hearth"


class TestReads:
    def test_reads_of_a_minute_are_one_row_after_the_first(self, store: AuditStore) -> None:
        now = [0.0]
        trail = AuditTrail(store)
        reads = ReadTrail(trail.require, trail.record, lambda: now[0])

        with acting(ADA):
            for count in (10, 20, 30):
                reads.read("heart", {"alias": "champion", "source": None}, count)
        with acting(Actor("key", "eve", "rest")):
            reads.read("heart", {"alias": "champion", "source": None}, 5)
        reads.flush()
        assert [row.actor.name for row in rows(store)] == ["eve", "ada"]
        now[0] = WINDOW_SECONDS
        reads.flush()

        assert rows(store)[0].detail == {"filter": {"alias": "champion"}, "reads": 2, "rows": 50}
        assert len(rows(store)) == 3

    def test_two_first_reads_at_once_count_in_one_window(self, store: AuditStore) -> None:
        trail = AuditTrail(store)

        def require(entry: Entry) -> None:
            """Write the first row of a reader, while another begins, and one reads more."""
            trail.require(entry)
            counts, others[:] = list(others), []
            for count in counts:
                reads.read("heart", {}, count)

        reads = ReadTrail(require, trail.record)
        others = [1, 1_000]
        with acting(ADA):
            reads.read("heart", {}, 2)
        reads.flush(everything=True)

        assert sum(int(str(row.detail["rows"])) for row in rows(store)) == 1_003

    def test_nothing_is_handed_out_that_cannot_be_recorded(self) -> None:
        with AuditStore("postgresql://nobody@127.0.0.1:9/x", connect_seconds=2) as away:
            trail = AuditTrail(away)
            with pytest.raises(PredictionsUnavailable):
                trail.reads.read("heart", {}, 1)


class TestOutage:
    def test_what_was_done_while_the_store_is_away_is_in_the_log_and_later_in_the_trail(self, caplog: pytest.LogCaptureFixture) -> None:
        with temporary_servers.postgres_server() as server, AuditStore(server.url, connect_seconds=2, refuse_seconds=1) as store:
            migrate(server.url)
            server.stop(signal.SIGINT)
            with AuditTrail(store) as trail:
                trail.record(new_entry(Action.ROLLED_BACK, dataset="heart", version="7", actor=ADA))
                assert trail.waiting == 1
                server.start()
                wait_until(lambda: trail.waiting == 0)

            assert [(row.action, row.version) for row in rows(store)] == [("rolled_back", "7")]
            [line] = [found for found in caplog.records if "waits for the store" in found.getMessage()]
            assert (line.levelno, line.__dict__["dataset"]) == (logging.WARNING, "heart")
            assert '"actor": "key ada"' in line.getMessage()

    def test_rows_that_waited_are_written_in_their_order(self, store: AuditStore, monkeypatch: pytest.MonkeyPatch) -> None:
        away = [True]
        add = store.add

        def add_unless_away(entries: Any) -> None:
            if away[0]:
                raise PredictionsUnavailable("away")
            add(entries)

        monkeypatch.setattr(store, "add", add_unless_away)
        with AuditTrail(store) as trail:
            for version in ("1", "2"):
                trail.record(new_entry(Action.PROMOTED, version=version, actor=ADA))
            away[0] = False
            wait_until(lambda: trail.waiting == 0)

        assert [row.version for row in rows(store)] == ["2", "1"]

    def test_a_row_that_the_table_does_not_take_costs_itself_alone(self, store: AuditStore, caplog: pytest.LogCaptureFixture) -> None:
        trail = AuditTrail(store)
        bad = replace(new_entry(Action.PROMOTED, version="bad", actor=ADA), trace_id="\0")
        trail.record(bad)
        with pytest.raises(PredictionsUnavailable, match="does not take"):
            trail.require(bad)
        trail._waiting.extend([new_entry(Action.PROMOTED, version="1", actor=ADA), bad, new_entry(Action.PROMOTED, version="2", actor=ADA)])
        trail._write_waiting()

        assert trail.waiting == 0
        assert [row.version for row in rows(store)] == ["2", "1"]
        assert len([line for line in caplog.records if "the table does not take it" in line.getMessage()]) == 2

    def test_two_writers_at_once_take_away_what_they_wrote_and_nothing_else(
        self, store: AuditStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trail, add, late = AuditTrail(store), store.add, new_entry(Action.PROMOTED, version="late", actor=ADA)
        trail._waiting.extend(new_entry(Action.PROMOTED, version=version, actor=ADA) for version in ("1", "2"))

        def add_beside_another(entries: Sequence[Entry]) -> None:
            """Write while another writer does the same from start to end, and while one more row comes to wait."""
            monkeypatch.setattr(store, "add", add)
            trail._write_waiting()
            trail._waiting.append(late)
            add(entries)

        monkeypatch.setattr(store, "add", add_beside_another)
        trail._write_waiting()

        assert list(trail._waiting) == [late]
        assert [row.version for row in rows(store)] == ["2", "1"]


def test_a_rotation_is_a_row_with_names_and_no_value(store: AuditStore, fresh_database: str, tmp_path: Path) -> None:
    outside = {"HEARTH_PREDICTIONS_URL": fresh_database, "HEARTH_API_ADMIN_KEY": "a-new-value", "PATH": "/usr/bin:/bin"}
    for file in (".env", ".env.local"):
        (tmp_path / file).write_text("HEARTH_DATA_DIR=data\n" if file == ".env" else "")

    with audited(tmp_path, outside, ["HEARTH_API_ADMIN_KEY", "api:page"], verb="rotated", is_compose=True):
        pass
    with pytest.raises(ZeroDivisionError), audited(tmp_path, outside, ["api:page"], verb="retired", is_compose=False):
        _ = 1 / 0

    failed, done = rows(store)
    assert (done.action, done.result, done.subject) == (Action.SECRETS_ROTATED, Result.DONE, "HEARTH_API_ADMIN_KEY, api:page")
    assert (failed.action, failed.result, failed.detail) == (Action.SECRETS_RETIRED, Result.FAILED, {"names": ["api:page"]})
    assert done.actor.kind == "user"
    assert "a-new-value" not in repr(done)


def test_a_rotation_is_done_though_the_trail_is_away(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with audited(tmp_path, {"HEARTH_PREDICTIONS_URL": "postgresql://nobody@127.0.0.1:9/x"}, ["api:page"], verb="rotated", is_compose=True):
        pass

    printed = capfd.readouterr()
    assert not printed.out
    assert "api:page" in printed.err


def test_an_action_that_raises_is_recorded_by_its_error_and_without_its_text(store: AuditStore) -> None:
    from hearth.audit import Draft, recorded  # noqa: PLC0415 - beside what it is for

    trail = AuditTrail(store)
    with pytest.raises(AliasNotMoved), recorded(trail, Action.PROMOTED, Draft("heart"), ADA):
        raise AliasNotMoved("somebody's secret")
    with pytest.raises(ZeroDivisionError), recorded(trail, Action.PROMOTED, Draft("heart"), ADA):
        _ = 1 / 0

    failed, refused = rows(store)
    assert (refused.result, refused.detail) == (Result.REFUSED, {"error": "alias_not_moved"})
    assert (failed.result, failed.detail) == (Result.FAILED, {"error": "ZeroDivisionError"})


def test_a_task_and_a_user_are_named(store: AuditStore, fresh_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_trail(fresh_database) as trail:
        trail.record(new_entry(Action.BACKUP_MADE))
        for name, value in (("DAG_ID", "train_knn"), ("DAG_RUN_ID", "manual__1"), ("TASK_ID", "promote")):
            monkeypatch.setenv(f"AIRFLOW_CTX_{name}", value)
        trail.record(new_entry(Action.PROMOTED))

    task, user = rows(store)
    assert (task.actor.kind, task.actor.name, task.actor.door) == ("airflow", "train_knn/manual__1/promote", "airflow")
    assert (user.actor.kind, user.actor.door) == ("user", "command")
    assert user.actor.name
    assert current_actor().kind == "airflow"
