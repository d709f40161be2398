"""Retrainings from labelled records to a new champion, on a real PostgreSQL, MLflow and object store."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hearth.contracts.aliases import CHAMPION
from hearth.data.processed import load_processed, read_manifest
from hearth.jobs.promote import promote
from hearth.jobs.train import train
from hearth.monitoring.check import Level
from hearth.monitoring.retraining import State
from hearth.predictions.erasure_store import ErasureStore
from hearth.predictions.label import Label
from hearth.predictions.migration import migrate
from hearth.predictions.retrain_store import Retrain
from hearth.registry import Registry
from hearth.settings import get_settings
from hearth.storage import ObjectStore
from tests.support.labelled_site import LabelledSite, retrained_contract
from tests.support.samples import records

FAMILY = "logistic_regression"


@pytest.fixture
def site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: ObjectStore, registry: Registry, fresh_database: str
) -> Iterator[LabelledSite]:
    contract = retrained_contract(tmp_path)
    monkeypatch.setenv("HEARTH_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    migrate(fresh_database)
    with LabelledSite(contract, store, registry, fresh_database) as site:
        yield site
    get_settings.cache_clear()


def run_all(site: LabelledSite, run: str) -> Retrain:
    """Run each step twice, in a fresh process each, as after a kill right before its end."""
    later = datetime.now(UTC) + timedelta(minutes=10)
    for _ in range(2):
        row = site.retraining.decide(run, by_person=True, now=later)
    assert row
    assert row.state is State.RUNNING, row.why
    for _ in range(2):
        data = site.retraining.write_data(run)
    for _ in range(2):
        keys = [site.retraining.train(run, FAMILY, digest, trials=1, seed=1) for digest in data.values()]
    for _ in range(2):
        version = site.retraining.register(run, keys)
    for _ in range(2):
        verdict = site.retraining.judge(run, version)
    assert verdict.version == version
    for _ in range(2):
        known = site.retraining.judge(run, version)
        row = site.retraining.deploy(run, known) if known.passed else site.retraining.refuse(run, known)
    return row


def test_after_a_change_of_concept_one_version_takes_over_and_an_ordinary_training_does_not_bring_the_old_one_back(
    site: LabelledSite,
) -> None:
    name = site.contract.name
    published = site.publish()
    site.serve_labelled(1_300, concept=0.15)

    row = run_all(site, "run-1")

    assert row.state is State.DEPLOYED, row.why
    assert [version.version for version in site.registry.versions(name)] == ["2", "1"]
    assert site.registry.aliases(name)[CHAMPION] == "2"
    assert [past.state for past in site.retrains.latest(name, 10)] == [State.DEPLOYED]
    version = site.registry.version(name, "2")
    assert version.tags["hearth.gate"] == "passed"
    assert "newest labelled records" in str(version.decision)
    manifest = read_manifest(site.store, name, version.digest)
    assert manifest.served
    assert 1_250 < manifest.served.records <= 1_300  # the ETL keeps no record with two missing values
    assert manifest.origin == ("generated" if manifest.served.reference else "served")
    split = load_processed(site.store, name, version.digest)
    assert len(split.X_test) == 500
    card = site.registry.run_files(version, ["card.html"], 10_000_000)["card.html"].decode()
    assert "newest labelled records" in card

    # An ordinary training on the data of before the change: on the old test set it is far better
    later = train(name, "lightgbm", digest=published, trials=1, seed=1, key="ordinary", store=site.store, registry=site.registry)
    decision = promote(name, "lightgbm", later, store=site.store, registry=site.registry)
    assert decision.champion == "2"
    assert any("labelled records that were served" in reason for reason in decision.reasons)
    assert site.registry.aliases(name)[CHAMPION] == "2"
    same_family = train(name, FAMILY, digest=published, trials=1, seed=3, key="again", store=site.store, registry=site.registry)
    assert not promote(name, FAMILY, same_family, store=site.store, registry=site.registry).passed
    assert site.registry.aliases(name)[FAMILY] == "2"


def test_without_a_change_the_candidate_is_refused_and_the_champion_stays(site: LabelledSite) -> None:
    name = site.contract.name
    site.publish()
    site.serve_labelled(1_000)

    row = run_all(site, "run-1")

    assert row.state is State.REFUSED, row.why
    assert "not better by more than noise" in row.why
    assert site.registry.aliases(name)[CHAMPION] == "1"
    assert site.registry.version(name, "2").tags["hearth.gate"] == "refused"
    again = site.retraining.decide("run-2", now=datetime.now(UTC) + timedelta(hours=1))
    assert again
    assert again.state is State.WAITING


def test_a_champion_that_was_trained_on_the_records_held_out_is_not_replaced_by_one_that_nobody_could_compare(site: LabelledSite) -> None:
    name = site.contract.name
    split = load_processed(site.store, name, site.publish())
    started = f"{site.now.timestamp():.3f}"
    site.answer(records(split.X_train.head(1_000)))
    classes = site.contract.target.classes
    codes = split.y_train.head(1_000).tolist()
    site.labels.add([Label(started, row, name, code, classes[code], site.now, "test", "rest") for row, code in enumerate(codes)])

    row = run_all(site, "run-1")

    assert row.state is State.REFUSED, row.why
    assert "it was trained on these test rows: nobody can tell which is better" in row.why
    assert site.registry.aliases(name)[CHAMPION] == "1"


def test_drift_without_labels_is_an_alert_and_trains_nothing_and_labels_resolve_it(site: LabelledSite) -> None:
    name = site.contract.name
    site.publish()
    for _ in range(2):
        site.serve(1_000, "Sleep Hours=-1sd/min")
        found = site.monitor.check(name, now=site.now).check
    assert found
    assert found.level is Level.ACT

    later = datetime.now(UTC) + timedelta(minutes=30)
    rows = [site.retraining.decide(f"run-{number}", now=later + timedelta(minutes=number)) for number in range(3)]
    assert [row.state for row in rows if row] == [State.LABELS_NEEDED] * 3
    [waited] = site.retrains.latest(name, 10)
    assert (waited.id, waited.detail["times"]) == ("run-0", 3)
    [alert] = site.alerts.alerts(dataset=name)
    assert (alert.kind, alert.severity) == ("labels_needed", "warning")
    assert len(site.registry.versions(name)) == 1

    site.serve_labelled(950, drift="Sleep Hours=-1sd/min")
    site.monitor.check(name, now=site.now)
    started = site.retraining.decide("run-9", now=later + timedelta(hours=1))
    assert started
    assert (started.state, started.trigger) == (State.RUNNING, "drift"), started.why
    [alert] = site.alerts.alerts(dataset=name)
    assert alert.resolved_at
    beside = site.retraining.decide("run-10", now=later + timedelta(hours=2), by_person=True, force=True)
    assert beside
    assert beside.state is State.WAITING
    assert "run-9 runs" in beside.why


def test_an_erased_record_is_in_no_data_that_are_written_after_it(site: LabelledSite, fresh_database: str) -> None:
    name = site.contract.name
    site.publish()
    message_id = site.serve_labelled(1_000)
    later = datetime.now(UTC) + timedelta(minutes=10)
    assert site.retraining.decide("run-1", by_person=True, now=later)
    before = site.retraining.write_data("run-1")
    with ErasureStore(fresh_database) as erasure:
        erased = erasure.forget(message_id, 7, "test")
        assert (erased.predictions, erased.labels) == (1, 1)
        assert [trained.id for trained in erased.trained_on] == ["run-1"]

    after = site.retraining.write_data("run-1")

    assert set(before.values()).isdisjoint(after.values())
    served = read_manifest(site.store, name, after["window"]).served
    assert served
    earlier = read_manifest(site.store, name, before["window"]).served
    assert earlier
    assert served.records == earlier.records - 1
    assert served.keys != earlier.keys


def test_labels_that_come_after_the_decision_change_nothing_in_data_that_are_written_again(site: LabelledSite) -> None:
    name, classes = site.contract.name, site.contract.target.classes
    site.publish()
    message_id = site.serve_labelled(1_000)
    decided = site.retraining.decide("run-1", by_person=True, now=datetime.now(UTC))
    assert decided
    assert decided.state is State.RUNNING, decided.why
    before = site.retraining.write_data("run-1")
    codes = {each.row: each.truth for each in site.labels.labelled(name)}
    later = site.now + timedelta(minutes=1)
    changed = [(row, (codes[row] + row % 2) % len(classes)) for row in range(50)]  # every second one is only confirmed
    site.labels.add([Label(message_id, row, name, code, classes[code], later, "test", "rest") for row, code in changed])

    assert site.retraining.write_data("run-1") == before


def test_a_data_set_without_a_champion_trains_nothing(site: LabelledSite) -> None:
    row = site.retraining.decide("run-1", by_person=True)
    assert row
    assert row.state is State.WAITING
