"""The whole loop on real servers, with no hand: drift, alarm, labels, retraining, canary, champion or rollback.

Each job is called as its DAG's task calls it, and the controller of rollouts as the REST service does; what processes would count of the
requests is written here.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from hearth.contracts.aliases import CANARY, CHAMPION, PREVIOUS
from hearth.contracts.loading import read_contract
from hearth.jobs.live_quality import LiveQuality
from hearth.jobs.monitor import Monitor
from hearth.monitoring.check import Level
from hearth.monitoring.retraining import State
from hearth.predictions.migration import migrate
from hearth.predictions.quality_tests import QualityTests
from hearth.predictions.rollout_store import Rollout, RolloutStore, VersionCounts
from hearth.registry import Registry
from hearth.rollouts.counts import bucket_of
from hearth.serving.rollouts.controller import RolloutController
from hearth.settings import get_settings
from hearth.storage import ObjectStore
from tests.support.labelled_site import LabelledSite, retrained_contract

FAMILY = "logistic_regression"
ANSWERS = 60
CONCEPT = 0.15


@pytest.fixture
def site(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: ObjectStore, registry: Registry, fresh_database: str
) -> Iterator[LabelledSite]:
    contract = retrained_contract(tmp_path, way="canary")
    path = tmp_path / contract.name / "contract.yaml"
    words = yaml.safe_load(path.read_text("utf-8")) | {"deploy": {"answers": ANSWERS, "minutes": 0, "steps": [0.2, 1.0]}}
    path.write_text(yaml.safe_dump(words, sort_keys=False), "utf-8")
    monkeypatch.setenv("HEARTH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HEARTH_MONITOR_URL", fresh_database)
    get_settings.cache_clear()
    migrate(fresh_database)
    with LabelledSite(read_contract(path), store, registry, fresh_database) as site:
        yield site
    get_settings.cache_clear()


@pytest.fixture
def rollouts(fresh_database: str, site: LabelledSite) -> Iterator[RolloutStore]:  # noqa: ARG001 - which has migrated it
    with RolloutStore(fresh_database, max_connections=2) as rollouts:
        yield rollouts


def watch(site: LabelledSite, url: str) -> tuple[Level, str]:
    """Do what the DAG monitor does; return the levels of drift and quality."""
    checked = Monitor(site.retrains, site.store, site.registry, site.alerts).check(site.contract.name).check
    with QualityTests(url, max_connections=1) as tests:
        measured = LiveQuality(tests, site.retrains, site.alerts, site.store, site.registry).check(site.contract.name).check
    assert checked
    assert measured
    return checked.level, str(measured.level)


def retrain(site: LabelledSite, run: str) -> str:
    """Do what the DAG retrain does after an alarm, and return the version that it has deployed."""
    row = site.retraining.decide(run)
    assert row
    assert (row.state, row.trigger) == (State.RUNNING, "quality"), row.why
    keys = [site.retraining.train(run, FAMILY, digest, trials=1, seed=1) for digest in site.retraining.write_data(run).values()]
    version = site.retraining.register(run, keys)
    row = site.retraining.deploy(run, site.retraining.judge(run, version))
    assert row.state is State.DEPLOYED, row.why
    return version


def count(rollouts: RolloutStore, rollout: Rollout, version: str, answers: int, errors: int = 0) -> None:
    """Write what a process has counted of a version since the start of a rollout."""
    latencies = [0] * (bucket_of(10.0) + 1)
    latencies[bucket_of(0.001)] = answers
    rollouts.write_counts([VersionCounts(rollout.id, "one", version, answers, errors, latencies, "", datetime.now(UTC))])


def open_kinds(site: LabelledSite) -> set[str]:
    return {alert.kind for alert in site.alerts.alerts(dataset=site.contract.name) if alert.resolved_at is None}


def drifted(site: LabelledSite, url: str) -> None:
    """Serve ordinary records, then such whose column and whose meaning have changed, and let the monitor see both."""
    site.publish()
    site.serve(450)
    site.serve_labelled(150)
    level, quality = watch(site, url)
    assert level in {Level.OK, Level.WARN}
    assert quality == "ok"
    site.serve_labelled(1_300, concept=CONCEPT, drift="Sleep Hours=-1sd")
    level, quality = watch(site, url)
    assert level.rank >= Level.DRIFT.rank
    assert quality == "fallen"
    assert {"drift", "quality"} <= open_kinds(site)


def test_the_loop_closes_by_itself(site: LabelledSite, rollouts: RolloutStore, fresh_database: str) -> None:
    name = site.contract.name
    drifted(site, fresh_database)
    old = site.registry.aliases(name)[CHAMPION]

    new = retrain(site, "run-1")

    aliases = site.registry.aliases(name)
    assert (aliases[CHAMPION], aliases[CANARY]) == (old, new)
    traffic = site.registry.registered_model(name).traffic
    assert traffic
    assert (traffic.version, traffic.share) == (new, 0.2)
    controller = RolloutController(rollouts, site.registry, {name: site.contract})
    rollout = rollouts.running(name)
    assert rollout
    for answers in (ANSWERS, 2 * ANSWERS):
        count(rollouts, rollout, old, 4 * answers)
        count(rollouts, rollout, new, answers)
        controller.look(datetime.now(UTC) + timedelta(seconds=1))
    aliases = site.registry.aliases(name)
    assert (aliases[CHAMPION], aliases[PREVIOUS], aliases[FAMILY]) == (new, old, new)
    assert CANARY not in aliases
    assert site.registry.registered_model(name).traffic is None

    # The new champion is watched anew: on the same changed records nothing alarms any more
    site.version, site.pipeline = new, site.registry.load(site.registry.version(name, new))
    site.serve_labelled(600, concept=CONCEPT, drift="Sleep Hours=-1sd")
    level, quality = watch(site, fresh_database)
    assert (level in {Level.OK, Level.WARN}, quality) == (True, "ok")
    assert not {"drift", "quality"} & open_kinds(site)


def test_a_candidate_that_fails_in_the_canary_is_rolled_back_and_holds_the_next_retraining_up(
    site: LabelledSite, rollouts: RolloutStore, fresh_database: str
) -> None:
    name = site.contract.name
    drifted(site, fresh_database)
    old = site.registry.aliases(name)[CHAMPION]
    new = retrain(site, "run-1")
    rollout = rollouts.running(name)
    assert rollout

    count(rollouts, rollout, old, 4 * ANSWERS)
    count(rollouts, rollout, new, ANSWERS, errors=ANSWERS // 6)
    RolloutController(rollouts, site.registry, {name: site.contract}).look(datetime.now(UTC) + timedelta(seconds=1))

    aliases = site.registry.aliases(name)
    assert (aliases[CHAMPION], CANARY in aliases) == (old, False)
    ended = rollouts.rollout(rollout.id)
    assert ended
    assert ended.state == "rolled_back"
    assert site.registry.version(name, new).tags["hearth.rollout"].startswith("rolled_back")
    site.serve_labelled(500, concept=CONCEPT, drift="Sleep Hours=-1sd")
    for hours, state in ((7, State.WAITING), (13, State.RUNNING)):  # a cool-down of 6 hours, doubled by the refusal
        row = site.retraining.decide(f"after {hours} hours", now=datetime.now(UTC) + timedelta(hours=hours))
        assert row
        assert row.state is state, row.why
