"""Alerts in the predictions store, on a real PostgreSQL: one open alert of a kind, whoever opens it and how often."""

import multiprocessing
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from hearth.alerts import Alert, AlertStore, EventKind, Severity, State
from hearth.alerts.housekeeping import AlertHousekeeping
from hearth.errors import AlertResolved, PredictionsUnavailable, UnknownAlert
from hearth.predictions.migration import migrate
from tests.support.waiting import wait_until

OPENED_AT_ONCE = 40


@pytest.fixture
def store(fresh_database: str) -> Iterator[AlertStore]:
    migrate(fresh_database)
    with AlertStore(fresh_database) as store:
        yield store


def kinds(store: AlertStore, alert_id: int) -> list[EventKind]:
    return [EventKind(event.event) for event in store.events(alert_id)]


def test_an_alert_holds_what_it_was_opened_with(store: AlertStore) -> None:
    alert = store.open("drift", "employees", "warning", "Sleep Hours moved", {"columns": ["Sleep Hours"], "psi": 0.2})

    assert (alert.kind, alert.dataset, alert.severity, alert.state, alert.times) == ("drift", "employees", "warning", "open", 1)
    assert alert.detail == {"columns": ["Sleep Hours"], "psi": 0.2}
    assert store.alert(alert.id) == alert
    assert store.alerts() == [alert]
    assert [(event.event, event.text, event.by) for event in store.events(alert.id)] == [("opened", "Sleep Hours moved", "hearth")]


def test_the_same_trouble_updates_the_open_alert(store: AlertStore) -> None:
    first = store.open("drift", "employees", Severity.WARNING, "one column")
    second = store.open("drift", "employees", Severity.WARNING, "two columns")

    assert (second.id, second.times, second.summary, second.opened_at) == (first.id, 2, "two columns", first.opened_at)
    assert second.updated_at > first.updated_at
    assert kinds(store, first.id) == [EventKind.OPENED]  # nothing new to tell anybody


def test_kinds_and_data_sets_do_not_meet(store: AlertStore) -> None:
    for kind, dataset in (("drift", "employees"), ("drift", "heart"), ("quality", "employees"), ("drift", "")):
        store.open(kind, dataset, "info", "x")
    assert store.resolve("drift", "heart", "it fell back")
    assert sorted((alert.kind, alert.dataset) for alert in store.alerts(State.OPEN)) == [
        ("drift", ""),
        ("drift", "employees"),
        ("quality", "employees"),
    ]


def test_a_rise_of_severity_is_an_event_and_withdraws_the_acknowledgement(store: AlertStore) -> None:
    alert = store.open("drift", "employees", "warning", "moved")
    store.acknowledge(alert.id, "ada")

    assert store.open("drift", "employees", "info", "a little").state is State.ACKNOWLEDGED
    raised = store.open("drift", "employees", "critical", "moved twice")

    assert (raised.state, raised.acknowledged_by, raised.severity) == ("open", None, "critical")
    assert kinds(store, alert.id) == [EventKind.OPENED, EventKind.ACKNOWLEDGED, EventKind.RAISED]


def test_resolving_twice_is_resolving_once(store: AlertStore) -> None:
    alert = store.open("drift", "employees", "warning", "moved")

    resolved = store.resolve("drift", "employees", "the window is quiet")
    assert resolved
    assert (resolved.id, resolved.state, resolved.resolved_by) == (alert.id, "resolved", "hearth")
    assert resolved.resolution == "the window is quiet"
    assert store.resolve("drift", "employees", "again") is None
    assert store.resolve_id(alert.id, "by hand", "ada") == resolved
    assert kinds(store, alert.id) == [EventKind.OPENED, EventKind.RESOLVED]


def test_trouble_that_comes_back_is_a_new_alert(store: AlertStore) -> None:
    first = store.open("drift", "employees", "warning", "moved")
    store.resolve("drift", "employees", "quiet")
    second = store.open("drift", "employees", "warning", "moved")
    assert (second.id != first.id, second.times) == (True, 1)


