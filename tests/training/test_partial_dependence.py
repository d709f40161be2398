"""Partial dependence of a model that is known, and the pictures of explanations."""

from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from hearth.contracts import load_contract
from hearth.modelling.comparison import Interval
from hearth.modelling.influence import ExplainedSample
from hearth.modelling.partial_dependence import partial_dependence
from hearth.modelling.slices import Slice, SliceReport
from hearth.training.explanation_figures import dependence_figure, draw_explanations, slice_figure, summary_figure
from tests.support.samples import EMPLOYEES, ROOT, sample_rows

X, _ = sample_rows(EMPLOYEES, 400)


class Known:
    """High rises with sleep, and is 0.2 more for women."""

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        high = 0.03 * frame["Sleep Hours"].to_numpy() + 0.2 * (frame["Gender"] == "Female").to_numpy()
        return np.stack([1 - high, np.zeros(len(frame)), high], axis=1)


def test_the_curve_is_that_of_the_column_and_the_other_columns_stay() -> None:
    rows = X.fillna({"Sleep Hours": 7.0})
    sleep, gender = partial_dependence(EMPLOYEES, Known(), rows, ["Sleep Hours", "Gender"], seed=1)

    places = np.array(sleep.places, dtype=float)
    assert len(places) <= 12
    assert sleep.mean.shape == (len(places), 3)
    assert np.diff(sleep.mean[:, 2]) / np.diff(places) == pytest.approx(0.03)
    assert gender.places == ("Female", "Male")
    assert gender.mean[0, 2] - gender.mean[1, 2] == pytest.approx(0.2)


def test_values_are_those_that_occur_and_a_column_without_one_has_no_curve() -> None:
    empty = X.assign(**{"Sleep Hours": np.nan})

    assert partial_dependence(EMPLOYEES, Known(), empty, ["Sleep Hours"], seed=1) == ()
    [team] = partial_dependence(EMPLOYEES, Known(), X, ["Team Size"], seed=1)
    assert set(team.places) <= set(X["Team Size"])


def test_the_pictures_name_columns_classes_and_meanings() -> None:
    heart = load_contract("heart", ROOT / "data")
    rows, _ = sample_rows(heart, 300)

    class Half:
        def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
            return np.full((len(frame), 2), 0.5)

    figure = dependence_figure(heart, partial_dependence(heart, Half(), rows, ["exang", "chol", "age"], seed=1), "title")

    assert [axes.get_xlabel() for axes in figure.axes[:3]] == ["exang", "chol", "age"]
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["no", "yes"]


def test_the_summary_has_a_panel_for_each_of_at_most_three_classes_and_a_dot_for_each_record() -> None:
    contributions = np.random.default_rng(1).normal(size=(50, len(EMPLOYEES.feature_names), 3))
    explained = ExplainedSample(X.head(50)[list(EMPLOYEES.feature_names)], contributions)

    figure = summary_figure(EMPLOYEES, explained, "title")

    panels = figure.axes[:3]
    assert [axes.get_title() for axes in panels] == ["to Low", "to Medium", "to High"]
    assert sum(np.asarray(dots.get_offsets()).shape[0] for dots in panels[0].collections) == 50 * 12


def test_there_is_a_picture_of_slices_only_if_there_are_some() -> None:
    explained = ExplainedSample(X.head(5)[list(EMPLOYEES.feature_names)], np.zeros((5, len(EMPLOYEES.feature_names), 3)))
    found = Slice(("Gender: Female", "$x$ of a long name that goes on and on and on: below 5"), 60, 30, Interval(0.5, 0.4, 0.6))

    none = draw_explanations(EMPLOYEES, explained, (), SliceReport(100, 10, 50, 5, 0.95, ()), "title")
    some = draw_explanations(EMPLOYEES, explained, (), SliceReport(100, 40, 50, 5, 0.95, (found,)), "title")

    assert set(none) == {"shap_summary.png"}
    assert set(some) == {"shap_summary.png", "slices.png"}
    assert all(imread(BytesIO(picture)).std() > 0 for picture in some.values())
    assert "(60 rows)" in slice_figure(SliceReport(100, 40, 50, 5, 0.95, (found,)), "title").axes[0].get_yticklabels()[0].get_text()
