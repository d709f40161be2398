"""How the page draws Grafana's panels: legends, units, tables, and what is left out."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamlit_app.panels import MOST_SERIES, Query, chart_frame, format_value, legend_of, line_chart, read_dashboards, table_frame
from streamlit_app.prometheus import Series
from streamlit_app.service import ServiceError

ROOT = Path(__file__).parents[2]


def series(*values: float, **labels: str) -> Series:
    return Series(labels, pd.date_range("2026-11-29", periods=len(values), freq="15s", tz="UTC"), values)


def test_the_committed_dashboards_are_read_with_all_of_their_panels_in_rows_that_fill_the_page() -> None:
    folder = ROOT / "deploy/monitoring/dashboards/json"
    dashboards = read_dashboards(folder)
    written = {path.stem: json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")}

    assert [dashboard.title for dashboard in dashboards] == ["Serving", "Stream", "Models and drift", "Pipeline", "Stack"]
    assert sum(len(row) for dashboard in dashboards for row in dashboard.rows) == sum(len(one["panels"]) for one in written.values())
    assert {sum(panel.width for panel in row) for dashboard in dashboards for row in dashboard.rows} == {24}


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"title": "x", "panels": [{}]}'])
def test_a_file_that_is_no_dashboard_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content, "utf-8")

    with pytest.raises(ServiceError, match="is no dashboard"):
        read_dashboards(tmp_path)


def test_a_folder_without_dashboards_says_which_setting_names_it(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="HEARTH_PAGE_DASHBOARDS_DIR"):
        read_dashboards(tmp_path / "nothing")


def test_a_legend_has_the_labels_that_it_names() -> None:
    labels = {"__name__": "hearth_x", "dataset": "heart", "version": "3"}

    assert legend_of("{{dataset}} v{{ version }} {{none}}", labels) == "heart v3"
    assert legend_of("__auto", labels) == "dataset=heart, version=3"
    assert legend_of("", {}) == "value"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.1234, "percentunit", "12.3%"),
        (0.0021, "s", "2.1 ms"),
        (90, "s", "1.5 min"),
        (2_500_000_000, "bytes", "2.5 GB"),
        (512, "bytes", "512 B"),
        (3.14159, "reqps", "3.14 /s"),
        (12_345_678, "short", "12.3 M"),
        (7, "short", "7"),
        (29.96, "d", "30.0 d"),
        (math.nan, "short", "n/a"),
        (math.inf, "s", "n/a"),
    ],
)
def test_a_value_is_shown_with_its_unit(value: float, unit: str, text: str) -> None:
    assert format_value(value, unit) == text


@given(st.floats(), st.sampled_from(["percentunit", "s", "d", "bytes", "reqps", "cps", "short", "unknown"]))
def test_every_value_can_be_shown(value: float, unit: str) -> None:
    assert format_value(value, unit)


def test_a_chart_keeps_the_largest_series_and_no_gap() -> None:
    found = [series(number, math.nan, number=str(number)) for number in range(MOST_SERIES + 5)]

    frame, left_out = chart_frame([(Query("x", "{{number}}"), found)])

    assert left_out == 5
    assert set(frame["series"]) == {str(number) for number in range(5, MOST_SERIES + 5)}
    assert not frame["value"].isna().any()
    assert line_chart(frame, "s").to_dict()["mark"]["point"] is True  # each has one value


def test_an_axis_of_nothing_but_zeros_has_figures() -> None:
    frame, _ = chart_frame([(Query("x", "none"), [series(0, 0)])])

    assert line_chart(frame, "cps").to_dict()["encoding"]["y"]["scale"]["domain"] == [0, 1]


def test_nothing_is_no_chart() -> None:
    frame, left_out = chart_frame([(Query("x", ""), [])])

    assert frame.empty
    assert left_out == 0


def test_a_table_has_the_labels_as_columns_and_the_largest_first() -> None:
    frame = table_frame([series(1, task="a"), series(math.nan, task="c"), series(3_600, task="b")], "s")

    assert frame.to_dict("list") == {"task": ["b", "a", "c"], "value": ["1.0 h", "1.0 s", "n/a"]}
