"""The metric against the rows that models are fitted on."""

import numpy as np
import pandas as pd
import pytest

from hearth.contracts import load_contract
from hearth.modelling.families import FAMILIES
from hearth.training.learning_curve import FEWEST_ROWS, CurvePoint, LearningCurve, curve_rows, measure_curve
from hearth.training.learning_curve_figure import curve_picture
from tests.support.samples import EMPLOYEES, ROOT, sample_rows

HEART = load_contract("heart", ROOT / "data")
X, Y = sample_rows(EMPLOYEES, 6_000)


@pytest.mark.parametrize(
    ("most", "rows"),
    [
        (900, (900,)),
        (1_200, (1_200,)),
        (4_000, (1_000, 4_000)),
        (9_600, (1_000, 3_000, 9_600)),
        (490_000, (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 490_000)),
    ],
)
def test_points_lie_half_a_decade_apart_and_the_last_has_all_rows(most: int, rows: tuple[int, ...]) -> None:
    assert curve_rows(most) == rows


@pytest.mark.parametrize("family", ["knn", "lightgbm"])
def test_a_curve_of_the_same_rows_is_the_same(family: str) -> None:
    mixed = np.random.default_rng(0).permutation(len(X))
    curves = [
        measure_curve(EMPLOYEES, X, Y, FAMILIES[family], seed=1),
        measure_curve(EMPLOYEES, X, Y, FAMILIES[family], seed=1),
        measure_curve(EMPLOYEES, X.iloc[mixed].reset_index(drop=True), Y.iloc[mixed].reset_index(drop=True), FAMILIES[family], seed=1),
    ]

    for curve in curves:
        assert curve is not None
        assert curve.held_out == 1_200
        assert [point.rows for point in curve.points] == [1_000, 3_000, 4_800]
        assert curve.points[-1].metric > 0.6
    first, again, other = ([point.metric for point in curve.points] for curve in curves if curve is not None)
    assert first == again
    assert np.allclose(first, other, atol=0.02)  # the order of rows decides between equally good splits and neighbours


def test_rows_that_count_more_move_the_curve() -> None:
    weights = np.where(Y == 0, 20.0, 1.0)
    curves = [measure_curve(EMPLOYEES, X, Y, FAMILIES["lightgbm"], seed=1, row_weights=each) for each in (None, weights)]

    assert curves[0] is not None
    assert curves[1] is not None
    assert [point.metric for point in curves[0].points] != [point.metric for point in curves[1].points]


@pytest.mark.parametrize("family", ["logistic_regression", "svm", "lightgbm"])
@pytest.mark.parametrize("rare", [5, 8, 30])
def test_a_rare_class_is_in_what_is_fitted_and_in_what_is_held_out(family: str, rare: int) -> None:
    features, _ = sample_rows(HEART, 5_000)
    y = pd.Series((np.arange(5_000) < rare).astype(np.int64))

    curve = measure_curve(HEART, features, y, FAMILIES[family], seed=1)

    assert curve is not None
    assert curve.held_out == 1_000
    assert [point.rows for point in curve.points] == [1_000, 4_000]


def test_classes_of_which_none_can_be_held_out_have_no_curve() -> None:
    features, _ = sample_rows(HEART, 5_000)

    assert measure_curve(HEART, features, pd.Series((np.arange(5_000) < 1).astype(np.int64)), FAMILIES["svm"], seed=1) is None


def test_copies_of_a_row_are_held_out_together() -> None:
    """Classes are drawn without regard to the features, so that a model is no better than chance but by what it has learnt by heart."""
    rng = np.random.default_rng(3)
    kinds = np.arange(6_000) % 300
    features, y = X.iloc[kinds].reset_index(drop=True), pd.Series(rng.integers(0, 3, 300)[kinds])

    curve = measure_curve(EMPLOYEES, features, y, FAMILIES["knn"], seed=1)

    assert curve is not None
    assert curve.points[-1].metric < 0.5


def test_few_rows_have_no_curve() -> None:
    assert measure_curve(EMPLOYEES, X[: FEWEST_ROWS - 1], Y[: FEWEST_ROWS - 1], FAMILIES["knn"], seed=1) is None


def test_a_curve_is_a_picture_and_a_table() -> None:
    curve = LearningCurve((CurvePoint(1_000, 0.5, 0.1), CurvePoint(3_000, 0.75, 0.25)), 500)

    assert curve_picture(curve, "macro_f1", "employees, knn").startswith(b"\x89PNG")
    assert curve.table("macro_f1").to_dict("list") == {"rows": [1_000, 3_000], "macro_f1": [0.5, 0.75], "fit_seconds": [0.1, 0.25]}
