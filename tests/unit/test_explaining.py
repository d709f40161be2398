"""What explanations add up to, against models that were really fitted."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lightgbm import LGBMClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from benchmarks.harness.exact_shap import exact_contributions
from hearth.contracts import Contract, list_contracts
from hearth.contracts.record_parser import Columns, RecordParser, raw_values
from hearth.data.cleaning import target_codes
from hearth.errors import TooBusy, TooSlow, UnknownClass
from hearth.fakes import FakeRecords
from hearth.modelling.calibration import METHODS, Method, calibrated, fit_calibrators, values_of
from hearth.modelling.families import FAMILIES
from hearth.modelling.features import build_features
from hearth.modelling.scorer import Scores
from hearth.serving.compiled.scorer import CompiledScorer
from hearth.serving.explaining import ALL_CLASSES, Explainers, Explanation, Unit
from hearth.serving.explaining.background import draw_background, representatives
from hearth.serving.explaining.model import contract_order
from hearth.serving.explaining.sampled_shap import SampledContributions
from hearth.serving.explaining.tree_shap import raw_origins
from hearth.serving.loaded_model import LoadedModel
from tests.support.models import DATA, FakeRegistry, employees, served
from tests.support.waiting import wait_until

CONTRACT = employees()
FAKES = FakeRecords.load(CONTRACT, DATA)
NULLABLE = [name for name, column in CONTRACT.feature_columns.items() if column.nullable]
OTHERS = ["knn", "svm", "random_forest", "logistic_regression"]


def two_classes() -> Contract:
    return changed(target={**CONTRACT.target.model_dump(), "cuts": (0.5,), "classes": ("Low", "High")})


def changed(**parts: object) -> Contract:
    return Contract.model_validate({**CONTRACT.model_dump(exclude_unset=True), **parts})


def estimator(family: str) -> object:
    if family == "lightgbm":
        return FAMILIES[family].build({**FAMILIES[family].defaults, "n_estimators": 20}, 1)
    return {
        "knn": lambda: FAMILIES["knn"].build(FAMILIES["knn"].defaults, 1),
        "svm": lambda: FAMILIES["svm"].build(FAMILIES["svm"].defaults, 1),
        "random_forest": lambda: RandomForestClassifier(20, random_state=1),
        "logistic_regression": lambda: LogisticRegression(max_iter=500),
    }[family]()


@cache
def fitted(family: str, classes: int = 3) -> LoadedModel:
    contract = CONTRACT if classes == 3 else two_classes()
    frame = FAKES.frame(400, seed=3)
    frame = frame[frame[contract.target.column].notna()]
    X = frame[list(contract.feature_names)].astype(dict.fromkeys(contract.numeric_features, np.float64))
    pipeline = Pipeline([("features", build_features(contract)), ("model", estimator(family))])
    return loaded(pipeline.fit(X, target_codes(contract, frame[contract.target.column]).to_numpy()), contract)


def loaded(pipeline: Any, contract: Contract = CONTRACT) -> LoadedModel:
    return LoadedModel("champion", FakeRegistry().version(contract.name, "1"), CompiledScorer(pipeline, contract), datetime.now(UTC))


def drawn(rows: int, seed: int, missing: tuple[str, ...] = ()) -> tuple[list[dict[str, object]], Columns]:
    records = [{**record, **dict.fromkeys(missing, None)} for record in FAKES.records(rows, seed)]
    return records, fitted("lightgbm").scorer.parser.parse(records)


@pytest.fixture
def explainers() -> Iterator[Explainers]:
    with Explainers({"employees": CONTRACT}, DATA) as made:
        yield made


def added_up(explanation: Explanation) -> float:
    return explanation.base_value + sum(part.contribution for part in explanation.contributions) + explanation.rest


class TestCalibrated:
    @pytest.mark.parametrize("method", METHODS)
    def test_contributions_of_a_calibrated_lightgbm_add_up_to_what_is_answered(self, method: Method, explainers: Explainers) -> None:
        """TreeSHAP explains sums of leaves, which a calibration bends: the probability itself is explained, as of other families."""
        plain = fitted("lightgbm").scorer.pipeline
        frame = FAKES.frame(400, seed=4)
        frame = frame[frame[CONTRACT.target.column].notna()]
        X = frame[list(CONTRACT.feature_names)].astype(dict.fromkeys(CONTRACT.numeric_features, np.float64))
        outputs = values_of(plain["model"], plain["features"].transform(X))
        truth = target_codes(CONTRACT, frame[CONTRACT.target.column]).to_numpy()
        calibrators = fit_calibrators(method, outputs, truth, are_probabilities=False)
        steps = [("features", plain["features"]), ("model", calibrated(plain["model"], method, calibrators))]
        model = loaded(Pipeline(steps))

        [made] = explainers.explain(model, drawn(1, 3)[1])

        assert model.scorer.is_compiled
        assert made.unit is Unit.PROBABILITY
        assert added_up(made) == pytest.approx(made.score)
        assert made.score == pytest.approx(made.probabilities[made.explained])


class TestLightgbm:
    @settings(max_examples=15, deadline=None)
    @given(
        seed=st.integers(0, 2**32 - 1),
        rows=st.integers(1, 5),
        missing=st.lists(st.sampled_from(NULLABLE), unique=True).map(tuple),
        top=st.none() | st.integers(1, 20),
        classes=st.sampled_from([2, 3]),
    )
    def test_contributions_add_up_to_the_boosters_raw_score(
        self, seed: int, rows: int, missing: tuple[str, ...], top: int | None, classes: int
    ) -> None:
        model, contract = fitted("lightgbm", classes), CONTRACT if classes == 3 else two_classes()
        _, columns = drawn(rows, seed, missing)
        X = model.scorer.pipeline["features"].transform(model.scorer.parser.frame(columns))
        raw = model.scorer.pipeline["model"].booster_.predict(X, raw_score=True)
        if classes == 2:
            raw = np.stack([-raw, raw], axis=1)
        with Explainers({"employees": contract}, DATA) as explainers:
            made = explainers.explain(model, columns, ALL_CLASSES, top)
        assert len(made) == rows * classes
        for explanation in made:
            assert explanation.unit is Unit.LOG_ODDS
            score = raw[explanation.row, contract.target.classes.index(explanation.explained)]
            assert (added_up(explanation), explanation.score) == pytest.approx((score, score), abs=1e-9)

    def test_a_raw_score_is_the_log_odds_of_two_classes_and_the_input_of_softmax_for_three(self, explainers: Explainers) -> None:
        _, columns = drawn(1, seed=4)
        scores = np.array([each.score for each in explainers.explain(fitted("lightgbm"), columns, ALL_CLASSES)])
        probabilities = list(explainers.explain(fitted("lightgbm"), columns)[0].probabilities.values())
        assert probabilities == pytest.approx((np.exp(scores) / np.exp(scores).sum()).tolist())
        with Explainers({"employees": two_classes()}, DATA) as two:
            [high] = two.explain(fitted("lightgbm", 2), columns, "High")
        assert high.probabilities["High"] == pytest.approx(1 / (1 + np.exp(-high.score)))

    def test_a_one_hot_column_is_told_as_the_one_that_people_know(self) -> None:
        pipeline = fitted("lightgbm").scorer.pipeline
        columns = {name: column.model_dump() for name, column in CONTRACT.columns.items()}
        columns["Gender"]["categories"] = ("Female", "Male", "Other", "Unsaid")
        columns["Company Type"]["nullable"] = True
        wide = changed(columns=columns)
        frame = FAKES.frame(100, seed=1)
        features = build_features(wide).fit(frame[list(wide.feature_names)].astype(dict.fromkeys(wide.numeric_features, np.float64)))
        assert raw_origins(features) == [*wide.numeric_features, *["Gender"] * 3, *["Company Type"] * 2, "WFH Setup Available"]
        assert raw_origins(pipeline["features"]) == [*CONTRACT.numeric_features, *CONTRACT.categorical_features]

    def test_a_column_that_no_tree_asks_for_contributes_nothing(self, explainers: Explainers) -> None:
        model = fitted("lightgbm")
        X = model.scorer.pipeline["features"].transform(model.scorer.parser.frame(drawn(300, seed=5)[1]))
        alone = LGBMClassifier(n_estimators=3, n_jobs=1, verbose=-1)
        alone.fit(np.where(np.arange(X.shape[1]) == 2, X, 0.0), np.digitize(X[:, 2], np.quantile(X[:, 2], [0.3, 0.7])))
        only = loaded(Pipeline([("features", model.scorer.pipeline["features"]), ("model", alone)]))
        [explanation] = explainers.explain(only, drawn(1, seed=6)[1])
        assert [part.column for part in explanation.contributions if part.contribution] == ["Mental Fatigue Score"]

    def test_a_model_that_learnt_another_loss_is_explained_from_outside(self, explainers: Explainers) -> None:
        model = fitted("lightgbm")
        X = model.scorer.pipeline["features"].transform(model.scorer.parser.frame(drawn(200, seed=5)[1]))
        other = LGBMClassifier(n_estimators=3, objective="multiclassova", n_jobs=1, verbose=-1).fit(X, np.arange(200) % 3)
        [explanation] = explainers.explain(
            loaded(Pipeline([("features", model.scorer.pipeline["features"]), ("model", other)])), drawn(1, seed=6)[1]
        )
        assert explanation.unit is Unit.PROBABILITY


class TestOtherFamilies:
    @pytest.mark.parametrize("family", OTHERS)
    def test_contributions_add_up_to_the_probability(self, explainers: Explainers, family: str) -> None:
        model = fitted(family)
        records, columns = drawn(2, seed=7, missing=("Mental Fatigue Score",))
        scores = model.scorer.score_columns(columns)
        made = explainers.explain(model, columns, ALL_CLASSES)
        for explanation in made:
            code = CONTRACT.target.classes.index(explanation.explained)
            assert explanation.unit is Unit.PROBABILITY
            assert explanation.score == pytest.approx(scores.probabilities[explanation.row, code], abs=1e-9)
            assert added_up(explanation) == pytest.approx(explanation.score, abs=1e-9)
            assert {part.column: part.value for part in explanation.contributions} == records[explanation.row]
        for row in range(2):
            of_row = [each for each in made if each.row == row]
            assert sum(each.base_value for each in of_row) == pytest.approx(1)
            for column in CONTRACT.feature_names:  # what speaks for a class speaks against the others
                amounts = [part.contribution for each in of_row for part in each.contributions if part.column == column]
                assert sum(amounts) == pytest.approx(0, abs=1e-9)

    def test_the_same_record_has_the_same_explanation_whatever_comes_before_it(self, explainers: Explainers) -> None:
        model = fitted("logistic_regression")
        _, columns = drawn(3, seed=8)
        together = explainers.explain(model, columns)
        alone = explainers.explain(model, columns.rows(slice(2, 3)))
        assert together[2].contributions == alone[0].contributions

    def test_contributions_to_an_additive_score_are_exact(self, explainers: Explainers) -> None:
        """The Shapley value is known there: the distance of the value's term from its mean over the background."""
        linear = loaded(_Additive())
        _, columns = drawn(1, seed=9)
        [explanation] = explainers.explain(linear, columns, "High")
        method = explainers._method(linear)
        assert isinstance(method, SampledContributions)
        found = {part.column: part.contribution for part in explanation.contributions}
        for name, weight in _Additive.weights.items():
            place = CONTRACT.numeric_features.index(name)
            expected = weight * (columns.numbers[0, place] - method.background[:, place].mean())
            assert found.pop(name) == pytest.approx(expected, abs=1e-9)
        assert max(map(abs, found.values())) < 1e-9

    @pytest.mark.parametrize("family", ["knn", "random_forest"])
    def test_contributions_are_near_those_of_all_coalitions(self, family: str) -> None:
        model = fitted(family)
        _, columns = drawn(2, seed=12, missing=("Mental Fatigue Score",))
        method = SampledContributions(CONTRACT, model.scorer, draw_background(CONTRACT, DATA, 128), rows=16)
        table, numbers = np.concatenate([columns.numbers, columns.codes], axis=1), columns.numbers.shape[1]
        exact = np.stack([exact_contributions(model.scorer, record, method.background, numbers) for record in table])
        exact = exact[:, contract_order(CONTRACT)]
        found = method.attribute(model.scorer, columns)
        errors = np.abs(found.contributions - exact)
        assert np.abs(exact).max() > 0.05
        assert errors.mean() < 0.012
        assert errors.max() < 0.08
        np.testing.assert_allclose(found.contributions.sum(axis=1), exact.sum(axis=1), atol=1e-9)

    def test_a_record_that_is_in_the_background_and_one_that_shares_values_are_explained(self, explainers: Explainers) -> None:
        model = fitted("logistic_regression")
        method = explainers._method(model)
        assert isinstance(method, SampledContributions)
        for shared in (13, 12, 6):
            record = np.where(np.arange(13) < shared, method.background[0], method.background[1])[None]
            columns = Columns(record[:, : method._numbers], record[:, method._numbers :].astype(np.intp))
            for explanation in explainers.explain(model, columns, ALL_CLASSES):
                code = CONTRACT.target.classes.index(explanation.explained)
                probability = model.scorer.score_columns(columns).probabilities[0, code]
                assert added_up(explanation) == pytest.approx(probability, abs=1e-9)

    def test_an_explanation_scores_at_most_a_row_a_step_of_a_walk_in_one_call(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = fitted("logistic_regression")
        method = SampledContributions(CONTRACT, model.scorer, draw_background(CONTRACT, DATA, 128))
        sizes: list[int] = []
        score = model.scorer.score_columns

        def counted(columns: Columns) -> Scores:
            sizes.append(len(columns))
            return score(columns)

        monkeypatch.setattr(model.scorer, "score_columns", counted)
        method.attribute(model.scorer, drawn(1, seed=13)[1])
        [size] = sizes
        assert size <= 64 * 2 * 12 + 1

    def test_representatives_have_the_mean_of_those_that_they_stand_for(self) -> None:
        drawn_rows = draw_background(CONTRACT, DATA, 512).columns
        outputs = fitted("knn").scorer.score_columns(drawn_rows).probabilities
        chosen = representatives(drawn_rows, outputs, 64)
        assert len(set(chosen.tolist())) == 64
        apart = np.abs(outputs[chosen].mean(axis=0) - outputs.mean(axis=0))
        random = [np.abs(outputs[np.random.default_rng(seed).choice(512, 64)].mean(axis=0) - outputs.mean(axis=0)) for seed in range(50)]
        assert apart.mean() < np.mean(random) / 2
        assert len(representatives(drawn_rows.rows(slice(5)), outputs[:5], 64)) == 5

    def test_a_data_set_without_statistics_has_a_background_that_its_contract_allows(self, tmp_path: Path) -> None:
        background = draw_background(CONTRACT, tmp_path, 40)
        parser = fitted("lightgbm").scorer.parser
        records = [raw_values(CONTRACT, background.columns, row) for row in range(40)]
        np.testing.assert_array_equal(parser.parse(records).numbers, background.columns.numbers)
        assert "evenly" in background.origin
        with Explainers({"employees": CONTRACT}, tmp_path) as explainers:
            assert "evenly" in explainers.method(fitted("logistic_regression"))


class _Additive:
    """High's probability is a weighted sum of two columns."""

    weights: ClassVar = {"Sleep Hours": 0.01, "Designation": -0.02}

    def predict_proba(self, frame) -> np.ndarray:  # type: ignore[no-untyped-def]  # noqa: ANN001
        high = 0.3 + sum(weight * frame[name].to_numpy() for name, weight in self.weights.items())
        return np.stack([(1 - high) / 2, (1 - high) / 2, high], axis=1)


class TestAsking:
    def test_the_predicted_class_is_explained_unless_another_is_named(self, explainers: Explainers) -> None:
        _, columns = drawn(5, seed=10)
        for explanation in explainers.explain(fitted("lightgbm"), columns):
            assert explanation.explained == explanation.label == max(explanation.probabilities, key=explanation.probabilities.__getitem__)
        assert {each.explained for each in explainers.explain(fitted("lightgbm"), columns, "High")} == {"High"}

    def test_the_largest_come_first_and_top_leaves_out_the_rest(self, explainers: Explainers) -> None:
        _, columns = drawn(1, seed=10)
        [whole] = explainers.explain(fitted("lightgbm"), columns)
        [cut] = explainers.explain(fitted("lightgbm"), columns, top=3)
        sizes = [abs(part.contribution) for part in whole.contributions]
        assert sizes == sorted(sizes, reverse=True)
        assert (len(sizes), whole.rest) == (13, 0.0)
        assert cut.contributions == whole.contributions[:3]
        assert cut.rest == pytest.approx(sum(part.contribution for part in whole.contributions[3:]))

    def test_values_are_told_as_they_were_sent(self, explainers: Explainers) -> None:
        records, columns = drawn(30, seed=11, missing=("Resource Allocation",))
        for explanation, record in zip(explainers.explain(fitted("lightgbm"), columns), records, strict=True):
            told = {part.column: part.value for part in explanation.contributions}
            assert told == record
            assert {name: type(value) for name, value in told.items()} == {name: type(value) for name, value in record.items()}

    @pytest.mark.parametrize("contract", list_contracts(DATA), ids=lambda contract: contract.name)
    def test_values_of_every_data_set_are_told_as_they_were_sent(self, contract: Contract) -> None:
        records = FakeRecords.load(contract, DATA).records(20, seed=2)
        columns = RecordParser(contract).parse(records)
        assert [raw_values(contract, columns, row) for row in range(20)] == records

    def test_a_class_that_the_data_set_does_not_have_is_refused(self, explainers: Explainers) -> None:
        with pytest.raises(UnknownClass, match="'employees' has no class 'Huge'; expected one of: Low, Medium, High, all"):
            explainers.explain(fitted("lightgbm"), drawn(1, seed=1)[1], "Huge")

    def test_an_explainer_goes_with_the_version_that_it_explains(self, explainers: Explainers) -> None:
        for family in ("lightgbm", "logistic_regression"):
            model = loaded(fitted(family).scorer.pipeline)
            explainers.explain(model, drawn(1, seed=1)[1])
            assert len(explainers._methods) == 1
            del model
            wait_until(lambda: len(explainers._methods) == 0)  # the thread lets its work go just after the result is there

    def test_no_more_than_so_many_wait(self) -> None:
        held, may_go = threading.Event(), threading.Event()

        class Slow(_Additive):
            def predict_proba(self, frame) -> np.ndarray:  # type: ignore[no-untyped-def]  # noqa: ANN001
                if len(frame) == 1:
                    held.set()
                    assert may_go.wait(30)
                return super().predict_proba(frame)

        model = loaded(Slow())
        _, columns = drawn(1, seed=1)
        with Explainers({"employees": CONTRACT}, DATA, max_waiting=2) as explainers:
            first, second = explainers.submit(model, columns), explainers.submit(model, columns)
            assert held.wait(30)
            with pytest.raises(TooBusy, match="2 requests for explanations wait already"):
                explainers.submit(model, columns)
            may_go.set()
            assert first.result(60)[0].contributions == second.result(60)[0].contributions
            assert len(explainers.submit(model, columns).result(60)) == 1

    def test_what_the_first_explanation_would_wait_for_is_done_before(self) -> None:
        for family, expected in (("lightgbm", []), ("logistic_regression", ["then"])):
            warmed: list[str] = []
            with served(FakeRegistry(fitted(family).scorer.pipeline, champion="1", knn="1")) as models:
                explainers = Explainers({"employees": CONTRACT}, DATA)
                explainers.warm(models, then=lambda: warmed.append("then"))  # noqa: B023 - called before the next turn
                explainers._thread.shutdown(wait=True)
                assert models.get("employees", "champion").scorer in explainers._methods
            assert warmed == expected

    def test_a_service_that_ends_leaves_the_records_that_are_left(self) -> None:
        explainers = Explainers({"employees": CONTRACT}, DATA)
        model = fitted("logistic_regression")
        future = explainers.submit(model, drawn(200, seed=1)[1])
        waiting = explainers.submit(model, drawn(1, seed=1)[1])
        explainers.close()
        for unanswered in (future, waiting):
            with pytest.raises(TooBusy, match="stopping"):
                unanswered.result(60)


class TestTurns:
    """One thread for all requests: none of them holds it for long."""

    def test_a_single_record_does_not_wait_for_all_records_of_another_request(self, monkeypatch: pytest.MonkeyPatch) -> None:
        explained: list[int] = []
        go_on = threading.Event()

        def explain(_: Explainers, model: object, record: Columns, *rest: object) -> list[object]:  # noqa: ARG001 - its interface
            go_on.wait()
            explained.append(len(columns_of[id(model)]))
            return []

        monkeypatch.setattr(Explainers, "_explain_record", explain)
        (_, many), (_, one) = drawn(10, seed=1), drawn(1, seed=2)
        large, small = loaded(fitted("lightgbm").scorer.pipeline), loaded(fitted("lightgbm").scorer.pipeline)
        columns_of = {id(large): many, id(small): one}
        with Explainers({"employees": CONTRACT}, DATA) as explainers:
            futures = [explainers.submit(large, many), explainers.submit(small, one)]
            go_on.set()
            for future in futures:
                future.result(30)
        assert explained.index(1) <= 2
        assert len(explained) == 11

    def test_a_cancelled_request_takes_no_further_turn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        reached, go_on, explained = threading.Event(), threading.Event(), []

        def explain(*_: object) -> list[object]:
            reached.set()
            go_on.wait()
            explained.append(1)
            return []

        monkeypatch.setattr(Explainers, "_explain_record", explain)
        with Explainers({"employees": CONTRACT}, DATA) as explainers:
            future = explainers.submit(fitted("lightgbm"), drawn(10, seed=1)[1])
            assert reached.wait(30)
            assert future.cancel()
            go_on.set()
            explainers.submit(fitted("lightgbm"), drawn(1, seed=1)[1]).result(30)
        assert len(explained) == 2

    def test_a_request_that_takes_too_long_is_given_up(self) -> None:
        with (
            Explainers({"employees": CONTRACT}, DATA, seconds=0) as explainers,
            pytest.raises(TooSlow, match="HEARTH_EXPLAIN_SECONDS"),
        ):
            explainers.explain(fitted("lightgbm"), drawn(2, seed=1)[1])
