"""Parts of the view Drift that need no browser."""

import pytest

from streamlit_app.views.drift import distributions, heat_map, in_bin
from streamlit_app.views.retrains import decision_rows


@pytest.mark.parametrize(
    ("value", "name", "expected"),
    [
        (2.9, "below 3", True),
        (3, "below 3", False),
        (3, "3 to 5", True),
        (5, "3 to 5", False),
        (-2.5, "-3 to -2", True),
        (5, "from 5", True),
        (1e6, "from 1e+06", True),
        ("Male", "Male", True),
        ("Male", "Female", False),
        ("from 5", "from 5", True),
        (3, "3", True),  # a code
        (3, "from here", False),
        (None, "below 3", False),
        (True, "True", True),
    ],
)
def test_a_value_is_in_the_bin_that_the_monitor_names(value: object, name: str, expected: object) -> None:
    assert in_bin(value, name) is expected


def test_of_many_bins_those_that_changed_most_are_shown() -> None:
    bins = [{"name": f"c{number}", "reference": 0.01, "now": 0.01 + (number == 70) * 0.3} for number in range(100)]
    data = distributions(bins).to_dict()
    shown = {row["name"] for rows in data["datasets"].values() for row in rows}
    assert len(shown) == 30
    assert "c70" in shown


def test_the_heat_map_has_a_cell_for_each_column_and_check() -> None:
    columns = [{"name": "a", "level": "ok", "psi": 0.0}, {"name": "b", "level": "act", "psi": 0.4}]
    history = [{"checked_at": f"2026-11-29T12:0{minute}:00Z", "columns": columns} for minute in range(3)]
    chart = heat_map(history).to_dict()
    assert [len(rows) for rows in chart["datasets"].values()] == [6]
    assert chart["encoding"]["y"]["sort"] == ["b", "a"]


def test_a_decision_is_a_row_with_the_gain_and_its_interval_where_there_is_one() -> None:
    common = {"decided_at": "2026-11-29T12:00:05Z", "trigger": "drift", "times": 1, "why": "drift", "old": None}
    judged = {**common, "state": "deployed", "version": "3", "recent": {"rows": 500, "value": 0.1, "low": 0.05, "high": 0.15}}
    first, second = decision_rows([judged, {**common, "state": "labels_needed", "version": None, "recent": None}])
    assert (first["decided at"], first["newest records"]) == ("2026-11-29 12:00", "+0.100 (+0.050 to +0.150)")
    assert (second["version"], second["newest records"], second["old test set"]) == ("", "", "")
