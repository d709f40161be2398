import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from hearth.contracts import Contract
from hearth.errors import RefusedModel
from hearth.modelling.features import build_features
from hearth.modelling.scorer import Scorer
from tests.support.samples import EMPLOYEES, records, sample_rows


def fitted(contract: Contract) -> Pipeline:
    X, y = sample_rows(contract, 300)
    return Pipeline([("features", build_features(contract)), ("model", LogisticRegression())]).fit(X, y.to_numpy())


PIPELINE = fitted(EMPLOYEES)
SCORER = Scorer(PIPELINE, EMPLOYEES)
X, _ = sample_rows(EMPLOYEES, 60, seed=7)
EXPECTED = PIPELINE.predict_proba(X)


def test_records_score_as_the_rows_that_they_are() -> None:
    scores = SCORER.score(records(X))

    assert X.isna().any(axis=None)
    np.testing.assert_array_equal(scores.probabilities, EXPECTED)
    np.testing.assert_array_equal(SCORER.score_frame(X).probabilities, EXPECTED)


def test_many_rows_are_scored_in_parts_with_the_same_probabilities(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hearth.modelling.scorer._ROWS", 7)

    np.testing.assert_allclose(SCORER.score_frame(X).probabilities, EXPECTED, rtol=1e-12)


def test_the_class_is_the_one_with_the_highest_probability() -> None:
    scores = SCORER.score(records(X))

    assert scores.codes.tolist() == EXPECTED.argmax(axis=1).tolist() == PIPELINE.predict(X).tolist()
    assert scores.labels == [("Low", "Medium", "High")[code] for code in scores.codes]
    assert scores.classes == ("Low", "Medium", "High")


@settings(deadline=None)
@given(st.lists(st.integers(0, 59), max_size=8))
def test_a_record_scores_the_same_alone_and_among_others_in_any_order(rows: list[int]) -> None:
    batch = records(X)

    scores = SCORER.score([batch[row] for row in rows])

    assert scores.probabilities.shape == (len(rows), 3)
    np.testing.assert_allclose(scores.probabilities, EXPECTED[rows], rtol=0, atol=1e-12)


@given(st.permutations(EMPLOYEES.feature_names))
def test_the_order_of_a_records_columns_does_not_matter(names: list[str]) -> None:
    [record] = records(X.head(1))

    scores = SCORER.score([{name: record[name] for name in names}])

    np.testing.assert_array_equal(scores.probabilities, EXPECTED[:1])


def test_no_records_give_no_predictions() -> None:
    scores = SCORER.score([])

    assert (scores.codes.shape, scores.probabilities.shape, scores.labels) == ((0,), (0, 3), [])


def test_threads_can_share_a_scorer() -> None:
    found: list[bool] = []

    def score() -> None:
        found.extend(np.array_equal(SCORER.score(records(X)).probabilities, EXPECTED) for _ in range(5))

    threads = [threading.Thread(target=score) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [True] * 20


class TestRequireContract:
    def test_a_pipeline_of_this_contract_is_accepted(self) -> None:
        SCORER.require_contract("models:/employees/1")

    def test_a_pipeline_without_a_column_of_the_contract_is_refused(self) -> None:
        smaller = EMPLOYEES.model_copy(update={"drop": (*EMPLOYEES.drop, "Team Size")})

        with pytest.raises(
            RefusedModel, match=r"models:/employees/1 cannot score what the contract of 'employees' allows.*Team Size.*Train again"
        ):
            Scorer(PIPELINE, smaller).require_contract("models:/employees/1")

    def test_a_category_that_the_pipeline_has_never_heard_of_is_refused(self) -> None:
        gender = EMPLOYEES.columns["Gender"].model_copy(update={"categories": ("Female", "Male", "Other")})
        wider = EMPLOYEES.model_copy(update={"columns": {**EMPLOYEES.columns, "Gender": gender}})

        with pytest.raises(RefusedModel, match="Other"):
            Scorer(PIPELINE, wider).require_contract("models:/employees/1")

    def test_another_number_of_classes_is_refused(self) -> None:
        two = EMPLOYEES.model_copy(update={"target": EMPLOYEES.target.model_copy(update={"classes": ("Low", "High"), "cuts": (0.5,)})})

        with pytest.raises(RefusedModel, match="knows 3 classes, the contract of 'employees' has 2"):
            Scorer(PIPELINE, two).require_contract("models:/employees/1")


def test_a_frame_may_hold_more_columns_than_the_features() -> None:
    np.testing.assert_array_equal(SCORER.score_frame(X.assign(extra=pd.Series(1, index=X.index))).probabilities, EXPECTED)
