"""What the monitor has found, over REST, GraphQL, metrics, the client and the command line, from a real store."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import psycopg
import pytest

from hearth.client import ApiError, Client
from hearth.contracts import load_contract
from hearth.monitoring.check import DriftCheck, Level
from hearth.monitoring.window import Position
from hearth.predictions.drift_store import DriftStore
from hearth.predictions.migration import migrate
from hearth.serving.drift_follower import DriftFollower
from hearth_api.app import create_app
from tests.api.running import READER_KEY, SCORER_KEY, refused, running, service_settings
from tests.support.command_line import run_command
from tests.support.drift_checks import made_check
from tests.support.models import FakeRegistry
from tests.support.served_records import store_answers
from tests.support.waiting import wait_until

CONTRACT = load_contract("employees", Path(__file__).parents[2] / "data")
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def make_check(moment: datetime, moved: float = 0.0) -> DriftCheck:
    return made_check(CONTRACT, moment, "Sleep Hours", moved)


@pytest.fixture
def store(fresh_database: str) -> Iterator[DriftStore]:
    migrate(fresh_database)
    with DriftStore(fresh_database) as store:
        yield store


@pytest.fixture
def client(store: DriftStore, fresh_database: str) -> Iterator[httpx.Client]:
    store.ping()
    with running(create_app(service_settings(predictions_url=fresh_database), FakeRegistry(champion="2"))) as client:
        yield client


def test_before_the_first_check_there_is_a_clear_answer(client: httpx.Client) -> None:
    assert "hearth monitor" in refused(client.get("/drift/employees"), 404, "no_drift_check")
    refused(client.get("/drift/nothing"), 404, "unknown_dataset")
    assert client.get("/drift/employees/history").json() == {"dataset": "employees", "checks": []}
    assert client.post("/graphql", json={"query": "{ drift { level } driftHistory { level } }"}).json()["data"] == {
        "drift": None,
        "driftHistory": [],
    }


def test_the_newest_check_is_answered_by_every_door_alike(store: DriftStore, client: httpx.Client, tmp_path: Path) -> None:
    store.write_check(make_check(NOON - timedelta(minutes=5)))
    newest = make_check(NOON, 0.7)
    store.write_check(newest)
    store.write_check(newest)  # as a task that is run again does

    found = client.get("/drift/employees").json()
    assert (found["level"], found["version"], found["records"]) == ("drift", "2", 1_000)
    moved = found["columns"][0]
    assert moved["name"] == "Sleep Hours"
    for side in ("reference", "now"):
        assert sum(bin_[side] for bin_ in moved["bins"]) == pytest.approx(1)
    assert client.get("/drift/employees", params={"at": "2026-11-29T11:57:00Z"}).json()["level"] == "ok"

    history = client.get("/drift/employees/history").json()["checks"]
    assert [check_["level"] for check_ in history] == ["ok", "drift"]
    assert {column["level"] for column in history[1]["columns"] if column["name"] == "Sleep Hours"} == {"drift"}
    assert len(client.get("/drift/employees/history", params={"limit": 1}).json()["checks"]) == 1

    fields = "level columns { name bins { name reference now } } quality { value }"
    query = f'{{ drift(dataset: "employees") {{ {fields} }} driftHistory(last: 9) {{ level }} }}'
    told = client.post("/graphql", json={"query": query}).json()["data"]
    assert told["drift"]["columns"][0]["bins"] == moved["bins"]
    assert told["drift"]["quality"]["value"] == found["quality"]["value"]
    assert [check_["level"] for check_ in told["driftHistory"]] == ["ok", "drift"]

    with Client(str(client.base_url)) as own:
        assert own.drift("employees").model_dump(mode="json") == found
        assert own.drift("employees", at=NOON - timedelta(minutes=3)).level == "ok"
        assert [check_.level for check_ in own.drift_history("employees", limit=5).checks] == ["ok", "drift"]
        with pytest.raises(ApiError, match="There is no check"):
            own.drift("heart")

    printed = run_command("drift", "employees", "--url", client.base_url, folder=tmp_path)
    assert printed.code == 0
    assert "Sleep Hours" in printed.output
    listed = run_command("drift", "employees", "--history", "5", "--json", "--url", client.base_url, folder=tmp_path)
    assert [check_["level"] for check_ in json.loads(listed.output)["checks"]] == ["ok", "drift"]


def test_a_check_that_this_release_cannot_read_is_left_out_and_the_next_one_takes_its_place(
    store: DriftStore, client: httpx.Client, fresh_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.write_check(make_check(NOON))
    with psycopg.connect(fresh_database, autocommit=True) as other_release:
        other_release.execute("""UPDATE drift_checks SET detail = detail - 'records' || '{"level": "unheard of"}'""")
    with DriftFollower(store, poll_seconds=0.05) as follower:
        wait_until(lambda: "cannot read it" in caplog.text)
        assert "hearth monitor" in refused(client.get("/drift/employees"), 404, "no_drift_check")
        assert client.post("/graphql", json={"query": "{ drift { level } }"}).json()["data"] == {"drift": None}
        assert client.get("/drift/employees/history").json()["checks"] == []
        assert (store.check_at("employees"), store.checks("employees", 5), store.newest_checks()) == (None, [], [])

        store.write_check(make_check(NOON + timedelta(minutes=5), 0.7))
        wait_until(lambda: bool(follower.checks()))
    assert client.get("/drift/employees").json()["level"] == "drift"


def test_the_cursor_of_a_check_leads_to_the_records_of_its_window(store: DriftStore, client: httpx.Client) -> None:
    own = np.full((5, 3), 1 / 3)
    store_answers(store, CONTRACT, "2", [{"Team Size": size} for size in range(5)], own, NOON)
    store_answers(store, CONTRACT, "2", [{"Team Size": 99}], own[:1], NOON + timedelta(minutes=1))  # after the window
    answers = store.newest_answers("employees", "2", 6, NOON - timedelta(days=1))
    last = answers[4]
    found = make_check(NOON)
    place = Position(last.scored_at, last.message_id, last.row)
    store.write_check(DriftCheck(**{**vars(found), "last": place}))

    cursor = client.get("/drift/employees").json()["cursor"]
    page = client.get("/predictions", params={"after": cursor, "dataset": "employees"}).json()["predictions"]
    assert [entry["record"]["Team Size"] for entry in page] == [4, 3, 2, 1, 0]


def test_gauges_are_of_the_newest_check(store: DriftStore, fresh_database: str) -> None:
    store.write_check(make_check(NOON, 0.7))
    with running(create_app(service_settings(predictions_url=fresh_database), FakeRegistry(champion="2"))) as client:
        wait_until(lambda: "hearth_drift_level{" in client.get("/metrics").text)
        text = client.get("/metrics").text
    assert 'hearth_drift_level{dataset="employees",version="2"} 2.0' in text
    assert 'hearth_drift_column_level{column="Sleep Hours",dataset="employees",version="2"} 2.0' in text
    assert 'hearth_drift_records{dataset="employees",version="2"} 1000.0' in text


def test_a_store_that_is_away_costs_an_answer_and_no_metrics() -> None:
    with running(create_app(service_settings(), FakeRegistry(champion="2"))) as client:
        refused(client.get("/drift/employees"), 503, "predictions_unavailable")
        assert client.get("/metrics").status_code == 200


def test_what_was_found_is_read_with_the_scope_of_what_is_stored(store: DriftStore, fresh_database: str) -> None:
    store.write_check(make_check(NOON))
    settings = service_settings(predictions_url=fresh_database, api_require_key=True)
    with running(create_app(settings, FakeRegistry(champion="2"))) as client:
        assert client.get("/drift/employees").status_code == 401
        assert client.get("/drift/employees", headers={"X-API-Key": SCORER_KEY}).status_code == 403
        assert client.get("/drift/employees", headers={"X-API-Key": READER_KEY}).status_code == 200


def test_checks_are_kept_for_a_while_with_their_columns_and_levels_round_trip(store: DriftStore) -> None:
    store.write_check(make_check(NOON - timedelta(days=100)))
    newest = make_check(NOON, 0.7)
    store.write_check(newest)
    assert [past.checked_at for past in store.history("employees", 10)] == [NOON]
    assert store.checks("employees", 10) == [newest]
    assert store.newest_checks() == [newest]
    assert {Level(column.level) for column in store.history("employees", 1)[0].columns} == {Level.OK, Level.DRIFT}
