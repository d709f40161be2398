"""Alerts over REST, GraphQL, metrics, the client and the command line, from a real store; and as Prometheus posts them."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from hearth.alerts import AlertStore, State
from hearth.alerts import prometheus as reports
from hearth.client import ApiError, Client
from hearth.client.errors import Conflict
from hearth.predictions.migration import migrate
from hearth_api.app import create_app
from tests.api.running import ADMIN_KEY, AS_ADMIN, READER_KEY, SCORER_KEY, refused, running, service_settings
from tests.support.alert_receivers import webhook_server
from tests.support.command_line import run_command
from tests.support.models import FakeRegistry
from tests.support.waiting import wait_until

WATCHER_KEY = "prometheus-long-secret"
AS_READER, AS_SCORER, AS_WATCHER = ({"X-API-Key": READER_KEY}, {"X-API-Key": SCORER_KEY}, {"Authorization": f"Bearer {WATCHER_KEY}"})
KEYS = f"scorer:predict:{SCORER_KEY} reader:read:{READER_KEY} prometheus:alert:{WATCHER_KEY}"
DOOR = "/api/v2/alerts"


@pytest.fixture
def store(fresh_database: str) -> Iterator[AlertStore]:
    migrate(fresh_database)
    with AlertStore(fresh_database) as store:
        yield store


@pytest.fixture
def client(store: AlertStore, fresh_database: str) -> Iterator[httpx.Client]:
    store.ping()
    with running(create_app(service_settings(predictions_url=fresh_database), FakeRegistry(champion="2"))) as client:
        yield client


def graphql(client: httpx.Client, query: str, headers: dict[str, str] | None = None, **variables: Any) -> Any:
    return client.post("/graphql", json={"query": query, "variables": variables}, headers=headers or {}).json()


def firing(name: str, *, ends: timedelta = timedelta(minutes=4), **labels: str) -> dict[str, Any]:
    """An alert as Prometheus posts it."""
    now = datetime.now(UTC)
    return {
        "annotations": {"summary": f"{name} fires", "runbook_url": "https://example.org/runbooks"},
        "startsAt": (now - timedelta(minutes=1)).isoformat(),
        "endsAt": (now + ends).isoformat(),
        "generatorURL": "http://prometheus:9090/graph?g0.expr=up+%3D%3D+0",
        "labels": {"alertname": name, **labels},
    }


def test_every_door_says_the_same(store: AlertStore, client: httpx.Client, tmp_path: Path) -> None:
    assert client.get("/alerts").json() == {"alerts": [], "open": 0, "acknowledged": 0}
    drift = store.open("drift", "employees", "warning", "Sleep Hours moved", {"columns": ["Sleep Hours"]})
    store.open("no_champion", "", "critical", "Nothing is served")
    store.open("old", "heart", "info", "x")
    store.resolve("old", "heart", "over")

    listed = client.get("/alerts").json()
    assert [(entry["kind"], entry["dataset"], entry["state"]) for entry in listed["alerts"]] == [
        ("no_champion", None, "open"),
        ("drift", "employees", "open"),
        ("old", "heart", "resolved"),
    ]
    assert (listed["open"], listed["acknowledged"]) == (2, 0)
    assert [entry["id"] for entry in client.get("/alerts", params={"dataset": "employees"}).json()["alerts"]] == [drift.id]
    assert [entry["kind"] for entry in client.get("/alerts", params={"dataset": ""}).json()["alerts"]] == ["no_champion"]
    assert [entry["kind"] for entry in client.get("/alerts", params={"state": "resolved"}).json()["alerts"]] == ["old"]
    assert len(client.get("/alerts", params={"limit": 1}).json()["alerts"]) == 1
    history = client.get(f"/alerts/{drift.id}").json()
    assert history["alert"] == listed["alerts"][1]
    assert [event["event"] for event in history["events"]] == ["opened"]

    fields = "id kind dataset state severity summary detail"
    asked = graphql(client, f'{{ alerts {{ {fields} }} mine: alerts(dataset: "employees", state: "open") {{ id }} }}')["data"]
    assert asked["alerts"][1] == {name: str(drift.id) if name == "id" else listed["alerts"][1][name] for name in fields.split()}
    assert asked["mine"] == [{"id": str(drift.id)}]

    with Client(str(client.base_url), api_key=ADMIN_KEY) as own:
        assert own.alerts().model_dump(mode="json") == listed
        assert own.alert(drift.id).model_dump(mode="json") == history
        with pytest.raises(ApiError, match="There is no alert 999"):
            own.alert(999)
    printed = run_command("alerts", "--url", client.base_url, folder=tmp_path)
    assert printed.code == 0
    assert "Sleep Hours moved" in printed.output
    assert "the stack" in printed.output
    assert "opened" in run_command("alerts", str(drift.id), "--url", client.base_url, folder=tmp_path).output


def test_a_person_takes_an_alert_up_and_resolves_it(store: AlertStore, client: httpx.Client, tmp_path: Path) -> None:
    alert = store.open("drift", "employees", "warning", "moved")
    path = f"/alerts/{alert.id}"
    for name in ("acknowledge", "resolve"):
        refused(client.post(f"{path}/{name}"), 401, "invalid_key")
        refused(client.post(f"{path}/{name}", headers=AS_READER), 403, "missing_scope")
        refused(client.post(f"/alerts/999/{name}", headers=AS_ADMIN), 404, "unknown_alert")
        refused(client.post(f"/alerts/0/{name}", headers=AS_ADMIN), 422, "invalid_request")
        refused(client.post(f"{path}/{name}", headers=AS_ADMIN, json={"by": "Ada", "who": 1}), 422, "invalid_request")

    taken = client.post(f"{path}/acknowledge", json={"by": "Ada"}, headers=AS_ADMIN).json()
    assert (taken["state"], taken["acknowledged_by"]) == ("acknowledged", "Ada (key admin)")
    assert client.post(f"{path}/acknowledge", headers=AS_ADMIN).json()["acknowledged_by"] == "Ada (key admin)"
    done = run_command(
        "alerts", str(alert.id), "--resolve", "fixed", "--by", "Bob", "--url", client.base_url, "--api-key", ADMIN_KEY, folder=tmp_path
    )
    assert done.code == 0, done.output
    over = client.get(path).json()
    assert (over["alert"]["state"], over["alert"]["resolved_by"], over["alert"]["resolution"]) == ("resolved", "Bob (key admin)", "fixed")
    assert [(event["event"], event["by"]) for event in over["events"]] == [
        ("opened", "hearth"),
        ("acknowledged", "Ada (key admin)"),
        ("resolved", "Bob (key admin)"),
    ]
    refused(client.post(f"{path}/acknowledge", headers=AS_ADMIN), 409, "alert_resolved")
    with Client(str(client.base_url), api_key=ADMIN_KEY) as own, pytest.raises(Conflict):
        own.acknowledge_alert(alert.id)


def test_graphql_takes_an_alert_up_with_the_key_that_rest_needs(store: AlertStore, client: httpx.Client) -> None:
    alert = store.open("drift", "employees", "warning", "moved")
    take = "mutation ($id: ID!) { acknowledgeAlert(id: $id) { state acknowledgedBy } }"
    over = 'mutation ($id: ID!) { resolveAlert(id: $id, why: "fixed", by: "Ada") { state resolvedBy resolution } }'
    for headers, error in (({}, "invalid_key"), (AS_READER, "missing_scope")):
        assert graphql(client, take, headers, id=alert.id)["errors"][0]["extensions"]["error"] == error
    assert graphql(client, take, AS_ADMIN, id=alert.id)["data"] == {
        "acknowledgeAlert": {"state": "acknowledged", "acknowledgedBy": "admin"}
    }
    assert graphql(client, over, AS_ADMIN, id=alert.id)["data"]["resolveAlert"] == {
        "state": "resolved",
        "resolvedBy": "Ada (key admin)",
        "resolution": "fixed",
    }
    for wrong in ("0", "-1", "x", "9" * 30, "0" * 19 + "1" * 5_000):
        assert graphql(client, take, AS_ADMIN, id=wrong)["errors"][0]["extensions"]["error"] == "invalid_query"
    assert graphql(client, take, AS_ADMIN, id=999)["errors"][0]["extensions"]["error"] == "unknown_alert"
    assert graphql(client, "{ alerts(first: 0) { id } }")["errors"][0]["extensions"]["error"] == "invalid_query"
    assert graphql(client, '{ alerts(state: "gone") { id } }')["errors"][0]["extensions"]["error"] == "invalid_query"


def test_where_keys_are_required_each_door_has_its_scope(store: AlertStore, fresh_database: str) -> None:
    alert = store.open("drift", "employees", "warning", "moved")
    settings = service_settings(predictions_url=fresh_database, api_require_key=True, api_keys=f"{KEYS} ops:admin:{'s' * 20}")
    with running(create_app(settings, FakeRegistry(champion="2"))) as client:
        take = f'mutation {{ acknowledgeAlert(id: "{alert.id}") {{ acknowledgedBy }} }}'
        assert graphql(client, take, {"X-API-Key": "s" * 20})["data"] == {"acknowledgeAlert": {"acknowledgedBy": "ops"}}
        for path in ("/alerts", f"/alerts/{alert.id}"):
            refused(client.get(path), 401, "invalid_key")
            for headers in (AS_SCORER, AS_WATCHER):
                refused(client.get(path, headers=headers), 403, "missing_scope")
            assert client.get(path, headers=AS_READER).status_code == 200
        refused(client.post(DOOR, json=[]), 401, "invalid_key")
        refused(client.post(DOOR, json=[], headers=AS_READER), 403, "missing_scope")
        assert client.post(DOOR, json=[firing("Lag")], headers=AS_WATCHER).json() == {"firing": 1, "resolved": 0}
        refused(client.post(f"/alerts/{alert.id}/resolve", headers=AS_WATCHER), 403, "missing_scope")
        refused(client.get("/predictions", headers=AS_WATCHER), 403, "missing_scope")


def test_an_alert_of_prometheus_opens_is_repeated_and_ends(store: AlertStore, client: httpx.Client) -> None:
    alerts = [
        firing("LagGrowing", severity="page", job="worker", instance="a:1"),
        firing("LagGrowing", severity="page", job="worker", instance="b:1"),
    ]
    for _ in range(2):
        assert client.post(DOOR, json=[*alerts, firing("DriftActs", dataset="heart")]).json() == {"firing": 3, "resolved": 0}
    found = {alert.kind.partition("/")[2]: alert for alert in store.alerts()}
    assert len(found) == 3
    acts = found["DriftActs"]
    assert (acts.dataset, acts.severity, acts.summary, acts.times) == ("heart", "warning", "DriftActs fires", 2)
    lags = [alert for name, alert in found.items() if name.startswith("LagGrowing/")]
    assert {(alert.severity, alert.dataset) for alert in lags} == {("critical", "")}
    assert lags[0].detail["labels"] in ([alert["labels"] for alert in alerts])
    assert all(alert.expires_at for alert in found.values())

    ended = firing("LagGrowing", ends=-timedelta(seconds=1), severity="page", job="worker", instance="a:1")
    assert client.post(DOOR, json=[ended]).json() == {"firing": 0, "resolved": 1}
    assert client.post(DOOR, json=[ended]).json() == {"firing": 0, "resolved": 0}  # as Prometheus repeats it
    assert store.state_counts() == {State.OPEN: 2, State.ACKNOWLEDGED: 0}
    [over] = store.alerts("resolved")
    assert over.resolved_by == "prometheus"


def test_the_webhook_of_an_alertmanager_has_an_object_around_and_no_end(store: AlertStore, client: httpx.Client) -> None:
    alert = {**firing("Disk"), "status": "firing", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "1"}
    assert client.post(DOOR, json={"version": "4", "status": "firing", "alerts": [alert]}).json() == {"firing": 1, "resolved": 0}
    [found] = store.alerts()
    assert found.expires_at
    assert found.expires_at - datetime.now(UTC) > timedelta(hours=20)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({}, "labels: Field required"),
        ({"labels": {}}, "labels: Dictionary should have at least 1 item"),
        ({"labels": {"alertname": " "}}, "labels.alertname: expected a name"),
        ({"labels": {"alertname": 7}}, "labels.alertname: Input should be a valid string"),
        ({"labels": {"alertname": "x"}, "endsAt": "soon"}, "endsAt: Input should be a valid datetime"),
        ({"labels": {"alertname": "x"}, "endsAt": "2026-11-29T12:00:00"}, "endsAt: Input should have timezone info"),
        ("x", "it: Input should be a valid dictionary"),
    ],
)
def test_an_alert_that_cannot_be_read_is_named_and_costs_the_others_nothing(
    store: AlertStore, client: httpx.Client, wrong: object, problem: str
) -> None:
    detail = refused(client.post(DOOR, json=[wrong, firing("Good")]), 422, "invalid_body")
    assert f"alert 0: {problem}" in detail
    assert "1 firing and 0 resolved alerts are stored" in detail
    assert [alert.summary for alert in store.alerts()] == ["Good fires"]


@pytest.mark.parametrize("body", [b"", b"null", b"7", b'"x"', b"{}", b"[", b'{"alerts": 3}', json.dumps([{}] * 1_001).encode()])
def test_what_is_no_list_of_alerts_is_refused(store: AlertStore, client: httpx.Client, body: bytes) -> None:
    refused(client.post(DOOR, content=body), 422, "invalid_body")
    refused(client.post(DOOR, content=b"[" + b" " * 1_000_001 + b"]"), 413, "body_too_large")
    assert not store.alerts()


def test_labels_that_always_change_fill_neither_store_nor_metrics(
    store: AlertStore, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "MOST_OPEN", 5)
    flood = [firing("Flood", request=str(number)) for number in range(8)]
    detail = refused(client.post(DOOR, json=flood), 422, "invalid_body")
    assert "3 new alerts are not taken: 5 are open" in detail
    assert client.post(DOOR, json=flood[:5]).json() == {"firing": 5, "resolved": 0}
    assert len(store.alerts()) == 5


def test_gauges_count_what_is_open_by_kind_and_severity(store: AlertStore, fresh_database: str) -> None:
    store.open("drift", "employees", "critical", "x")
    store.open("drift", "heart", "critical", "x")
    store.open('prometheus/x"y/12345678', "", "warning", "x")
    with webhook_server() as hooks:
        settings = service_settings(predictions_url=fresh_database, alert_webhook_url=hooks.url)
        with running(create_app(settings, FakeRegistry(champion="2"))) as client:
            wait_until(lambda: 'outcome="sent"} 3.0' in client.get("/metrics").text)
            text = client.get("/metrics").text
            [alert, *_] = client.get("/alerts", params={"severity": "critical"}).json()["alerts"]
            [sent] = client.get(f"/alerts/{alert['id']}").json()["deliveries"]
    assert 'hearth_alerts_open{kind="drift",severity="critical"} 2.0' in text
    assert 'hearth_alerts_open{kind="prometheus",severity="warning"} 1.0' in text
    assert 'hearth_alert_deliveries_total{channel="webhook",outcome="sent"} 3.0' in text
    assert (sent["channel"], sent["event"], sent["attempts"]) == ("webhook", "opened", 1)
    assert sent["sent_at"]
    assert len(hooks.posts) == 3


def test_a_store_that_is_away_is_said_by_every_route_and_costs_no_metrics() -> None:
    with running(create_app(service_settings(alert_webhook_url="http://127.0.0.1:1/"), FakeRegistry(champion="2"))) as client:
        refused(client.get("/alerts"), 503, "predictions_unavailable")
        refused(client.post("/alerts/1/acknowledge", headers=AS_ADMIN), 503, "predictions_unavailable")
        refused(client.post(DOOR, json=[firing("x")]), 503, "predictions_unavailable")
        assert client.get("/metrics").status_code == 200
