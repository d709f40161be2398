"""What labels say against a candidate on the records that the champion has scored too."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hearth.modelling.comparison import Interval
from hearth.monitoring.live_quality import Paired, QualityCheck, QualityLevel
from hearth.predictions.rollout_store import Rollout
from hearth.serving.rollouts.quality_alarm import pairs_against

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
ROLLOUT = Rollout("r1", "employees", "2", "1", "canary", "running", 0.05, "ada", NOW, NOW, None, "", {})
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


def paired(low: float, figure: float, high: float, challenger: str = "2") -> Paired:
    metric = Interval(figure, low, high)
    return Paired("1", challenger, 400, metric, metric, metric)


def test_without_pairs_nothing_speaks_against_it() -> None:
    assert pairs_against(CHECK, ROLLOUT, 0.01) == ""


def test_pairs_count_if_the_whole_interval_lies_beyond_the_margin() -> None:
    worse = pairs_against(replace(CHECK, paired=paired(-0.09, -0.06, -0.03)), ROLLOUT, 0.01)

    assert worse == "on 400 labelled records that both have scored, its macro_f1 is 0.060 below the champion's (0.030 to 0.090)"
    assert pairs_against(replace(CHECK, paired=paired(-0.09, -0.04, -0.005)), ROLLOUT, 0.01) == ""
    assert pairs_against(replace(CHECK, paired=paired(-0.09, -0.06, -0.03, challenger="9")), ROLLOUT, 0.01) == ""
