"""The compiled scorer against the scikit-learn pipeline that it was made from."""

from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lightgbm import Booster, Dataset, LGBMClassifier, train
from sklearn.pipeline import Pipeline

from hearth.contracts import Contract, load_contract
from hearth.contracts.examples import random_columns
from hearth.contracts.record_parser import RecordParser
from hearth.contracts.records import check_records
from hearth.data.cleaning import target_codes
from hearth.errors import InvalidRecords
from hearth.fakes import FakeRecords
from hearth.modelling.booster_text import read_booster
from hearth.modelling.families import FAMILIES
from hearth.modelling.features import build_features
from hearth.modelling.scorer import Scorer
from hearth.serving.compiled.scaling import CannotCompile
from hearth.serving.compiled.scorer import CompiledScorer
from hearth.serving.compiled.tree_kernel import Link, walk
from hearth.serving.compiled.tree_tables import before_scaling, compile_booster

DATA = Path(__file__).parents[2] / "data"
CONTRACT = load_contract("employees", DATA)
FAKES = FakeRecords.load(CONTRACT, DATA)
NULLABLE = [name for name, column in CONTRACT.feature_columns.items() if column.nullable]


@cache
def fitted_on(dataset: str, family: str, **features: str) -> tuple[Pipeline, Contract]:
    contract = load_contract(dataset, DATA)
    contract = contract.model_copy(update={"features": contract.features.model_copy(update=features)})
    frame = FakeRecords.load(contract, DATA).frame(1_200, seed=3)
    frame = frame[frame[contract.target.column].notna()]
    X = frame[list(contract.feature_names)].astype(dict.fromkeys(contract.numeric_features, np.float64))
    for name in contract.categorical_features:
        X[name] = X[name].map(str, na_action="ignore").astype("str")
    params = {"n_estimators": 20} if "n_estimators" in FAMILIES[family].defaults else {}
    model = FAMILIES[family].build({**FAMILIES[family].defaults, **params}, 1)
    pipeline = Pipeline([("features", build_features(contract)), ("model", model)])
    return pipeline.fit(X, target_codes(contract, frame[contract.target.column]).to_numpy()), contract


@cache
def fitted(family: str, scaler: str = "standard", classes: int = 3, estimators: int = 60) -> tuple[Pipeline, Contract]:
    contract = CONTRACT.model_copy(update={"features": CONTRACT.features.model_copy(update={"scaler": scaler})})
    if classes == 2:
        target = contract.target.model_copy(update={"cuts": (0.5,), "classes": ("Low", "High")})
        contract = contract.model_copy(update={"target": target})
    frame = FAKES.frame(1_500, seed=3)
    frame = frame[frame[contract.target.column].notna()]
    numbers = dict.fromkeys(contract.numeric_features, np.float64)
    X = frame[list(contract.feature_names)].astype(numbers)
    params = dict(FAMILIES[family].defaults)
    if family == "lightgbm":
        params |= {"n_estimators": estimators, "num_leaves": 31, "max_depth": -1}
    model = FAMILIES[family].build(params, 1)
    pipeline = Pipeline([("features", build_features(contract)), ("model", model)])
    return pipeline.fit(X, target_codes(contract, frame[contract.target.column]).to_numpy()), contract


@cache
def compiled_form(family: str) -> CompiledScorer:
    return CompiledScorer(*fitted(family))


@pytest.mark.parametrize("family", sorted(FAMILIES))
@pytest.mark.parametrize("scaler", ["standard", "min_max"])
def test_ten_thousand_records_with_every_pattern_of_missing_values_score_as_scikit_learn_has_them(family: str, scaler: str) -> None:
    pipeline, contract = fitted(family, scaler)
    rows = 10_000 if family == "lightgbm" else 1_000  # the others are scikit-learn's own behind the compiled features
    records = FAKES.records(rows, seed=11)
    for row, record in enumerate(records):
        record.update(dict.fromkeys((name for bit, name in enumerate(NULLABLE) if row >> bit & 1), None))
    compiled = CompiledScorer(pipeline, contract)
    assert compiled.is_compiled
    expected, got = Scorer(pipeline, contract).score(records), compiled.score(records)
    np.testing.assert_allclose(got.probabilities, expected.probabilities, rtol=0, atol=1e-6)
    assert got.codes.tolist() == expected.codes.tolist()