def test_whoever_acknowledges_first_stays(store: AlertStore) -> None:
    alert = store.open("drift", "employees", "warning", "moved")
    assert store.acknowledge(alert.id, "ada").acknowledged_by == "ada"
    assert store.acknowledge(alert.id, "bob").acknowledged_by == "ada"
    assert kinds(store, alert.id) == [EventKind.OPENED, EventKind.ACKNOWLEDGED]


def test_what_is_over_or_unknown_cannot_be_acknowledged(store: AlertStore) -> None:
    alert = store.open("drift", "employees", "warning", "moved")
    store.resolve("drift", "employees", "quiet")
    with pytest.raises(AlertResolved):
        store.acknowledge(alert.id, "ada")
    for method in (store.acknowledge, store.alert, lambda alert_id, by: store.resolve_id(alert_id, "why", by)):
        with pytest.raises(UnknownAlert):
            method(10**15, *(() if method == store.alert else ("ada",)))


@pytest.mark.parametrize(("kind", "severity"), [("drift", "fatal"), ("", "info"), (" \n", "info")])
def test_an_unknown_severity_and_an_empty_kind_are_refused(store: AlertStore, kind: str, severity: str) -> None:
    with pytest.raises(ValueError, match=r"fatal|empty"):
        store.open(kind, "employees", severity, "x")
    assert not store.alerts()


def test_what_nobody_has_taken_up_is_listed_first_and_the_most_urgent_before_others(store: AlertStore) -> None:
    for kind, severity in (("old", "critical"), ("quiet", "info"), ("loud", "critical"), ("taken", "critical"), ("between", "warning")):
        store.open(kind, "employees", severity, "x")
    store.resolve("old", "employees", "over")
    store.acknowledge(next(alert.id for alert in store.alerts() if alert.kind == "taken"), "ada")

    assert [alert.kind for alert in store.alerts()] == ["loud", "between", "quiet", "taken", "old"]
    assert [alert.kind for alert in store.alerts(limit=2)] == ["loud", "between"]
    assert [alert.kind for alert in store.alerts("acknowledged")] == ["taken"]
    assert [alert.kind for alert in store.alerts("resolved")] == ["old"]
    assert [alert.kind for alert in store.alerts("open", severity="critical")] == ["loud"]
    assert store.alerts(dataset="heart") == []
    assert store.open_counts() == {
        ("between", "employees", "warning"): 1,
        ("loud", "employees", "critical"): 1,
        ("quiet", "employees", "info"): 1,
        ("taken", "employees", "critical"): 1,
    }


def test_text_from_anywhere_is_stored_on_one_line_and_cannot_break_the_store(store: AlertStore) -> None:
    alert = store.open(
        "a\nb",
        "x\x00y",
        "info",
        "first\r\nBcc: all@example.org\x00\ud800\u202e" + "é" * 5_000,
        {"\x00": float("nan"), "n": [{"d": 1 << 80}]},
    )
    assert (alert.kind, alert.dataset) == ("a b", "x\ufffdy")
    assert "\n" not in alert.summary
    assert len(alert.summary) == 1_000
    assert alert.summary.startswith("first Bcc: all@example.org\ufffd\ufffd\ufffdé")
    assert alert.detail == {"\ufffd": "nan", "n": [{"d": hex(1 << 80)}]}


def test_an_alert_that_is_not_reported_again_in_time_resolves(store: AlertStore) -> None:
    now = datetime.now(UTC)
    gone = store.open("lag", "", "warning", "x", expires_at=now - timedelta(seconds=1))
    store.open("drift", "", "warning", "x", expires_at=now + timedelta(hours=1))
    store.open("quality", "", "warning", "x")
    back = store.open("errors", "", "warning", "x", expires_at=now - timedelta(seconds=1))
    store.open("errors", "", "warning", "x", expires_at=now + timedelta(hours=1))

    assert [alert.id for alert in store.resolve_expired()] == [gone.id]
    assert store.alert(back.id).state is State.OPEN
    assert store.resolve_expired() == []


