"""Quality from stored labels to a check and an alert, on a real PostgreSQL, MLflow and object store."""

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import psycopg
import pytest

from hearth.alerts import AlertStore
from hearth.contracts import Contract
from hearth.contracts.aliases import CHALLENGER, CHAMPION
from hearth.jobs.live_quality import LiveQuality
from hearth.monitoring.live_quality import QualityCheck, QualityLevel, Subject, wrong
from hearth.predictions.drift_store import DriftStore
from hearth.predictions.migration import migrate
from hearth.predictions.quality_tests import Claim, QualityTests
from hearth.registry import Registry
from hearth.settings import get_settings
from hearth.storage import ObjectStore
from tests.support.labels import add_labels, label, right_labels
from tests.support.monitored_site import Site, contract_with_statistics
from tests.support.samples import ROOT, renamed_contract
from tests.support.served_records import store_answers

EARLIER = datetime(2026, 11, 1, tzinfo=UTC)


@pytest.fixture
def contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Contract]:
    contract = contract_with_statistics(tmp_path)
    monkeypatch.setenv("HEARTH_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield contract
    get_settings.cache_clear()


class LabelledSite(Site):
    """A site whose answers get labels."""

    def __init__(self, contract: Contract, store: ObjectStore, registry: Registry, drift: DriftStore, url: str) -> None:
        super().__init__(contract, store, registry, drift)
        self.tests, self.alerts = QualityTests(url), AlertStore(url)
        self.quality = LiveQuality(self.tests, drift, self.alerts, store, registry)

    def label(self, count: int, share_wrong: float) -> str:
        """Answer records and give them labels by which a share of the answers is wrong; returns the id of their message."""
        message = f"{self.now.timestamp():.3f}"
        self.serve(count)
        answers = self.drift.newest_answers(self.contract.name, self.version, count, EARLIER)
        codes = np.array([answer.code for answer in answers])
        truth = right_labels(codes, len(self.contract.target.classes), share_wrong, self.seed)
        add_labels(self.tests, self.contract, message, truth, self.now)
        return message

    def measure(self, minutes: int = 0, *, by_hand: bool = False) -> QualityCheck:
        result = self.quality.check(self.contract.name, by_hand=by_hand, now=self.now + timedelta(minutes=minutes))
        assert result.check
        return result.check

    def open_alerts(self) -> list[str]:
        return [alert.kind for alert in self.alerts.alerts("open", self.contract.name)]


@pytest.fixture
def site(contract: Contract, store: ObjectStore, registry: Registry, fresh_database: str) -> Iterator[LabelledSite]:
    migrate(fresh_database)
    with DriftStore(fresh_database) as drift:
        site = LabelledSite(contract, store, registry, drift, fresh_database)
        with site.tests, site.alerts:
            yield site


def test_a_fall_is_found_alerts_and_is_over_with_a_new_champion(site: LabelledSite) -> None:
    name = site.contract.name
    assert site.quality.check(name).check is None  # no champion yet
    site.train()
    site.serve(50)
    nothing = site.measure()
    assert (nothing.level, nothing.labels, nothing.delay_seconds) == (QualityLevel.NOT_ENOUGH, 0, None)
    assert nothing.champion.evidence
    reference = nothing.champion.evidence.reference
    site.label(400, reference)
    good = site.measure()
    assert good.level is QualityLevel.OK
    assert good.champion.measured.accuracy
    assert good.champion.measured.accuracy.low < 1 - reference < good.champion.measured.accuracy.high
    assert good.champion.coverage
    assert (good.champion.coverage.predictions, good.champion.coverage.labelled) == (450, 400)
    assert {part.name for part in good.champion.groups} >= {"Female", "Male"}
    assert [part.name for part in good.champion.aliases] == ["champion"]
    assert sum(part.measured.rows for part in good.champion.days) == 400
    assert not site.quality.check(name, now=site.now + timedelta(minutes=5)).is_new
    assert site.quality.check(name, now=site.now + timedelta(minutes=61)).is_new  # for the coverage

    site.label(400, reference + 0.25)
    fallen = site.measure()
    assert fallen.level is QualityLevel.FALLEN
    assert fallen.champion.evidence
    assert fallen.champion.evidence.value >= 50
    assert site.open_alerts() == ["quality"]
    assert "is an alarm" in site.alerts.alerts("open", name)[0].summary

    site.train(seed=2)
    fresh = site.measure(1)
    assert (fresh.level, fresh.version, fresh.labels) == (QualityLevel.NOT_ENOUGH, "2", 0)
    assert site.open_alerts() == []
    assert [version.subject for version in fresh.versions] == [Subject.CHAMPION, Subject.OTHER]
    assert fresh.versions[1].measured.rows == 800

    site.registry.set_alias(name, CHAMPION, "1")  # back: the test begins anew, on new answers
    back = site.measure(2)
    assert back.champion.evidence
    assert (back.champion.evidence.labels, back.champion.evidence.value) == (0, 1.0)
    assert Counter(past.level for past in site.tests.history(name, 10)) == {"not_enough": 3, "ok": 2, "fallen": 1}


def test_an_alert_is_over_when_the_evidence_is_gone(site: LabelledSite) -> None:
    site.train()
    site.label(150, 0.9)
    assert site.measure().level is QualityLevel.FALLEN
    site.label(4_000, 0.0)
    recovered = site.measure()
    assert recovered.level is QualityLevel.OK
    assert recovered.champion.evidence
    assert recovered.champion.evidence.highest > 50
    assert site.open_alerts() == []


def test_a_challenger_is_compared_on_the_same_records(site: LabelledSite) -> None:
    name = site.contract.name
    site.train()
    champion = site.version
    site.train(seed=2)
    site.registry.set_alias(name, CHAMPION, champion)
    site.registry.set_alias(name, CHALLENGER, site.version)
    rng, contract = np.random.default_rng(0), site.contract
    probabilities = rng.dirichlet([4, 2, 1], 300)
    records = [{"Gender": "Female"}] * 300
    at = site.now
    store_answers(site.drift, contract, champion, records, probabilities, at)
    truth = (rng.random((300, 1)) > probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1)
    store_answers(site.drift, contract, site.version, records, np.eye(3)[truth], at, "challenger")
    site.now = add_labels(site.tests, contract, f"{at.timestamp():.3f}", truth, at + timedelta(seconds=9)) + timedelta(seconds=1)
    found = site.measure()
    assert found.paired
    assert (found.paired.champion, found.paired.challenger, found.paired.rows) == (champion, site.version, 300)
    assert found.paired.metric.low > 0
    subjects = {version.subject: version for version in found.versions}
    assert subjects[Subject.CHALLENGER].measured.rows == 300
    assert (evidence := subjects[Subject.CHALLENGER].evidence)
    assert (evidence.labels, evidence.mean) == (300, 0)


def test_a_check_that_is_killed_before_it_is_written_is_the_same_when_it_runs_again(
    site: LabelledSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.train()
    site.label(150, 0.9)

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(QualityTests, "write_check", killed)
        with pytest.raises(Killed):
            site.measure()
    assert site.tests.check_at(site.contract.name) is None
    found = site.measure(1)
    assert (evidence := found.champion.evidence)
    assert (found.level, evidence.labels) == (QualityLevel.FALLEN, 150)
    assert [alert.times for alert in site.alerts.alerts("open", site.contract.name)] == [2]


def test_what_an_earlier_release_knew_of_the_test_set_is_computed_again(site: LabelledSite) -> None:
    name = site.contract.name
    site.train()
    version = site.registry.version(name, CHAMPION)
    assert (evidence := site.measure().champion.evidence)
    known = site.drift.outputs(name, version.run_id)
    assert known
    site.drift.write_outputs(name, version.run_id, version.version, replace(known, loss=None))
    assert (again := site.measure(1, by_hand=True).champion.evidence)
    assert again.reference == evidence.reference


def test_the_monitors_database_user_measures_and_opens_alerts(
    contract: Contract, store: ObjectStore, registry: Registry, fresh_database: str
) -> None:
    with psycopg.connect(fresh_database, autocommit=True) as owner:
        if not owner.execute("SELECT FROM pg_roles WHERE rolname = 'monitor'").rowcount:
            owner.execute("CREATE ROLE monitor LOGIN PASSWORD 'monitors-own'")
    migrate(fresh_database)
    place = psycopg.conninfo.conninfo_to_dict(fresh_database)
    url = f"postgresql://monitor:monitors-own@{place['host']}:{place['port']}/{place['dbname']}"
    with DriftStore(fresh_database) as drift, DriftStore(url) as own, QualityTests(url) as tests, AlertStore(url) as alerts:
        site = LabelledSite(contract, store, registry, drift, fresh_database)
        site.quality = LiveQuality(tests, own, alerts, store, registry)
        with site.tests, site.alerts:
            site.train()
            site.label(150, 0.9)
            assert site.measure().level is QualityLevel.FALLEN
            assert site.open_alerts() == ["quality"]


# What a test counts, without a model: the store alone


@pytest.fixture
def tests(fresh_database: str) -> Iterator[QualityTests]:
    migrate(fresh_database)
    with QualityTests(fresh_database) as tests:
        yield tests


@pytest.fixture
def plain(tmp_path: Path) -> Contract:
    return renamed_contract(tmp_path, "plain") if (ROOT / "data").exists() else pytest.skip("no data folder")


NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def claim(contract: Contract, bound: float = 0.3, subject: str = "champion", version: str = "1") -> Claim:
    return Claim(contract.name, subject, version, "answer", NOON - timedelta(days=1), 0.2, bound, 0.02)


def answered(tests: QualityTests, contract: Contract, count: int, start: datetime = NOON) -> str:
    """Store answers of class 0 and return the id of their message."""
    store_answers(tests, contract, "1", [{}] * count, np.tile([0.8, 0.1, 0.1], (count, 1)), start)
    return f"{start.timestamp():.3f}"


def counted(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT test_id, position, message_id, row, loss FROM quality_losses ORDER BY test_id, position"
        ).fetchall()


def test_late_labels_and_labels_before_their_prediction_are_counted_once_in_an_order_that_stays(
    tests: QualityTests, plain: Contract, fresh_database: str
) -> None:
    message = answered(tests, plain, 3)
    later = NOON + timedelta(hours=5)
    tests.add([label(plain, message, 2, 1, later), label(plain, f"{(NOON + timedelta(1)).timestamp():.3f}", 0, 1, NOON)])
    test, mean = tests.count(claim(plain), wrong, later)
    assert (test.state.labels, mean) == (1, 1.0)

    tests.add([label(plain, message, 0, 0, NOON)])  # observed before, and received later
    answered(tests, plain, 1, NOON + timedelta(days=1))
    test, mean = tests.count(claim(plain), wrong, later)
    assert test.state.labels == 3
    assert mean == pytest.approx(2 / 3)
    rows = counted(fresh_database)
    assert [(position, row) for _, position, _, row, _ in rows] == [(0, 2), (1, 0), (2, 0)]

    again, _ = tests.count(claim(plain), wrong, later)
    assert again.state == test.state
    assert counted(fresh_database) == rows


def test_a_corrected_label_takes_the_place_of_the_first(tests: QualityTests, plain: Contract, fresh_database: str) -> None:
    message = answered(tests, plain, 40)
    add_labels(tests, plain, message, np.ones(40, dtype=int), NOON + timedelta(hours=1))
    spoiled, _ = tests.count(claim(plain), wrong, datetime.now(UTC))
    assert spoiled.alarmed_at
    add_labels(tests, plain, message, np.zeros(40, dtype=int), NOON + timedelta(hours=2))
    corrected, mean = tests.count(claim(plain), wrong, datetime.now(UTC))
    assert (corrected.state.labels, mean, corrected.alarmed_at) == (40, 0.0, None)
    assert corrected.state.value < 1
    assert len(counted(fresh_database)) == 40


def test_a_rollout_gets_the_alarm_of_its_version_while_the_test_runs(tests: QualityTests, plain: Contract) -> None:
    message = answered(tests, plain, 40)
    add_labels(tests, plain, message, np.ones(40, dtype=int), NOON + timedelta(hours=1))
    assert not tests.alarm(plain.name, "1")
    tests.count(claim(plain, subject="canary"), wrong, NOON)
    assert "after 40 labels; 20.0% were wrong on its test set, 30.0% are allowed" in tests.alarm(plain.name, "1")
    assert not tests.alarm(plain.name, "2")
    assert not tests.alarm("other", "1")
    tests.end(plain.name, ["canary"], NOON)
    assert not tests.alarm(plain.name, "1")


def test_another_bound_computes_the_same_labels_anew(tests: QualityTests, plain: Contract) -> None:
    message = answered(tests, plain, 60)
    add_labels(tests, plain, message, right_labels(np.zeros(60, dtype=int), 3, 0.5, 1), NOON + timedelta(hours=1))
    strict, _ = tests.count(claim(plain, bound=0.1), wrong, NOON)
    loose, _ = tests.count(claim(plain, bound=0.6), wrong, NOON)
    assert strict.alarmed_at
    assert not loose.alarmed_at
    again, _ = tests.count(claim(plain, bound=0.1), wrong, NOON)
    assert again.state == strict.state


def test_a_process_that_is_killed_while_it_counts_has_counted_nothing(tests: QualityTests, plain: Contract, fresh_database: str) -> None:
    message = answered(tests, plain, 30)
    add_labels(tests, plain, message, np.zeros(30, dtype=int), NOON + timedelta(hours=1))

    class Killed(BaseException):
        pass

    def killed(*_: np.ndarray) -> np.ndarray:
        raise Killed

    with pytest.raises(Killed):
        tests.count(claim(plain), killed, NOON)
    assert counted(fresh_database) == []
    test, _ = tests.count(claim(plain), wrong, NOON)
    assert test.state.labels == 30


def test_two_that_count_at_once_count_each_label_once(tests: QualityTests, plain: Contract, fresh_database: str) -> None:
    message = answered(tests, plain, 200)
    add_labels(tests, plain, message, np.zeros(200, dtype=int), NOON + timedelta(hours=1))
    results = []
    threads = [threading.Thread(target=lambda: results.append(tests.count(claim(plain), wrong, NOON))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [test.state.labels for test, _ in results] == [200] * 4
    assert len(counted(fresh_database)) == 200


def test_another_version_ends_the_test_and_only_subjects_that_are_no_more_lose_theirs(tests: QualityTests, plain: Contract) -> None:
    first, _ = tests.count(claim(plain), wrong, NOON)
    canary, _ = tests.count(claim(plain, subject="canary", version="2"), wrong, NOON)
    second, _ = tests.count(claim(plain, version="2"), wrong, NOON + timedelta(hours=1))
    assert len({first.id, canary.id, second.id}) == 3
    tests.end(plain.name, ["canary"], NOON)
    assert tests.count(claim(plain, version="2"), wrong, NOON)[0].id == second.id
    assert tests.count(claim(plain, subject="canary", version="2"), wrong, NOON)[0].id != canary.id
    back, _ = tests.count(claim(plain), wrong, NOON + timedelta(hours=2))
    assert (back.id != first.id, back.started_at) == (True, NOON + timedelta(hours=2))


def test_coverage_counts_answers_that_are_old_enough(tests: QualityTests, plain: Contract) -> None:
    message = answered(tests, plain, 10)
    add_labels(tests, plain, message, np.zeros(4, dtype=int), NOON + timedelta(hours=1))
    answered(tests, plain, 5, NOON + timedelta(days=1))
    [day] = tests.coverage(plain.name, NOON - timedelta(days=1), NOON + timedelta(hours=1))
    assert (day.version, str(day.day), day.predictions, day.labelled) == ("1", "2026-11-20", 10, 4)
    assert len(tests.coverage(plain.name, NOON - timedelta(days=1), NOON + timedelta(days=2))) == 2