@pytest.mark.parametrize("family", ["knn", "lightgbm", "logistic_regression", "random_forest"])
@pytest.mark.parametrize("dataset", ["heart", "covertype"])
def test_every_data_set_scores_as_scikit_learn_has_it(dataset: str, family: str) -> None:
    pipeline, contract = fitted_on(dataset, family)
    compiled = CompiledScorer(pipeline, contract)
    assert compiled.is_compiled
    records = FakeRecords.load(contract, DATA).records(400, seed=11)
    assert score_the_same(compiled, Scorer(pipeline, contract), records)
    alone = np.vstack([compiled.score([record]).probabilities for record in records[:20]])
    np.testing.assert_allclose(alone, compiled.score(records[:20]).probabilities, rtol=0, atol=1e-9)


@pytest.mark.parametrize("category_imputer", ["own_category", "most_frequent"])
@pytest.mark.parametrize("imputer", ["mice", "knn", "median", "mean", "most_frequent"])
def test_every_imputer_fills_as_scikit_learn_does(imputer: str, category_imputer: str) -> None:
    pipeline, contract = fitted_on("covertype", "lightgbm", imputer=imputer, category_imputer=category_imputer)
    nullable = [name for name, column in contract.feature_columns.items() if column.nullable]
    records = FakeRecords.load(contract, DATA).records(2 ** len(nullable) * 4, seed=12)
    for row, record in enumerate(records):  # every pattern of missing values
        record.update(dict.fromkeys((name for bit, name in enumerate(nullable) if row >> bit & 1), None))
    compiled = CompiledScorer(pipeline, contract)
    assert compiled.is_compiled
    assert score_the_same(compiled, Scorer(pipeline, contract), records)


@pytest.mark.parametrize("imputer", ["mice", "median"])
def test_records_with_missing_numbers_score_as_scikit_learn_has_them_and_alone_as_among_others(imputer: str) -> None:
    pipeline, contract = fitted_on("employees", "lightgbm", imputer=imputer)
    compiled, columns = CompiledScorer(pipeline, contract), random_columns(contract, 300, missing_share=0.3)
    assert np.isnan(columns.numbers).any(axis=1).sum() > 50
    probabilities = compiled.score_columns(columns).probabilities
    expected = Scorer(pipeline, contract).score_frame(compiled.parser.frame(columns)).probabilities
    np.testing.assert_array_equal(probabilities, expected)
    for row in range(len(columns)):
        np.testing.assert_array_equal(compiled.score_columns(columns.rows(slice(row, row + 1))).probabilities[0], probabilities[row])


def score_the_same(compiled: CompiledScorer, original: Scorer, records: list[dict[str, object]]) -> bool:
    expected, got = original.score(records), compiled.score(records)
    np.testing.assert_allclose(got.probabilities, expected.probabilities, rtol=0, atol=1e-6)
    return np.array_equal(got.codes, expected.codes)


def test_two_classes_score_as_scikit_learn_has_them() -> None:
    pipeline, contract = fitted("lightgbm", classes=2)
    records = FAKES.records(500, seed=12)
    compiled = CompiledScorer(pipeline, contract)
    assert compiled.is_compiled
    np.testing.assert_allclose(
        compiled.score(records).probabilities, Scorer(pipeline, contract).score(records).probabilities, rtol=0, atol=1e-12
    )


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 40), missing=st.lists(st.sampled_from(NULLABLE), unique=True))
def test_any_records_score_as_scikit_learn_has_them(seed: int, rows: int, missing: list[str]) -> None:
    pipeline, contract = fitted("lightgbm")
    records = [{**record, **dict.fromkeys(missing, None)} for record in FAKES.records(rows, seed)]
    expected, got = Scorer(pipeline, contract).score(records), compiled_form("lightgbm").score(records)
    np.testing.assert_allclose(got.probabilities, expected.probabilities, rtol=0, atol=1e-6)
    assert got.codes.tolist() == expected.codes.tolist()


def test_probabilities_are_those_of_scikit_learn_to_the_last_bit() -> None:
    pipeline, contract = fitted("lightgbm")
    records = FAKES.records(2_000, seed=13)
    compiled = CompiledScorer(pipeline, contract)
    expected = Scorer(pipeline, contract).score(records).probabilities
    np.testing.assert_array_equal(compiled.score(records).probabilities, expected)
    alone = np.vstack([compiled.score([record]).probabilities for record in records[:200]])
    np.testing.assert_array_equal(alone, expected[:200])


