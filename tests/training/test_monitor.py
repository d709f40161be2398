"""The check for drift from stored answers to a report, on a real PostgreSQL, MLflow and object store."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from mlflow import MlflowClient

from deploy.embedded import temporary_servers
from hearth.alerts import AlertStore, EventKind, State
from hearth.contracts import Contract
from hearth.errors import RegistryUnavailable
from hearth.jobs.monitor import Monitor
from hearth.monitoring.check import Level
from hearth.predictions.drift_store import DriftStore
from hearth.predictions.migration import migrate
from hearth.registry import Registry
from hearth.settings import get_settings
from hearth.storage import ObjectStore
from tests.support import airflow_home
from tests.support.monitored_site import Site, contract_with_statistics


@pytest.fixture
def contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Contract]:
    contract = contract_with_statistics(tmp_path)
    monkeypatch.setenv("HEARTH_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield contract
    get_settings.cache_clear()


@pytest.fixture
def site(contract: Contract, store: ObjectStore, registry: Registry, fresh_database: str) -> Iterator[Site]:
    migrate(fresh_database)
    with DriftStore(fresh_database) as drift, AlertStore(fresh_database) as alerts:
        site = Site(contract, store, registry, drift)
        site.monitor = Monitor(drift, store, registry, alerts)
        yield site


@pytest.fixture
def alerts(site: Site, fresh_database: str) -> Iterator[AlertStore]:
    assert site.contract.name
    with AlertStore(fresh_database) as alerts:
        yield alerts


def test_a_stream_goes_from_ok_to_act_and_a_promotion_starts_anew(  # noqa: PLR0915 - one story
    site: Site, alerts: AlertStore, mlflow_uri: str
) -> None:
    name = site.contract.name
    assert site.monitor.check(name).check is None  # no champion yet
    site.train()
    site.serve(300)
    few = site.monitor.check(name, now=site.now).check
    assert few
    assert few.level is Level.NOT_ENOUGH
    assert few.records == 300

    site.serve(1_700)
    quiet = site.monitor.check(name, now=site.now)
    assert quiet.check
    assert quiet.check.level is Level.OK
    assert quiet.changed
    assert not quiet.run_id
    assert quiet.check.quality
    assert quiet.check.quality.metric
    assert abs(quiet.check.quality.now.value - quiet.check.quality.metric) < 0.1
    assert alerts.alerts() == []

    site.serve(700, "Sleep Hours=-0.5sd/min")
    first = site.monitor.check(name, now=site.now)
    assert first.check
    assert first.check.level in {Level.WARN, Level.DRIFT}
    assert first.run_id
    assert first.check.alarming[0].name == "Sleep Hours"
    [alert] = alerts.alerts(State.OPEN, name)
    assert (alert.kind, alert.severity) == ("drift", "info" if first.check.level is Level.WARN else "warning")
    assert alert.summary == first.check.summary
    assert "Sleep Hours" in str(alert.detail["columns"])
    site.serve(600, "Sleep Hours=-0.5sd/min")
    drifted = site.monitor.check(name, now=site.now).check
    assert drifted
    assert drifted.level is Level.DRIFT
    assert drifted.since == first.check.checked_at
    site.serve(1_000, "Sleep Hours=-0.5sd/min")
    acting = site.monitor.check(name, now=site.now)
    assert acting.check
    assert acting.check.level is Level.ACT
    assert acting.changed
    again = site.monitor.check(name, now=site.now + timedelta(minutes=5))
    assert not again.is_new
    assert again.check == acting.check
    [raised] = alerts.alerts(State.OPEN, name)
    assert (raised.id, raised.severity, raised.times) == (alert.id, "critical", 3)
    assert alerts.events(alert.id)[-1].event is EventKind.RAISED

    files = {file.path for file in MlflowClient(mlflow_uri).list_artifacts(acting.run_id)}
    assert {"report.html", "check.json", "figures"} <= files

    site.train(seed=2)
    site.serve(200)
    fresh = site.monitor.check(name, now=site.now).check
    assert fresh
    assert fresh.level is Level.NOT_ENOUGH
    assert fresh.version == "2"
    assert fresh.since is None
    [over] = alerts.alerts(dataset=name)
    assert (over.state, over.resolved_by) == (State.RESOLVED, "hearth")
    assert "version 2: not enough" in str(over.resolution)
    site.serve(1_000)
    calm = site.monitor.check(name, now=site.now).check
    assert calm
    assert calm.level is Level.OK


def test_an_alarm_holds_until_a_window_without_old_records_is_lower(site: Site, alerts: AlertStore) -> None:
    name = site.contract.name
    site.train()
    site.serve(1_000, "Team Size=1sd/min")
    assert (found := site.monitor.check(name, now=site.now).check)
    assert found.level is Level.DRIFT
    site.serve(950)
    held = site.monitor.check(name, now=site.now).check
    assert held
    assert held.level is Level.DRIFT
    assert held.found.rank < Level.DRIFT.rank
    assert [alert.severity for alert in alerts.alerts(State.OPEN)] == ["warning"]
    site.serve(100)
    resolved = site.monitor.check(name, now=site.now).check
    assert resolved
    assert resolved.level is Level.OK
    assert resolved.since is None
    assert [alert.resolution for alert in alerts.alerts()] == [resolved.summary]


def test_an_alarm_whose_report_fails_is_reported_by_the_retry(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    name = site.contract.name
    site.train()
    site.serve(1_000, "Team Size=1sd/min")

    def away(_: Registry, *_arguments: object) -> str:
        raise RegistryUnavailable("MLflow does not answer.")

    with monkeypatch.context() as patched:
        patched.setattr(Registry, "log_monitoring", away)
        with pytest.raises(RegistryUnavailable):
            site.monitor.check(name, now=site.now)
    assert site.drift.check_at(name) is None
    retried = site.monitor.check(name, now=site.now + timedelta(minutes=1))
    assert retried.check
    assert retried.check.level is Level.DRIFT
    assert retried.changed
    assert retried.run_id
    assert site.drift.check_at(name) == retried.check
    assert not site.monitor.check(name, now=site.now + timedelta(minutes=2)).is_new


def test_records_that_break_the_contract_are_counted_beside_the_window(site: Site) -> None:
    site.train()
    site.now = datetime.now(UTC)  # the store counts by its own clock
    site.serve(600)
    site.drift.count_refused({site.contract.name: 100, "other": 7})
    site.drift.count_refused({site.contract.name: 50})
    site.now += timedelta(minutes=2)
    site.serve(1)
    found = site.monitor.check(site.contract.name, now=site.now).check
    assert found
    assert (found.level, found.refused) == (Level.OK, 150)
    assert found.refused_share == pytest.approx(150 / 751)


def test_what_a_challenger_says_in_shadow_and_what_other_versions_answered_is_not_checked(site: Site) -> None:
    site.train()
    site.serve(800, "Team Size=2sd/min", role="challenger")
    site.version, served = "99", site.version
    site.serve(800, "Team Size=2sd/min")
    site.version = served
    site.serve(600)
    found = site.monitor.check(site.contract.name, now=site.now).check
    assert found
    assert found.records == 600
    assert found.level is Level.OK


def test_a_check_by_hand_asks_for_a_second_opinion_and_logs_a_report_whatever_it_finds(site: Site) -> None:
    site.train()
    site.serve(1_000, "Sleep Hours=-1sd/min")
    by_hand = site.monitor.check(site.contract.name, by_hand=True, now=site.now)
    assert by_hand.check
    assert by_hand.run_id
    opinion = by_hand.check.second_opinion
    assert opinion
    assert opinion.sees_drift
    assert opinion.columns[0][0] == "Sleep Hours"
    stored = site.drift.check_at(site.contract.name)
    assert stored == by_hand.check
    [past] = site.drift.history(site.contract.name, 10)
    assert past.auc == pytest.approx(opinion.auc)
    assert {column.name for column in past.columns} == {column.name for column in by_hand.check.columns}


def test_the_monitors_database_user_reads_and_adds_predictions_writes_checks_and_changes_nothing_else(
    contract: Contract, store: ObjectStore, registry: Registry, fresh_database: str
) -> None:
    with psycopg.connect(fresh_database, autocommit=True) as owner:
        if not owner.execute("SELECT FROM pg_roles WHERE rolname = 'monitor'").rowcount:
            owner.execute("CREATE ROLE monitor LOGIN PASSWORD 'monitors-own'")
    migrate(fresh_database)
    as_monitor = psycopg.conninfo.conninfo_to_dict(fresh_database)
    url = f"postgresql://monitor:monitors-own@{as_monitor['host']}:{as_monitor['port']}/{as_monitor['dbname']}"
    with DriftStore(fresh_database) as writer, DriftStore(url) as drift:
        site = Site(contract, store, registry, writer)
        site.monitor = Monitor(drift, store, registry)
        site.train()
        site.serve(600)
        found = site.monitor.check(contract.name, now=site.now).check
        assert found
        assert found.level is Level.OK
        site.drift = drift
        site.serve(1)  # as the sample of a batch
    with psycopg.connect(url, autocommit=True) as monitor:
        for statement in (b"DELETE FROM predictions", b"UPDATE predictions SET code = 0", b"DELETE FROM labels", b"DELETE FROM alerts"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                monitor.execute(statement)


@pytest.mark.timeout(900)
def test_the_command_checks_prints_a_table_and_ends_as_asked_without_airflow(
    site: Site, object_store: temporary_servers.ObjectStore, mlflow_uri: str, fresh_database: str, tmp_path: Path
) -> None:
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")},
        **airflow_home.servers(object_store, mlflow_uri),
        "HEARTH_ROOT": str(airflow_home.ROOT),
        "HEARTH_ENVIRONMENT": "laptop",
        "HEARTH_DATA_DIR": str(tmp_path),
        "HEARTH_MONITOR_URL": fresh_database,
    }

    def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
        words = [sys.executable, "-m", "hearth", "monitor", "--dataset", site.contract.name, *arguments]
        return subprocess.run(words, env=env, capture_output=True, text=True, check=False)

    site.train()
    site.now = datetime.now(UTC)
    site.serve(1_000, "Sleep Hours=-1sd/min")
    done = command("--fail", "drift")
    assert done.returncode == 3, done.stderr
    assert f"{site.contract.name}: 1000 records of version 1: drift. Sleep Hours: mean" in done.stdout
    assert "estimated macro_f1 without labels" in done.stdout
    assert "second opinion: AUC" in done.stdout
    assert "report: MLflow run" in done.stdout
