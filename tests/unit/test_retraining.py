"""Whether to train again: what asks for it, what is in the way, and how long."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.contracts import load_contract
from hearth.contracts.column_types import IntegerColumn
from hearth.contracts.retrain_words import Retrain
from hearth.monitoring.check import Level
from hearth.monitoring.retraining import LOST_AFTER, PastRetrain, Situation, State, cool_down_end, decide, refusals_in_a_row
from tests.support.samples import ROOT

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
CONTRACT = load_contract("heart", ROOT / "data").model_copy(update={"retrain": Retrain()})  # with the default words
QUIET = Situation(Level.OK, "1000 records of version 1: ok.", "", labels=2_000, new_labels=2_000)
DRIFTED = dataclasses.replace(QUIET, drift=Level.ACT, drift_detail="1000 records of version 1: act. oldpeak: mean 1.0 before, 2.0 now.")
states = st.sampled_from([State.RUNNING, State.DEPLOYED, State.REFUSED, State.FAILED])


def past(hours: float, state: State = State.REFUSED, trigger: str = "drift") -> PastRetrain:
    at = NOW - timedelta(hours=hours)
    return PastRetrain(f"run-{hours}", trigger, state, at, None if state is State.RUNNING else at)


def with_history(*history: PastRetrain, **changes: Any) -> Situation:
    return dataclasses.replace(DRIFTED, history=history, **changes)


def with_words(**words: Any) -> Any:
    return CONTRACT.model_copy(update={"retrain": Retrain(**words)})


def test_drift_with_enough_new_labels_trains() -> None:
    chosen = decide(CONTRACT, DRIFTED, now=NOW)
    assert (chosen.state, chosen.trigger) == (State.RUNNING, "drift")
    assert "oldpeak" in chosen.why


@pytest.mark.parametrize("level", [None, Level.NOT_ENOUGH, Level.OK, Level.WARN, Level.DRIFT])
def test_less_than_drift_in_two_windows_trains_nothing(level: Level | None) -> None:
    chosen = decide(CONTRACT, dataclasses.replace(DRIFTED, drift=level), now=NOW)
    assert (chosen.state, chosen.trigger) == (State.WAITING, "none")


@pytest.mark.parametrize("alarm", ["drift", "quality"])
def test_an_alarm_without_labels_asks_for_labels_and_trains_nothing(alarm: str) -> None:
    alarmed = DRIFTED if alarm == "drift" else dataclasses.replace(QUIET, quality_alarm="E = 77")
    chosen = decide(CONTRACT, dataclasses.replace(alarmed, labels=1_499, new_labels=1_499), now=NOW)
    assert (chosen.state, chosen.trigger) == (State.LABELS_NEEDED, alarm)
    assert "1499 labelled records of the last 90 days are too few: 500 judge and 1000 train" in chosen.why


def test_labels_that_the_last_retraining_had_are_not_new() -> None:
    few = dataclasses.replace(DRIFTED, labels=5_000, new_labels=999)
    assert decide(CONTRACT, few, now=NOW).state is State.LABELS_NEEDED
    assert decide(CONTRACT, few, now=NOW, by_person=True).state is State.WAITING
    assert decide(CONTRACT, few, now=NOW, by_person=True, force=True).trains


def test_force_does_not_train_on_too_few_rows() -> None:
    few = dataclasses.replace(DRIFTED, labels=1_499, new_labels=0)
    assert not decide(CONTRACT, few, now=NOW, by_person=True, force=True).trains


def test_a_fall_of_quality_needs_no_drift_and_comes_before_it() -> None:
    fallen = dataclasses.replace(DRIFTED, quality_alarm="E = 77")
    assert decide(CONTRACT, fallen, now=NOW).trigger == "quality"
    assert decide(CONTRACT, dataclasses.replace(fallen, drift=Level.OK), now=NOW).trains


def test_the_schedule_needs_no_alarm() -> None:
    assert decide(CONTRACT, QUIET, now=NOW, scheduled=True).trigger == "schedule"


def test_what_the_contract_does_not_name_starts_nothing_but_a_person_does() -> None:
    off = with_words(triggers=[])
    alarmed = dataclasses.replace(DRIFTED, quality_alarm="E = 77")
    waiting = decide(off, alarmed, now=NOW, scheduled=True)
    assert (waiting.state, waiting.trigger) == (State.WAITING, "none")
    assert "retrain.triggers is empty" in waiting.why
    assert decide(off, QUIET, now=NOW, by_person=True).trains


def test_the_cool_down_doubles_with_each_refusal_and_a_person_does_not_wait() -> None:
    cooling = with_history(past(5, State.DEPLOYED))
    chosen = decide(CONTRACT, cooling, now=NOW)
    assert (chosen.state, chosen.until) == (State.WAITING, NOW + timedelta(hours=1))
    assert decide(CONTRACT, cooling, now=NOW + timedelta(hours=1)).trains
    twice = with_history(past(5), past(30, State.FAILED), past(90, State.DEPLOYED))
    assert decide(CONTRACT, twice, now=NOW).until == NOW + timedelta(hours=24 - 5)
    assert decide(CONTRACT, twice, now=NOW, by_person=True).trains


def test_after_three_refusals_only_a_person_starts_one_and_that_closes_the_circuit() -> None:
    refused = [past(1_000), past(2_000), past(3_000)]
    paused = decide(CONTRACT, with_history(*refused), now=NOW)
    assert paused.state is State.PAUSED
    assert "start a retraining by hand" in paused.why
    assert decide(CONTRACT, with_history(*refused), now=NOW, by_person=True).trains
    assert decide(CONTRACT, with_history(past(100, State.REFUSED, "person"), *refused), now=NOW).trains


def test_one_that_runs_is_waited_for_until_it_counts_as_lost_and_then_as_a_refusal() -> None:
    running = with_history(past(1, State.RUNNING))
    chosen = decide(CONTRACT, running, now=NOW, by_person=True, force=True)
    assert (chosen.state, chosen.until) == (State.WAITING, NOW - timedelta(hours=1) + LOST_AFTER)
    assert decide(CONTRACT, running, now=NOW, own_id="run-1").trains
    lost = with_history(past(13, State.RUNNING))
    assert decide(CONTRACT, lost, now=NOW, by_person=True).trains
    assert decide(CONTRACT, with_history(*(past(hours, State.RUNNING) for hours in (99, 999, 9_999))), now=NOW).state is State.PAUSED


def test_a_version_that_is_tried_on_a_share_of_the_traffic_is_waited_for() -> None:
    chosen = decide(CONTRACT, dataclasses.replace(DRIFTED, rollout="7"), now=NOW, by_person=True, force=True)
    assert chosen.state is State.WAITING
    assert "the rollout 7 runs" in chosen.why


@pytest.mark.parametrize("personal", [True, "hash"])
def test_features_whose_values_are_not_stored_make_it_impossible_and_the_answer_says_which(personal: bool | str) -> None:
    column = CONTRACT.columns["age"]
    assert isinstance(column, IntegerColumn)
    hidden = CONTRACT.model_copy(update={"columns": {**CONTRACT.columns, "age": column.model_copy(update={"personal": personal})}})
    chosen = decide(hidden, DRIFTED, now=NOW, by_person=True, force=True)
    assert chosen.state is State.WAITING
    assert "values of age are not stored" in chosen.why


@given(
    history=st.lists(st.tuples(st.floats(0, 10_000), states, st.sampled_from(["drift", "person"])), max_size=8),
    labels=st.integers(0, 5_000),
    new=st.integers(0, 5_000),
    level=st.sampled_from([None, *Level]),
    alarm=st.sampled_from(["", "E = 50"]),
    by_person=st.booleans(),
    force=st.booleans(),
)
def test_nothing_is_ever_trained_without_labels_or_beside_another_or_in_the_cool_down(  # noqa: PLR0913, PLR0917 - drawn
    history: list[tuple[float, State, str]],
    labels: int,
    new: int,
    level: Level | None,
    alarm: str,
    by_person: bool,
    force: bool,
) -> None:
    pasts = [past(hours, state, trigger) for hours, state, trigger in sorted(history)]
    situation = Situation(level, "", alarm, labels, min(new, labels), pasts)
    chosen = decide(CONTRACT, situation, now=NOW, by_person=by_person, force=force)
    words, ends = CONTRACT.retrain, cool_down_end(CONTRACT.retrain, pasts)
    assert chosen.until is None or chosen.until > NOW
    if not chosen.trains:
        return
    assert labels >= words.needed
    assert not any(each.state is State.RUNNING and NOW - each.decided_at < LOST_AFTER for each in pasts)
    if not by_person:
        assert alarm or level is Level.ACT
        assert min(new, labels) >= words.minimum_labels
        assert ends is None or ends <= NOW
        assert refusals_in_a_row(pasts) < words.most_refusals
