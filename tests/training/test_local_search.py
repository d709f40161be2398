from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.pipeline import Pipeline

from hearth.modelling.families import FAMILIES, Param
from hearth.modelling.features import build_features
from hearth.training.local_search import AS_TRAINED, cross_validate, local_search, neighbours
from tests.support.samples import EMPLOYEES, sample_split

if TYPE_CHECKING:
    from hearth.modelling.trials import TrialResult

SPLIT = sample_split(EMPLOYEES)
TEN_PERCENT = (0.9, 1.1)

numbers = st.one_of(st.integers(-1000, 1000), st.floats(-1000, 1000, allow_nan=False))
params = st.dictionaries(st.sampled_from("abcdef"), st.one_of(numbers, st.booleans(), st.text(max_size=3)), max_size=5)


class TestVary:
    def test_each_number_moves_by_ten_percent_and_then_all_together(self) -> None:
        found = {variant.label: variant.params for variant in neighbours({"depth": 20, "share": 0.5}, {}, TEN_PERCENT)}

        assert found == {
            "depth -10%": {"depth": 18, "share": 0.5},
            "depth +10%": {"depth": 22, "share": 0.5},
            "share -10%": {"depth": 20, "share": 0.45},
            "share +10%": {"depth": 20, "share": pytest.approx(0.55)},
            "all -10%": {"depth": 18, "share": 0.45},
            "all +10%": {"depth": 22, "share": pytest.approx(0.55)},
        }

    def test_booleans_words_and_seeds_are_left_alone(self) -> None:
        given: dict[str, Param] = {"bootstrap": True, "kernel": "rbf", "seed": 100, "random_state": 100, "C": 1.0}

        for variant in neighbours(given, {}, TEN_PERCENT):
            assert {**variant.params, "C": 1.0} == given

    def test_a_small_whole_number_moves_by_one(self) -> None:
        assert [variant.params["leaf"] for variant in neighbours({"leaf": 2}, {}, TEN_PERCENT)] == [1, 3]

    def test_a_number_stays_within_the_search_space_and_one_that_lies_outside_moves_no_further_out(self) -> None:
        within = neighbours({"leaf": 1, "share": 0.95}, {"leaf": (1, 20), "share": (0.1, 1.0)}, TEN_PERCENT)
        outside = neighbours({"trees": 10}, {"trees": (50, 300)}, TEN_PERCENT)

        assert {variant.params["leaf"] for variant in within} == {1, 2}
        assert max(float(variant.params["share"]) for variant in within) == 1.0
        assert [variant.params["trees"] for variant in outside] == [11]

    @given(params=params, bounds=st.dictionaries(st.sampled_from("abc"), st.tuples(st.floats(-50, 0), st.floats(0, 50)), max_size=3))
    def test_every_variant_is_another_one_of_the_same_kinds_within_its_bounds(
        self, params: dict[str, Param], bounds: dict[str, tuple[float, float]]
    ) -> None:
        for variant in neighbours(params, bounds, (0.5, 0.9, 1.1, 3)):
            assert variant.params != params
            assert variant.params.keys() == params.keys()
            for name, value in variant.params.items():
                before = params[name]
                assert type(value) is type(before)
                if name in bounds and not isinstance(before, bool | str) and value != before:
                    low, high = bounds[name]
                    assert min(low, before) <= float(value) <= max(high, before)


class TestCrossValidate:
    def test_scores_are_those_of_cross_validating_the_whole_pipeline(self) -> None:
        family = FAMILIES["logistic_regression"]
        whole = Pipeline([("features", build_features(EMPLOYEES)), ("model", family.build(family.defaults, 3))])
        folds = StratifiedKFold(5, shuffle=True, random_state=3)

        said = cross_validate(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, family, params=family.defaults, seed=3)

        expected = cross_val_score(whole, SPLIT.X_train, SPLIT.y_train, cv=folds, scoring="f1_macro")
        np.testing.assert_allclose(said.scores(EMPLOYEES), expected)
        assert said.probabilities.shape == (len(SPLIT.X_train), 3)
        assert sorted(said.row) == list(range(len(SPLIT.X_train)))
        np.testing.assert_array_equal(said.truth, SPLIT.y_train.to_numpy()[said.row])

    def test_a_family_that_is_tuned_on_a_sample_says_which_rows_it_was_asked_about(self) -> None:
        family = replace(FAMILIES["logistic_regression"], tuning_rows=100)

        said = cross_validate(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, family, params=family.defaults, seed=3)

        assert len(set(said.row)) == len(said.row) == 100
        np.testing.assert_array_equal(said.truth, SPLIT.y_train.to_numpy()[said.row])


class TestTuneAround:
    def test_the_best_variant_is_kept_and_says_how_it_came_about(self) -> None:
        poor: dict[str, Param] = {"n_neighbors": 1, "weights": "uniform"}
        seen: list[TrialResult] = []

        result = local_search(
            EMPLOYEES,
            SPLIT.X_train,
            SPLIT.y_train,
            FAMILIES["knn"],
            params=poor,
            steps=2,
            factors=(4, 1.1),
            seed=1,
            on_trial=seen.append,
        )

        assert seen == list(result.tuning.trials)
        assert seen[0].params == poor
        assert result.tuning.score == max(trial.score for trial in seen) > seen[0].score
        assert result.label.startswith("n_neighbors +300%")
        assert result.tuning.params["weights"] == "uniform"

    def test_no_steps_leave_it_as_it_was_trained(self) -> None:
        family = FAMILIES["knn"]

        result = local_search(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, family, params=family.defaults, steps=0, factors=TEN_PERCENT, seed=1)

        assert (result.label, result.tuning.params, len(result.tuning.trials)) == (AS_TRAINED, family.defaults, 1)

    def test_a_variant_that_the_estimator_refuses_is_left_out(self, caplog: pytest.LogCaptureFixture) -> None:
        """A leaf cannot hold nine tenths of a tree's rows if there is another one; this parameter is in no search space."""
        given = {**FAMILIES["random_forest"].defaults, "n_estimators": 10, "min_weight_fraction_leaf": 0.3}

        result = local_search(
            EMPLOYEES, SPLIT.X_train, SPLIT.y_train, FAMILIES["random_forest"], params=given, steps=1, factors=(3,), seed=1
        )

        assert "min_weight_fraction_leaf +200% is left out" in caplog.text
        assert len(result.tuning.trials) > 1
        assert {trial.params["min_weight_fraction_leaf"] for trial in result.tuning.trials} == {0.3}

    def test_an_error_of_a_library_leaves_its_variant_out_too(self, caplog: pytest.LogCaptureFixture) -> None:
        """LightGBM has an error of its own for a single bin, which is no ValueError."""
        given = {**FAMILIES["lightgbm"].defaults, "n_estimators": 10, "max_bin": 10}

        result = local_search(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, FAMILIES["lightgbm"], params=given, steps=1, factors=(0.1,), seed=1)

        assert "max_bin -90% is left out (LightGBMError: " in caplog.text
        assert {trial.params["max_bin"] for trial in result.tuning.trials} == {10}

    def test_the_parameters_that_it_starts_from_must_be_good(self) -> None:
        given = {**FAMILIES["lightgbm"].defaults, "max_bin": 1}

        with pytest.raises(Exception, match="max_bin"):
            local_search(EMPLOYEES, SPLIT.X_train, SPLIT.y_train, FAMILIES["lightgbm"], params=given, steps=1, factors=(0.1,), seed=1)