def test_a_compiled_form_that_differs_on_the_models_own_example_is_not_used(caplog: pytest.LogCaptureFixture) -> None:
    pipeline, contract = fitted("lightgbm")
    frame = Scorer(pipeline, contract)._frame(FAKES.records(5, seed=14))
    other = frame.assign(Gender=["Nobody"] * 5)  # an unknown category cannot be compared, and says nothing of the compiled form
    assert CompiledScorer(pipeline, contract, frame).is_compiled
    assert CompiledScorer(pipeline, contract, other).is_compiled

    class WrongOnTheExample(Pipeline):  # type: ignore[misc]  # scikit-learn has no types
        """Stands for a pipeline whose compiled form errs on nothing but the example."""

        def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
            given: np.ndarray = super().predict_proba(X)
            return given[:, ::-1] if len(X) == len(frame) else given

    assert not CompiledScorer(WrongOnTheExample(pipeline.steps), contract, frame).is_compiled
    assert "gives other probabilities than scikit-learn" in caplog.text


def test_no_records_have_no_scores() -> None:
    pipeline, contract = fitted("lightgbm")
    assert CompiledScorer(pipeline, contract).score([]).probabilities.shape == (0, 3)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), leaves=st.integers(2, 64), trees=st.integers(1, 30), rows=st.integers(1, 300))
def test_tables_sum_the_same_leaves_as_the_trees(seed: int, leaves: int, trees: int, rows: int) -> None:
    booster, X = a_booster(seed, leaves, trees)
    on_thresholds = np.random.default_rng(seed).choice(X.ravel(), size=(rows, X.shape[1]))  # values that nodes compare with
    found = walk(compile_booster(read_booster(booster.model_to_string())), Link.NONE, on_thresholds, np.empty((rows, 0), np.intp))
    assert found is not None
    np.testing.assert_array_equal(found[1][:, 0], booster.predict(on_thresholds, raw_score=True))


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10_000), mean=st.floats(-1e3, 1e3), spread=st.floats(1e-3, 1e3))
def test_numbers_as_they_come_reach_the_leaves_that_scaled_ones_reach(seed: int, mean: float, spread: float) -> None:
    booster, X = a_booster(seed, leaves=8, trees=5)

    def scale(numbers: np.ndarray, out: np.ndarray) -> None:
        np.subtract(numbers, mean, out=out)
        out /= spread

    tables = compile_booster(read_booster(booster.model_to_string()))
    # Numbers that are scaled to the thresholds, or would be if no bits were lost, and their neighbours
    close = np.resize(tables.thresholds * spread + mean, (200, X.shape[1]))
    numbers = np.concatenate([close, np.nextafter(close, -np.inf), np.nextafter(close, np.inf), X * spread + mean])
    scaled = np.empty_like(numbers)
    scale(numbers, scaled)
    codes = np.empty((len(numbers), 0), np.intp)
    as_they_come, expected = walk(before_scaling(tables, scale), Link.NONE, numbers, codes), walk(tables, Link.NONE, scaled, codes)
    assert as_they_come is not None
    assert expected is not None
    np.testing.assert_array_equal(as_they_come[1], expected[1])


def test_a_tree_of_more_leaves_than_a_mask_has_bits_is_not_compiled() -> None:
    booster, _ = a_booster(seed=1, leaves=65, trees=1)
    with pytest.raises(CannotCompile, match="65 leaves, more than 64"):
        compile_booster(read_booster(booster.model_to_string()))


def test_a_model_that_cannot_be_compiled_is_scored_by_scikit_learn(caplog: pytest.LogCaptureFixture) -> None:
    pipeline, contract = fitted("lightgbm")
    deep = LGBMClassifier(n_estimators=2, num_leaves=100, min_child_samples=2, n_jobs=1, verbose=-1)
    numbers = pipeline["features"].transform(Scorer(pipeline, contract)._frame(FAKES.records(2_000, seed=4)))
    deep.fit(numbers, np.random.default_rng(1).integers(3, size=len(numbers)))
    whole = Pipeline([("features", pipeline["features"]), ("model", deep)])
    records = FAKES.records(20, seed=5)
    compiled = CompiledScorer(whole, contract)
    assert not compiled.is_compiled
    assert "scikit-learn scores instead" in caplog.text
    np.testing.assert_array_equal(compiled.score(records).probabilities, Scorer(whole, contract).score(records).probabilities)


