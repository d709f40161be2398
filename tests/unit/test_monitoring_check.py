"""Levels of a check, on made-up windows."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from hearth.contracts import Contract, load_contract
from hearth.data.profile import profile
from hearth.monitoring.check import DriftCheck, Level, check
from hearth.monitoring.domain_classifier import second_opinion
from hearth.monitoring.quality import estimate_quality
from hearth.monitoring.reference import CONFIDENCE, INCOMPLETE, PREDICTED_CLASS, Incomplete, Outputs, Reference, describe_outputs
from hearth.monitoring.report import html_report
from hearth.monitoring.window import Position, Window, features_of
from tests.support.samples import sample_rows

CONTRACT = load_contract("employees", Path(__file__).parents[2] / "data")
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)


def probabilities(rows: int, seed: int, sure: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet([4 * sure, 2, 1], rows)


def make_reference(contract: Contract = CONTRACT, rows: int = 8_000) -> Reference:
    X, y = sample_rows(contract, rows, seed=1)
    X = X[X.isna().sum(axis=1) <= contract.cleaning.max_nulls]
    own = probabilities(3_000, 2)
    return Reference(profile(contract, X, y[X.index], "d"), describe_outputs(contract, own.argmax(axis=1), own, 0.8), Incomplete(20, rows))


REFERENCE = make_reference()


def window(rows: int = 1_000, seed: int = 3, start: int = 0, sure: float = 1.0, changed: Mapping[str, pd.Series] | None = None) -> Window:
    X, _ = sample_rows(CONTRACT, rows, seed)
    own = probabilities(rows, seed + 1, sure)
    first, last = (Position(NOON + timedelta(seconds=at), "m", 0) for at in (start, start + rows - 1))
    return Window(X.assign(**(changed or {})), own.argmax(axis=1), own, first, last)


def shifted(rows: int, seed: int, amount: float, name: str = "Sleep Hours") -> Mapping[str, pd.Series]:
    X, _ = sample_rows(CONTRACT, rows, seed)
    return {name: X[name] + amount * X[name].std()}


def judge(now: Window | None, before: Window | None = None, last: DriftCheck | None = None, version: str = "1") -> DriftCheck:
    return check(CONTRACT, version, REFERENCE, now, before, now=NOON, last=last)


def test_a_window_as_the_reference_is_ok_with_every_feature_and_output_compared() -> None:
    found = judge(window(), window(seed=9))
    assert found.level is Level.OK
    assert found.since is None
    assert {column.name for column in found.columns} == {*CONTRACT.feature_names, PREDICTED_CLASS, CONFIDENCE, INCOMPLETE}
    assert DriftCheck.from_json(found.to_json()) == found


@pytest.mark.parametrize("rows", [0, 1, 499])
def test_below_the_minimum_there_is_no_alarm_however_different_records_are(rows: int) -> None:
    found = judge(window(rows, changed=shifted(rows, 3, 3.0)) if rows else None)
    assert found.level is Level.NOT_ENOUGH
    assert "not enough, 500 are needed" in found.summary
    assert not found.columns


def test_a_large_shift_drifts_and_in_two_windows_that_share_no_record_it_acts() -> None:
    moved = window(changed=shifted(1_000, 3, 0.7))
    one = judge(moved, window(seed=9))
    two = judge(moved, window(seed=9, changed=shifted(1_000, 9, 0.7)))
    other = judge(moved, window(seed=9, changed=shifted(1_000, 9, 0.7, "Team Size")))
    assert (one.level, two.level, other.level) == (Level.DRIFT, Level.ACT, Level.DRIFT)
    assert [column.name for column in two.alarming] == ["Sleep Hours"]
    assert "+0.7" in two.summary


def test_a_small_sure_shift_warns() -> None:
    found = judge(window(10_000, changed=shifted(10_000, 3, 0.15)))
    assert found.level is Level.WARN


def test_missing_values_and_a_new_share_of_a_category_are_seen() -> None:
    X, _ = sample_rows(CONTRACT, 1_000, 3)
    holes = X["Mental Fatigue Score"].where(np.arange(1_000) % 4 > 0)
    women = X["Gender"].where(np.arange(1_000) % 3 > 0, "Female")
    found = {column.name: column for column in judge(window(changed={"Mental Fatigue Score": holes, "Gender": women})).alarming}
    assert set(found) >= {"Mental Fatigue Score", "Gender"}
    assert "missing in" in found["Mental Fatigue Score"].difference.detail
    assert found["Gender"].difference.detail.startswith("Male: 4") or found["Gender"].difference.detail.startswith("Female: ")


def test_records_with_too_many_missing_features_are_compared_by_their_share_alone() -> None:
    X, _ = sample_rows(CONTRACT, 1_000, 3)
    empty = np.arange(1_000) % 5 > 0
    holes = {name: X[name].where(empty) for name in ("Mental Fatigue Score", "Resource Allocation")}
    found = judge(window(changed=holes))
    assert found.alarming[0].name == INCOMPLETE
    assert {column.name for column in found.alarming} == {INCOMPLETE}


def test_where_a_personal_column_may_be_missing_a_window_as_the_reference_is_ok_and_missing_values_are_not_compared() -> None:
    content = CONTRACT.model_dump()
    content["columns"]["Mental Fatigue Score"]["personal"] = True
    contract = Contract.model_validate(content)

    def rows(count: int, seed: int) -> tuple[pd.DataFrame, pd.Series]:
        X, y = sample_rows(contract, count, seed)
        chance = np.random.default_rng(seed).random((2, count))
        holes = {name: X[name].where(chance[i] > 0.3) for i, name in enumerate(("Mental Fatigue Score", "Resource Allocation"))}
        return X.assign(**holes), y

    X, y = rows(8_000, 1)
    kept = X[X.isna().sum(axis=1) <= contract.cleaning.max_nulls]
    reference = Reference(profile(contract, kept, y[kept.index], "d"), REFERENCE.outputs, Incomplete(len(X) - len(kept), len(X)))

    def judged(shift: float) -> DriftCheck:
        X, _ = rows(1_000, 3)
        frame = X.drop(columns="Mental Fatigue Score")
        frame["Sleep Hours"] += shift
        return check(contract, "1", reference, replace(window(), features=frame), None, now=NOON)

    found = judged(0.0)
    assert found.level is Level.OK
    assert INCOMPLETE not in {column.name for column in found.columns}
    assert not any("missing" in column.difference.p_values for column in found.columns if column.difference.role == "input")
    assert [column.name for column in judged(1.0).alarming] == ["Sleep Hours"]


def test_answers_of_another_kind_are_seen_where_records_stay() -> None:
    found = judge(window(sure=3.0))
    assert {column.name for column in found.alarming} == {PREDICTED_CLASS, CONFIDENCE}
    assert all(column.difference.role == "output" for column in found.alarming)


def test_an_ignored_column_never_alarms_and_personal_ones_are_not_compared() -> None:
    content = CONTRACT.model_dump()
    content["drift"] = {"ignore": ["Sleep Hours"]}
    content["columns"]["Gender"]["personal"] = True
    contract = Contract.model_validate(content)
    records = [{"Gender": "Female", "Sleep Hours": 7.0, "Team Size": None, "other": 1}] * 2
    frame = features_of(contract, records)
    assert "Gender" not in frame
    assert frame["Team Size"].isna().all()
    moved = replace(window(changed=shifted(1_000, 3, 3.0)))
    found = check(contract, "1", REFERENCE, moved, None, now=NOON)
    assert found.level is Level.OK
    assert "Sleep Hours" not in {column.name for column in found.columns}


def test_values_of_another_type_are_missing_and_raise_nothing() -> None:
    odd = ["seven", 10**400, float("inf"), True, [1], {"a": 1}]
    frame = features_of(CONTRACT, [{"Gender": 3}, *({"Sleep Hours": value} for value in odd)])
    assert frame["Sleep Hours"].isna().all()
    assert frame["Gender"].tolist()[0] == "3"


def test_a_code_is_the_same_category_however_its_number_is_written() -> None:
    heart = load_contract("heart", Path(__file__).parents[2] / "data")
    assert features_of(heart, [{"sex": 1}, {"sex": 1.0}])["sex"].tolist() == ["1", "1"]


def test_a_level_falls_only_with_a_window_that_shares_no_record_with_the_last_one_at_that_level() -> None:
    alarm = judge(window(changed=shifted(1_000, 3, 0.7)))
    overlapping = judge(window(seed=9, start=500), last=alarm)
    assert (overlapping.found, overlapping.level, overlapping.since) == (Level.OK, Level.DRIFT, NOON)
    assert "holds" in overlapping.summary
    few = judge(window(300, start=2_000), last=overlapping)
    assert few.level is Level.DRIFT
    free = judge(window(seed=9, start=1_000), last=overlapping)
    assert (free.level, free.since) == (Level.OK, None)


def test_a_new_version_starts_anew() -> None:
    alarm = judge(window(changed=shifted(1_000, 3, 0.7)))
    assert judge(window(300, start=500), last=alarm, version="2").level is Level.NOT_ENOUGH
    assert judge(window(seed=9, start=500), last=alarm, version="2").level is Level.OK


def test_a_reference_without_outputs_or_with_other_columns_compares_what_both_have() -> None:
    numbers = {name: own for name, own in REFERENCE.profile.numbers.items() if name != "Sleep Hours"}
    partial = Reference(replace(REFERENCE.profile, numbers=numbers))
    names = {column.name for column in check(CONTRACT, "1", partial, window(), None, now=NOON).columns}
    assert names == set(CONTRACT.feature_names) - {"Sleep Hours"}


def test_answers_that_are_numbers_have_a_profile_too() -> None:
    outputs = Outputs(rows=100, numbers={"(prediction)": REFERENCE.outputs.numbers[CONFIDENCE]} if REFERENCE.outputs else {})
    assert Outputs.from_json(outputs.to_json()) == outputs


def test_quality_is_estimated_as_labels_that_follow_the_probabilities_have_it() -> None:
    own = probabilities(5_000, 4)
    codes = own.argmax(axis=1)
    truth = (np.random.default_rng(5).random(5_000)[:, None] > own.cumsum(axis=1)[:, :-1]).sum(axis=1)
    estimated = estimate_quality("accuracy", own)
    assert estimated
    assert estimated.value == pytest.approx(own.max(axis=1).mean())
    assert estimated.low < (truth == codes).mean() < estimated.high
    assert estimate_quality("macro_f1", np.zeros((0, 3))) is None
    assert estimate_quality("rmse", own) is None


def test_a_classifier_tells_drifted_records_and_only_those() -> None:
    train, _ = sample_rows(CONTRACT, 2_000, 1)
    same, moved = (second_opinion(train, window(changed=change).features) for change in ({}, shifted(1_000, 3, 0.7)))
    assert same
    assert moved
    assert not same.sees_drift
    assert moved.sees_drift
    assert moved.columns[0][0] == "Sleep Hours"
    assert second_opinion(train, train.head(3)) is None


def test_the_report_shows_names_as_they_are_and_runs_nothing_of_them() -> None:
    found = judge(window(changed=shifted(1_000, 3, 0.7)))
    column = found.columns[0]
    named = replace(column, difference=replace(column.difference, name="<script>alert(1)</script>"))
    page = html_report(replace(found, columns=(named,)), "T & T", {"<b>": b"png"}).decode()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<b>" not in page


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"ignore": ["Nothing"]}, "names 'Nothing', which is no feature"),
        ({"ignore": ["Sleep Hours", "Sleep Hours"]}, "twice"),
        ({"minimum": 600, "window": 500}, "minimum (600) must be at most window (500)"),
        ({"level": 0}, "greater than 0"),
        ({"psy": 1}, "Extra inputs"),
    ],
)
def test_a_mistake_in_the_words_about_drift_is_refused(words: dict[str, object], reason: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Contract.model_validate({**CONTRACT.model_dump(), "drift": words})
    assert reason in str(refused.value)
