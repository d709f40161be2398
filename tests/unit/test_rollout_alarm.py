"""What labels say against a candidate: its own evidence, and the pairs with the champion."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hearth.modelling.comparison import Interval
from hearth.monitoring.live_quality import Evidence, Measured, Paired, QualityCheck, QualityLevel, Subject, VersionQuality
from hearth.predictions.rollout_store import Rollout
from hearth.serving.rollouts.quality_alarm import labels_against

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
ROLLOUT = Rollout("r1", "employees", "2", "1", "canary", "running", 0.05, "ada", NOW, NOW, None, "", {})
EVIDENCE = Evidence(
    value=150.0, threshold=100.0, reference=0.2, bound=0.25, labels=700, mean=0.41, highest=150.0, started_at=NOW, alarmed_at=NOW
)
CHECK = QualityCheck(
    dataset="employees",
    checked_at=NOW + timedelta(minutes=1),
    metric="macro_f1",
    version="1",
    level=QualityLevel.OK,
    days=30,
    minimum=30,
    labels=700,
    delay_seconds=None,
    classes=("Low", "Medium", "High"),
    versions=(),
)


def quality(version: str, evidence: Evidence | None) -> VersionQuality:
    return VersionQuality(version, Subject.CANARY, Measured(0, None, None, None), evidence=evidence)


def paired(low: float, figure: float, high: float, challenger: str = "2") -> Paired:
    metric = Interval(figure, low, high)
    return Paired("1", challenger, 400, metric, metric, metric)


def test_without_labels_nothing_speaks_against_it() -> None:
    assert labels_against(CHECK, ROLLOUT, 0.01) == ""
    assert labels_against(replace(CHECK, versions=(quality("2", None),)), ROLLOUT, 0.01) == ""


def test_an_alarm_on_its_own_labels_is_named_with_its_figures() -> None:
    reason = labels_against(replace(CHECK, versions=(quality("2", EVIDENCE),)), ROLLOUT, 0.01)

    assert reason.startswith("700 labels say that its quality has fallen: mean loss 0.410, more than 0.250")


def test_an_alarm_of_the_champion_or_of_before_the_rollout_is_not_its_fault() -> None:
    before = replace(EVIDENCE, alarmed_at=NOW - timedelta(days=1))

    assert labels_against(replace(CHECK, versions=(quality("1", EVIDENCE),)), ROLLOUT, 0.01) == ""
    assert labels_against(replace(CHECK, versions=(quality("2", before),)), ROLLOUT, 0.01) == ""


def test_pairs_count_if_the_whole_interval_lies_beyond_the_margin() -> None:
    worse = labels_against(replace(CHECK, paired=paired(-0.09, -0.06, -0.03)), ROLLOUT, 0.01)

    assert worse == "on 400 labelled records that both have scored, its macro_f1 is 0.060 below the champion's (0.030 to 0.090)"
    assert labels_against(replace(CHECK, paired=paired(-0.09, -0.04, -0.005)), ROLLOUT, 0.01) == ""
    assert labels_against(replace(CHECK, paired=paired(-0.09, -0.06, -0.03, challenger="9")), ROLLOUT, 0.01) == ""
