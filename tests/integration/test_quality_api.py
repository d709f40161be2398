"""What labels show, over REST, GraphQL, metrics, the client and the command line, from a real store."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psycopg
import pytest

from hearth.client import ApiError, Client
from hearth.contracts import load_contract
from hearth.predictions.migration import migrate
from hearth.predictions.quality_store import QualityStore
from hearth.serving.quality_follower import QualityFollower
from hearth_api.app import create_app
from tests.api.running import READER_KEY, SCORER_KEY, refused, running, service_settings
from tests.support.command_line import run_command
from tests.support.models import FakeRegistry
from tests.support.quality_checks import made_quality, without_labels
from tests.support.waiting import wait_until

CONTRACT = load_contract("employees", Path(__file__).parents[2] / "data")
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


@pytest.fixture
def store(fresh_database: str) -> Iterator[QualityStore]:
    migrate(fresh_database)
    with QualityStore(fresh_database) as store:
        yield store


@pytest.fixture
def client(store: QualityStore, fresh_database: str) -> Iterator[httpx.Client]:
    store.ping()
    with running(create_app(service_settings(predictions_url=fresh_database), FakeRegistry(champion="2"))) as client:
        yield client


def test_before_the_first_check_there_is_a_clear_answer(client: httpx.Client) -> None:
    assert "hearth monitor" in refused(client.get("/quality/employees"), 404, "no_quality_check")
    refused(client.get("/quality/nothing"), 404, "unknown_dataset")
    assert client.get("/quality/employees/history").json() == {"dataset": "employees", "checks": []}
    answer = client.post("/graphql", json={"query": "{ quality { level } qualityHistory { level } }"}).json()
    assert answer["data"] == {"quality": None, "qualityHistory": []}


def test_the_newest_check_is_answered_by_every_door_alike(store: QualityStore, client: httpx.Client, tmp_path: Path) -> None:
    store.write_check(made_quality(CONTRACT, NOON - timedelta(minutes=5)))
    newest = made_quality(CONTRACT, NOON, 0.25)
    store.write_check(newest)
    store.write_check(newest)  # as a task that is run again does

    found = client.get("/quality/employees").json()
    assert (found["level"], found["version"], found["labels"], found["delay_seconds"]) == ("fallen", "2", 900, 5_400)
    champion, challenger = found["versions"]
    assert (champion["subject"], challenger["subject"]) == ("champion", "challenger")
    assert sum(map(sum, champion["measured"]["confusion"])) == 900
    assert champion["measured"]["metric"]["low"] < champion["measured"]["metric"]["figure"] < champion["measured"]["metric"]["high"]
    assert champion["coverage"] == {"predictions": 1_200, "labelled": 900, "share": 0.75}
    assert [part["name"] for part in champion["days"]] == ["2026-11-27", "2026-11-28", "2026-11-29"]
    assert [(part["column"], part["name"]) for part in champion["groups"]] == [("Gender", "Female"), ("Gender", "Male")]
    assert champion["groups"][1]["measured"]["metric"] is None
    assert champion["evidence"]["value"] == 4_000
    assert found["paired"]["metric"]["low"] > 0
    assert client.get("/quality/employees", params={"at": "2026-11-29T11:57:00Z"}).json()["level"] == "ok"

    history = client.get("/quality/employees/history").json()["checks"]
    assert [check["level"] for check in history] == ["ok", "fallen"]
    assert history[1]["figure"] == champion["measured"]["metric"]["figure"]
    assert (history[1]["evidence"], history[1]["threshold"]) == (4_000, 50)
    assert len(client.get("/quality/employees/history", params={"limit": 1}).json()["checks"]) == 1

    fields = "level versions { subject measured { confusion metric { figure } } days { name coverage { share } } } paired { rows }"
    query = f'{{ quality(dataset: "employees") {{ {fields} }} qualityHistory(last: 9) {{ level figure }} }}'
    answer = client.post("/graphql", json={"query": query}).json()["data"]
    assert answer["quality"]["versions"][0]["measured"]["confusion"] == champion["measured"]["confusion"]
    assert answer["quality"]["versions"][0]["days"][0]["coverage"]["share"] == champion["days"][0]["coverage"]["share"]
    assert [check["level"] for check in answer["qualityHistory"]] == ["ok", "fallen"]

    with Client(str(client.base_url)) as own:
        assert own.quality("employees").model_dump(mode="json") == found
        assert own.quality("employees", at=NOON - timedelta(minutes=3)).level == "ok"
        assert [check.level for check in own.quality_history("employees", limit=5).checks] == ["ok", "fallen"]
        with pytest.raises(ApiError, match="was not measured yet"):
            own.quality("heart")

    printed = run_command("quality", "employees", "--url", client.base_url, folder=tmp_path)
    assert printed.code == 0
    assert "challenger 3 less champion 2 on the same 900 records" in printed.output
    by_group = run_command("quality", "employees", "--by", "group", "--url", client.base_url, folder=tmp_path)
    assert "Gender: Female" in by_group.output
    listed = run_command("quality", "employees", "--history", "5", "--json", "--url", client.base_url, folder=tmp_path)
    assert [check["level"] for check in json.loads(listed.output)["checks"]] == ["ok", "fallen"]
    wrong = run_command("quality", "employees", "--by", "week", "--url", client.base_url, folder=tmp_path)
    assert wrong.code == 2
    assert "expected day, group or alias" in wrong.errors


def test_a_check_without_a_label_is_answered(store: QualityStore, client: httpx.Client, tmp_path: Path) -> None:
    store.write_check(without_labels(CONTRACT))
    found = client.get("/quality/employees").json()
    assert found["summary"] == "0 labels of version 2: not enough, 100 are needed."
    assert found["versions"][0]["measured"]["metric"] is None
    assert client.get("/quality/employees/history").json()["checks"][0]["figure"] is None
    assert run_command("quality", "employees", "--url", client.base_url, folder=tmp_path).code == 0


def test_a_check_that_this_release_cannot_read_is_left_out(
    store: QualityStore, client: httpx.Client, fresh_database: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.write_check(made_quality(CONTRACT, NOON))
    with psycopg.connect(fresh_database, autocommit=True) as other_release:
        other_release.execute("""UPDATE quality_checks SET detail = detail - 'labels' || '{"level": "unheard of"}'""")
    with QualityFollower(store, poll_seconds=0.05) as follower:
        wait_until(lambda: "a stored check of quality is left out" in caplog.text)
        assert "hearth monitor" in refused(client.get("/quality/employees"), 404, "no_quality_check")
        assert client.get("/quality/employees/history").json()["checks"] == []
        store.write_check(made_quality(CONTRACT, NOON + timedelta(minutes=5)))
        wait_until(lambda: bool(follower.checks()))


def test_gauges_are_of_the_newest_check(store: QualityStore, fresh_database: str) -> None:
    store.write_check(made_quality(CONTRACT, NOON, 0.25))
    with running(create_app(service_settings(predictions_url=fresh_database), FakeRegistry(champion="2"))) as client:
        wait_until(lambda: "hearth_quality_level{" in client.get("/metrics").text)
        text = client.get("/metrics").text
    names = 'dataset="employees",subject="champion",version="2"'
    assert 'hearth_quality_level{dataset="employees",version="2"} 1.0' in text
    assert f"hearth_quality_coverage{{{names}}} 0.75" in text
    assert f"hearth_quality_evidence{{{names}}} 4000.0" in text
    assert f"hearth_quality_evidence_threshold{{{names}}} 50.0" in text
    assert 'hearth_quality_low{dataset="employees",metric="macro_f1",subject="champion",version="2"}' in text


def test_a_store_that_is_away_costs_an_answer_and_no_metrics() -> None:
    with running(create_app(service_settings(), FakeRegistry(champion="2"))) as client:
        refused(client.get("/quality/employees"), 503, "predictions_unavailable")
        assert client.get("/metrics").status_code == 200


def test_quality_is_read_with_the_scope_of_what_is_stored(store: QualityStore, fresh_database: str) -> None:
    store.write_check(made_quality(CONTRACT, NOON))
    settings = service_settings(predictions_url=fresh_database, api_require_key=True)
    with running(create_app(settings, FakeRegistry(champion="2"))) as client:
        assert client.get("/quality/employees").status_code == 401
        assert client.get("/quality/employees", headers={"X-API-Key": SCORER_KEY}).status_code == 403
        assert client.get("/quality/employees", headers={"X-API-Key": READER_KEY}).status_code == 200


def test_checks_are_kept_for_a_while(store: QualityStore) -> None:
    store.write_check(made_quality(CONTRACT, NOON - timedelta(days=100)))
    newest = made_quality(CONTRACT, NOON, 0.25)
    store.write_check(newest)
    assert [past.checked_at for past in store.history("employees", 10)] == [NOON]
    assert store.newest_checks() == [newest]