class TestRecordParser:
    parser = RecordParser(CONTRACT)

    @settings(max_examples=50, deadline=None)
    @given(seed=st.integers(0, 2**32 - 1), rows=st.integers(1, 30))
    def test_columns_hold_what_the_records_say(self, seed: int, rows: int) -> None:
        records = FAKES.records(rows, seed)
        columns = self.parser.parse(records)
        for position, name in enumerate(CONTRACT.numeric_features):
            told = [np.nan if record[name] is None else record[name] for record in records]
            np.testing.assert_array_equal(columns.numbers[:, position], np.array(told, dtype=np.float64))
        for position, (name, categories) in enumerate(CONTRACT.categorical_features.items()):
            assert [categories[code] for code in columns.codes[:, position]] == [record[name] for record in records]

    @settings(max_examples=200, deadline=None)
    @given(
        name=st.sampled_from([*CONTRACT.columns, "Nobody's column"]),
        value=st.one_of(
            st.none(),
            st.booleans(),
            st.integers(),
            st.floats(),
            st.text(max_size=5),
            st.sampled_from(["Female", "Yes", "2008-09-30", "2008-02-30", "20080930ab"]),
            st.lists(st.integers(), max_size=2),
        ),
        row=st.integers(0, 4),
        left_out=st.one_of(st.none(), st.sampled_from(CONTRACT.feature_names)),
        times=st.sampled_from([1, 20]),  # few are checked in another way than many
    )
    def test_at_once_and_one_by_one_agree_on_what_is_wrong(
        self, name: str, value: object, row: int, left_out: str | None, times: int
    ) -> None:
        records = FAKES.records(5, seed=1)
        records[row][name] = value
        if left_out is not None:
            records[row].pop(left_out, None)
        for others in (slice(None), slice(row, row + 1)):
            chosen = records[others] * times
            problem = wrong_with(partial(check_records, CONTRACT), chosen)
            assert wrong_with(self.parser.parse, chosen) == problem
            if problem == "nothing":
                by_one = self.parser.from_checked(check_records(CONTRACT, chosen))
                np.testing.assert_array_equal(self.parser.parse(chosen).numbers, by_one.numbers)
                np.testing.assert_array_equal(self.parser.parse(chosen).codes, by_one.codes)

    def test_records_with_different_keys_are_parsed_together(self) -> None:
        first, second = FAKES.records(2, seed=2)
        columns = self.parser.parse([{**first, "Employee ID": "a1", "Date of Joining": "2008-09-30", "Burn Rate": 0.5}, second])
        np.testing.assert_array_equal(columns.numbers, self.parser.parse([first, second]).numbers)

    @pytest.mark.parametrize("records", [[], [None], [[1]], [{}], ["text"]])
    def test_what_is_no_record_is_told_as_one_by_one(self, records: list[object]) -> None:
        if not records:
            assert len(self.parser.parse(records)) == 0
            return
        with pytest.raises(InvalidRecords):
            self.parser.parse(records)

    @pytest.mark.parametrize("dataset", ["employees", "heart", "covertype"])
    def test_a_frame_of_columns_gives_the_columns_back(self, dataset: str) -> None:
        contract = load_contract(dataset, DATA)
        parser = RecordParser(contract)
        columns = random_columns(contract, 300, missing_share=0.5)
        found = parser.from_frame(parser.frame(columns))
        np.testing.assert_array_equal(found.numbers, columns.numbers)
        np.testing.assert_array_equal(found.codes, columns.codes)

    def test_the_frame_is_what_scikit_learn_takes(self) -> None:
        pipeline, contract = fitted("lightgbm")
        records = FAKES.records(50, seed=6)
        scorer = Scorer(pipeline, contract)
        frame = RecordParser(contract).frame(self.parser.parse(records))
        np.testing.assert_array_equal(scorer.score_frame(frame).probabilities, scorer.score(records).probabilities)


def wrong_with(check: Callable[[list[dict[str, object]]], object], records: list[dict[str, object]]) -> str:
    try:
        check(records)
    except InvalidRecords as error:
        return str(error)
    return "nothing"


def a_booster(seed: int, leaves: int, trees: int) -> tuple[Booster, np.ndarray]:
    random = np.random.default_rng(seed)
    X = np.round(random.normal(size=(600, 4)), 1)  # few distinct values, so that nodes share thresholds
    y = X[:, 0] + X[:, 1] * X[:, 2] + random.normal(size=600) * 0.1
    params = {"objective": "regression", "num_leaves": leaves, "min_data_in_leaf": 1, "verbose": -1, "num_threads": 1, "max_bin": 255}
    return train(params, Dataset(X, y), trees), X