def test_what_was_resolved_long_ago_is_deleted_with_its_events(store: AlertStore) -> None:
    alert = store.open("drift", "employees", "warning", "moved")
    kept = store.open("quality", "employees", "warning", "fell")
    store.resolve("drift", "employees", "quiet")

    assert store.delete_resolved(datetime.now(UTC) - timedelta(days=90)) == 0
    assert store.delete_resolved(datetime.now(UTC) + timedelta(seconds=1)) == 1
    assert store.events(alert.id) == []
    assert store.alerts() == [kept]


def test_a_thread_resolves_and_deletes_as_time_passes_and_counts_what_is_open(store: AlertStore) -> None:
    now = datetime.now(UTC)
    store.open("drift", "employees", "critical", "moved")
    gone = store.open("lag", "", "warning", "x", expires_at=now - timedelta(seconds=1))
    old = store.open("old", "", "warning", "x")
    with AlertHousekeeping(store, poll_seconds=0.05) as keeping:
        wait_until(lambda: keeping.open_counts() == {("drift", "employees", "critical"): 1, ("old", "", "warning"): 1})
        assert store.alert(gone.id).resolution == "It was not reported any more."
        store.resolve("old", "", "over")
        with store._connection() as connection:
            connection.execute("UPDATE alerts SET resolved_at = now() - interval '91 days' WHERE id = %s", [old.id])
        wait_until(lambda: old.id not in [alert.id for alert in store.alerts()])
    assert store.alert(gone.id).state is State.RESOLVED


def open_many(url: str, barrier: threading.Barrier) -> None:
    """Open, acknowledge and resolve as fast as possible, beside another process that does the same."""
    with AlertStore(url) as store:
        barrier.wait(60)
        for number in range(OPENED_AT_ONCE):
            store.open("drift", f"set{number}", "warning", "moved")
        barrier.wait(60)
        for _ in range(OPENED_AT_ONCE):
            store.open("flapping", "heart", "critical", "moved")
            store.resolve("flapping", "heart", "quiet")


def test_two_processes_at_once_open_one_alert_and_each_event_once(store: AlertStore, fresh_database: str) -> None:
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    others = [context.Process(target=open_many, args=(fresh_database, barrier)) for _ in range(2)]
    for other in others:
        other.start()
    for other in others:
        other.join(60)
    assert [other.exitcode for other in others] == [0, 0]

    drifts = [alert for alert in store.alerts(limit=1_000) if alert.kind == "drift"]
    assert len(drifts) == OPENED_AT_ONCE
    assert {alert.times for alert in drifts} == {2}
    assert {tuple(kinds(store, alert.id)) for alert in drifts} == {(EventKind.OPENED,)}
    flapped = [alert for alert in store.alerts(limit=1_000) if alert.kind == "flapping"]
    assert sum(alert.times for alert in flapped) == 2 * OPENED_AT_ONCE
    assert {tuple(kinds(store, alert.id)) for alert in flapped} == {(EventKind.OPENED, EventKind.RESOLVED)}


def test_a_store_that_is_away_is_an_error_that_says_so() -> None:
    with AlertStore(f"postgresql://nobody@127.0.0.1:1/{uuid4().hex}", connect_seconds=2) as away, pytest.raises(PredictionsUnavailable):
        away.open("drift", "employees", "info", "x")


def test_alerts_that_cannot_be_resolved_keep_neither_old_ones_nor_the_counts_from_their_turn(fresh_database: str) -> None:
    migrate(fresh_database)

    class Slow(AlertStore):
        def resolve_expired(self) -> list[Alert]:
            raise PredictionsUnavailable("The statement took too long.")

    with Slow(fresh_database) as slow:
        slow.open("drift", "employees", "warning", "moved")
        slow.open("drift", "heart", "warning", "moved")
        slow.resolve("drift", "heart", "over")
        with AlertHousekeeping(slow, keep=timedelta(minutes=-1)) as keeping:
            wait_until(lambda: bool(keeping.open_counts()))

        assert keeping.open_counts() == {("drift", "employees", "warning"): 1}
        assert [alert.dataset for alert in slow.alerts()] == ["employees"]
