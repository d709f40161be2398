"""Parts of the view Quality that need no browser."""

from datetime import UTC, datetime
from typing import Any

import pytest

from hearth_api.schemas.quality import QualityInfo
from streamlit_app.quality_charts import by_day, confusion, days_frame, evidence_frame, evidence_over_time
from streamlit_app.views.quality import comparison, duration, evidence_text
from tests.support.models import employees
from tests.support.quality_checks import made_quality, without_labels

CONTRACT = employees()
FOUND: dict[str, Any] = QualityInfo.model_validate(made_quality(CONTRACT, datetime(2026, 11, 29, tzinfo=UTC), 0.25)).model_dump(mode="json")


def test_a_day_has_a_point_for_each_version_with_its_interval() -> None:
    frame = days_frame(FOUND["versions"])
    assert list(frame["subject"]) == ["champion"] * 3 + ["challenger"] * 3
    assert (frame["low"] < frame["value"]).all()
    chart = by_day(frame, "macro-F1").to_dict()
    assert len(chart["layer"]) == 2
    assert [len(rows) for rows in chart["datasets"].values()] == [6]


def test_days_of_few_labels_and_versions_that_are_not_tested_are_left_out() -> None:
    others = [{**version, "subject": "other"} for version in FOUND["versions"]]
    assert len(days_frame(others)) == 0
    none = QualityInfo.model_validate(without_labels(CONTRACT)).model_dump(mode="json")
    assert len(days_frame(none["versions"])) == 0


def test_evidence_beyond_the_chart_is_drawn_at_its_edge_and_named_as_it_is() -> None:
    past = {"checked_at": "2026-11-29T12:00:00Z", "version": "2", "level": "ok", "threshold": 50.0}
    frame = evidence_frame([{**past, "evidence": value} for value in (1e-200, 1.0, 1e300, None)])
    assert list(frame["shown"]) == [1e-3, 1.0, 1e6]
    assert list(frame["evidence"]) == [1e-200, 1.0, 1e300]
    assert len(evidence_over_time(frame).to_dict()["layer"]) == 2


def test_the_confusion_has_a_cell_for_each_pair_of_classes() -> None:
    chart = confusion([[8, 2], [0, 0]], ["yes", "no"]).to_dict()
    [cells] = chart["datasets"].values()
    assert [(cell["true"], cell["predicted"], cell["answers"], cell["share"]) for cell in cells] == [
        ("yes", "yes", 8, 0.8),
        ("yes", "no", 2, 0.2),
        ("no", "yes", 0, 0.0),
        ("no", "no", 0, 0.0),
    ]


@pytest.mark.parametrize(
    ("low", "high", "words"), [(0.01, 0.2, "is better than"), (-0.2, -0.01, "is worse than"), (-0.1, 0.1, "is as good within noise as")]
)
def test_a_comparison_says_no_more_than_its_interval(low: float, high: float, words: str) -> None:
    paired = {**FOUND["paired"], "metric": {"figure": (low + high) / 2, "low": low, "high": high}}
    assert words in comparison(paired, "macro-F1")


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0, "0 s"), (45, "45 s"), (720, "12 min"), (10_800, "3 h"), (172_800, "2 days"), (864_000, "10 days")]
)
def test_a_time_is_named_in_its_largest_unit(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected


@pytest.mark.parametrize(("value", "expected"), [(0.0312, "0.0312"), (12.5, "12.5"), (4_000, "4,000"), (3.38e24, "3.38e+24"), (0, "0")])
def test_evidence_is_written_as_people_read_it(value: float, expected: str) -> None:
    assert evidence_text(value) == expected
