"""The report on groups: its figures are those of scikit-learn on the rows of a group, and too few rows tell nothing."""

from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from sklearn.metrics import precision_score, recall_score

from hearth.contracts import load_contract
from hearth.modelling.group_report import MOST_GROUPS, TABLE_COLUMNS, report_groups
from hearth.training.group_figures import draw_groups, group_figure
from tests.support.samples import EMPLOYEES, ROOT, sample_rows

HEART = load_contract("heart", ROOT / "data")
X, Y = sample_rows(EMPLOYEES, 1_500)
TRUTH = Y.to_numpy()
PROBABILITIES = (
    np.random.default_rng(1).dirichlet([0.6] * 3, size=len(X)) * 0.4 + np.eye(3)[TRUTH] * 0.6 * (np.arange(len(X)) % 3 > 0)[:, None]
)
PROBABILITIES /= PROBABILITIES.sum(axis=1, keepdims=True)
CODES = PROBABILITIES.argmax(axis=1)


def test_figures_are_those_of_the_groups_rows() -> None:
    report = report_groups(EMPLOYEES, X, TRUTH, PROBABILITIES)

    assert [(group.column, group.group) for group in report.groups] == [("Gender", "Female"), ("Gender", "Male")]
    for group in report.groups:
        rows = (X["Gender"] == group.group).to_numpy()
        assert group.rows == rows.sum()
        for code, figures in enumerate(group.classes):
            truth, predicted = TRUTH[rows] == code, CODES[rows] == code
            assert figures.base_rate.interval.figure == pytest.approx(truth.mean())
            assert figures.selection_rate.interval.figure == pytest.approx(predicted.mean())
            assert figures.recall.interval.figure == pytest.approx(recall_score(truth, predicted))
            assert figures.precision.interval.figure == pytest.approx(precision_score(truth, predicted))
            assert (figures.recall.rows, figures.precision.rows) == (truth.sum(), predicted.sum())
            for figure in (figures.base_rate, figures.recall, figures.precision, figures.calibration_error):
                assert figure.interval.low <= figure.interval.figure <= figure.interval.high


def test_gaps_are_differences_of_the_figures_the_larger_first() -> None:
    report = report_groups(EMPLOYEES, X, TRUTH, PROBABILITIES)

    by_group = {group.group: group.classes for group in report.groups}
    assert len(report.gaps) == 3 * 4
    for gap in report.gaps:
        code = EMPLOYEES.target.classes.index(gap.label)
        first, second = (getattr(by_group[name][code], gap.measure).interval.figure for name in gap.groups)
        assert gap.figure.interval.figure == pytest.approx(first - second)
        assert gap.figure.interval.figure >= 0


def test_an_unfair_model_has_a_gap_whose_interval_is_above_zero() -> None:
    unfair = PROBABILITIES.copy()
    missed = ((X["Gender"] == "Female") & (TRUTH == 2)).to_numpy() & (np.arange(len(X)) % 2 == 0)
    unfair[missed] = [0.1, 0.8, 0.1]

    [gap] = [gap for gap in report_groups(EMPLOYEES, X, TRUTH, unfair).gaps if (gap.label, gap.measure) == ("High", "recall")]

    assert gap.groups == ("Male", "Female")
    assert gap.figure.interval.low > 0.1


def test_fewer_than_a_hundred_rows_cannot_tell() -> None:
    few = slice(0, 120)

    report = report_groups(EMPLOYEES, X.iloc[few], TRUTH[few], PROBABILITIES[few])

    answers = {figures.recall.answer for group in report.groups for figures in group.classes}
    assert answers == {"cannot tell"}
    assert {gap.figure.answer for gap in report.gaps} == {"cannot tell"}


def test_bands_of_a_number_are_groups_and_each_pair_is_compared() -> None:
    rows, y = sample_rows(HEART, 900)
    probabilities = np.random.default_rng(2).dirichlet([1, 1], size=len(rows))

    report = report_groups(HEART, rows, y.to_numpy(), probabilities)

    ages = [group.group for group in report.groups if group.column == "age"]
    assert ages == ["below 45", "45 to 60", "60 or more"]
    assert len({gap.groups for gap in report.gaps if gap.column == "age"}) >= 3


def test_of_many_groups_the_largest_are_compared() -> None:
    cuts = tuple(float(cut) for cut in range(1, 25))
    many = EMPLOYEES.model_copy(update={"sensitive": {"Recognition Frequency": cuts}})

    report = report_groups(many, X, TRUTH, PROBABILITIES)

    assert len(report.groups) == MOST_GROUPS
    assert report.left_out["Recognition Frequency"] > 0
    assert len({gap.groups for gap in report.gaps if gap.measure == "recall" and gap.label == "Low"}) <= MOST_GROUPS * (MOST_GROUPS - 1) / 2


def test_the_table_has_a_row_for_each_figure_and_gap() -> None:
    report = report_groups(EMPLOYEES, X, TRUTH, PROBABILITIES)

    table = report.table()

    assert tuple(table.columns) == TABLE_COLUMNS
    assert len(table) == 2 * (2 + 3 * 5) + 12
    [cell] = table.query("group == 'Male minus Female' and `class` == 'High' and measure == 'base_rate_gap'")["figure"].tolist() or [None]
    both = [gap for gap in report.gaps if (gap.label, gap.measure, gap.groups) == ("High", "base_rate", ("Male", "Female"))]
    assert cell == (both[0].figure.interval.figure if both else None)


def test_a_contract_without_sensitive_columns_has_an_empty_report_and_no_picture() -> None:
    plain = EMPLOYEES.model_copy(update={"sensitive": {}})

    report = report_groups(plain, X, TRUTH, PROBABILITIES)

    assert (report.groups, report.gaps, len(report.table())) == ((), (), 0)
    assert draw_groups(report, "title") == {}


def test_the_picture_has_a_line_for_each_class_and_group_and_is_grey_where_nobody_can_tell() -> None:
    report = report_groups(EMPLOYEES, X, TRUTH, PROBABILITIES)

    figure = group_figure(report, "title")

    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert len(labels) == 6
    assert labels[0] == "Low, Gender: Female"
    few = group_figure(report_groups(EMPLOYEES, X.iloc[:120], TRUTH[:120], PROBABILITIES[:120]), "title")
    assert {line.get_color() for line in few.axes[1].lines} == {"#b0b0b0"}
    assert imread(BytesIO(draw_groups(report, "title")["groups.png"])).std() > 0


def test_missing_values_are_a_group_of_their_own() -> None:
    rows = X.assign(Gender=pd.Series([None if row % 4 == 0 else value for row, value in enumerate(X["Gender"])], dtype="str"))

    assert [group.group for group in report_groups(EMPLOYEES, rows, TRUTH, PROBABILITIES).groups] == ["Female", "Male", "missing"]
