"""Importances and contributions of features, and their pictures."""

from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread
from sklearn.pipeline import Pipeline

from hearth.modelling.families import FAMILIES
from hearth.modelling.influence import Importance, contributions, explain_sample, measure_importances
from hearth.training.influence_figures import contribution_figure, draw_influence, importance_figure
from hearth.training.tuning import fit
from tests.support.samples import EMPLOYEES, sample_split

SPLIT = sample_split(EMPLOYEES, 400)


@pytest.fixture(scope="module", params=["lightgbm", "knn"])
def pipeline(request: pytest.FixtureRequest) -> Pipeline:
    family = FAMILIES[request.param]
    return fit(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, family, params=family.defaults, seed=1)


class Sum:
    """A model whose Shapley values are known: the probability of class 1 is a weighted sum of the numbers."""

    def predict_proba(self, frame: pd.DataFrame) -> np.ndarray:
        one = frame["a"].to_numpy() * 0.2 + frame["b"].to_numpy() * 0.05 + np.where(frame["c"] == "yes", 0.1, 0.0)
        return np.stack([1 - one, one], axis=1)


def test_contributions_of_a_sum_are_its_terms_less_those_of_the_background() -> None:
    X = pd.DataFrame({"a": [1.0, 2.0], "b": [0.0, 4.0], "c": ["yes", "no"], "unused": [5.0, np.nan]})
    background = pd.DataFrame({"a": [0.0], "b": [1.0], "c": ["no"], "unused": [1.0]})

    values = contributions(Sum(), X, background, orders=3, seed=1)

    assert values[..., 1] == pytest.approx(np.array([[0.2, -0.05, 0.1, 0.0], [0.4, 0.15, 0.0, 0.0]]))
    assert values[..., 0] == pytest.approx(-values[..., 1])


def test_contributions_of_a_record_sum_to_its_probabilities_less_those_of_the_background(pipeline: Pipeline) -> None:
    X, row = SPLIT.X_test.head(6), SPLIT.X_train.iloc[[3]]

    values = contributions(pipeline, X[list(EMPLOYEES.feature_names)], row, orders=2, seed=1)

    assert values.shape == (6, len(EMPLOYEES.feature_names), 3)
    assert values.sum(axis=1) == pytest.approx(pipeline.predict_proba(X) - pipeline.predict_proba(row))


@pytest.mark.parametrize("family", ["lightgbm", "knn"])
def test_the_feature_that_decides_is_the_most_important_and_the_same_seed_gives_the_same_numbers(family: str) -> None:
    def decided(X: pd.DataFrame) -> pd.Series:
        codes = np.digitize(X["Mental Fatigue Score"].fillna(0), [3.3, 6.6])
        return pd.Series(codes, name=EMPLOYEES.target.column, dtype="int64")

    entry = FAMILIES[family]
    pipeline = fit(EMPLOYEES, SPLIT.X_train, decided(SPLIT.X_train), entry, params=entry.defaults, seed=1)

    first, second = (measure_importances(EMPLOYEES, pipeline, SPLIT.X_test, decided(SPLIT.X_test).to_numpy(), seed=7) for _ in range(2))

    assert first == second
    assert set(first) == set(EMPLOYEES.feature_names)
    means = [importance.mean for importance in first.values()]
    assert means == sorted(means, reverse=True)
    assert next(iter(first)) == "Mental Fatigue Score"


def test_a_column_that_no_model_reads_has_no_importance() -> None:
    family = FAMILIES["lightgbm"]
    constant = SPLIT.X_train.assign(**{"Team Size": 5.0})
    pipeline = fit(EMPLOYEES, constant, SPLIT.y_train, family, params=family.defaults, seed=1)

    assert measure_importances(EMPLOYEES, pipeline, SPLIT.X_test, SPLIT.y_test.to_numpy(), seed=7)["Team Size"] == Importance((0.0,) * 3)


def test_the_pictures_show_the_largest_on_top_and_say_how_many_were_left_out(pipeline: Pipeline) -> None:
    sizes = explain_sample(EMPLOYEES, pipeline, SPLIT.X_test, background=SPLIT.X_train, seed=1).mean_sizes()
    totals = [float(size.sum()) for size in sizes.values()]
    many = {f"column {number}": Importance((1 / (number + 1),)) for number in range(30)}

    figure = importance_figure(many, "macro_f1", "a title")
    bars = figure.axes[0].patches
    contribution = contribution_figure(sizes, EMPLOYEES.target.classes, "a title")

    assert totals == sorted(totals, reverse=True)
    assert len(bars) == 20
    assert figure.get_suptitle() == "Importance of features: the 20 largest of 30"
    assert figure.axes[0].yaxis_inverted()
    assert len(contribution.axes[0].patches) == 3 * len(sizes)
    pictures = draw_influence(many, sizes, "macro_f1", EMPLOYEES.target.classes, "a title")
    assert all(imread(BytesIO(picture)).std() > 0 for picture in pictures.values())
