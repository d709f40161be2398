"""Stay, step forward, finish or roll back: as the words say, rarely by chance, and soon where something is wrong."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hearth.contracts.deploy_words import Deploy
from hearth.monitoring.quality import EstimatedQuality
from hearth.rollouts.counts import BUCKETS, UPPER_SECONDS, Counts, bucket_of
from hearth.rollouts.decision import Estimates, Evidence, decide
from hearth.rollouts.statistics import ErrorTest

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
WORDS = Deploy(way="canary", answers=500, minutes=10)
LONG_AGO = NOW - timedelta(hours=1)


def counts(answers: int, errors: int = 0, seconds: np.ndarray | float = 0.0001) -> Counts:
    made = Counts(answers, errors)
    for value in np.broadcast_to(seconds, answers):
        made.latencies[bucket_of(float(value))] += 1
    return made


def evidence(candidate: Counts, champion: Counts | None = None, **others: object) -> Evidence:
    known = Evidence(0.05, LONG_AGO, 0, candidate, champion or counts(10_000))
    return replace(known, **others)  # type: ignore[arg-type]


class TestForward:
    def test_a_step_needs_its_answers_and_its_minutes(self) -> None:
        few = decide(WORDS, evidence(counts(499)), NOW)
        early = decide(WORDS, evidence(counts(500), step_since=NOW - timedelta(minutes=9)), NOW)

        assert (few.action, few.reason) == ("stay", "499 of 500 answers at this step, 0.0 minutes left")
        assert (early.action, early.reason) == ("stay", "500 of 500 answers at this step, 1.0 minutes left")

    def test_a_step_that_has_both_is_followed_by_the_next_and_the_last_by_the_end(self) -> None:
        shares = [decide(WORDS, evidence(counts(500), share=share), NOW) for share in (0.05, 0.25, 1.0)]

        assert [(each.action, each.share) for each in shares] == [("step", 0.25), ("step", 1.0), ("finish", 1.0)]

    def test_only_answers_of_the_step_count(self) -> None:
        assert decide(WORDS, evidence(counts(900), step_answers=401), NOW).action == "stay"

    def test_a_paused_one_goes_nowhere_but_back(self) -> None:
        assert decide(WORDS, evidence(counts(500)), NOW, may_step=False).action == "stay"
        assert decide(WORDS, evidence(counts(500, 100)), NOW, may_step=False).action == "roll_back"


class TestBack:
    def test_a_version_that_a_process_refuses_goes_at_once(self) -> None:
        verdict = decide(WORDS, evidence(counts(0), refusal="its probe answered otherwise"), NOW)

        assert (verdict.action, verdict.share, verdict.reason) == ("roll_back", 0.0, "its probe answered otherwise")

    def test_errors_are_named_with_their_numbers(self) -> None:
        verdict = decide(WORDS, evidence(counts(400, 20)), NOW)

        assert verdict.action == "roll_back"
        assert verdict.reason == "20 of 400 answers failed (5.00%), more than 0.50%; of the champion's 10000, 0"

    def test_errors_that_the_champion_has_as_often_are_not_the_candidates(self) -> None:
        assert decide(WORDS, evidence(counts(400, 20), counts(10_000, 600)), NOW).action == "stay"

    def test_a_slow_one_stays_until_it_was_slow_without_a_pause(self) -> None:
        slow = evidence(counts(600, seconds=0.1), counts(10_000, seconds=0.02))
        first = decide(WORDS, slow, NOW)
        later = decide(WORDS, replace(slow, slow_since=first.slow_since), NOW + timedelta(seconds=10))

        assert (first.action, first.slow_since) == ("stay", NOW)
        assert later.action == "roll_back"
        assert "600 of 600 answers took longer than" in later.reason
        assert decide(WORDS, replace(slow, candidate=counts(600, seconds=0.02), slow_since=NOW), NOW).slow_since is None

    def test_what_is_fast_enough_is_never_too_slow(self) -> None:
        many_times = evidence(counts(600, seconds=0.009), counts(10_000, seconds=0.0001), slow_since=LONG_AGO)

        assert decide(WORDS, many_times, NOW).action == "step"

    def test_without_times_of_the_champion_nothing_is_slow(self) -> None:
        assert decide(WORDS, evidence(counts(600, seconds=5.0), counts(99), slow_since=LONG_AGO), NOW).action == "step"

    @pytest.mark.parametrize(("value", "action"), [(0.80, "step"), (0.72, "step"), (0.71, "roll_back")])
    def test_an_estimate_far_below_the_champions_with_both_intervals(self, value: float, action: str) -> None:
        champion = EstimatedQuality("macro_f1", 0.80, 0.78, 0.82)
        candidate = EstimatedQuality("macro_f1", value, value - 0.03, value + 0.03)

        assert decide(WORDS, evidence(counts(600), estimates=Estimates(candidate, champion)), NOW).action == action

    def test_an_alarm_on_labelled_answers(self) -> None:
        assert decide(WORDS, evidence(counts(600), alarm="accuracy has fallen"), NOW).reason == "accuracy has fallen"


class TestFigures:
    """docs/rollout.md has the same, of more runs: how often a good candidate is rolled back, and how soon a bad one."""

    @staticmethod
    def found_after(share: float, runs: int, answers: int, seed: int = 0) -> np.ndarray:
        """Return after how many answers each run was stopped when it is looked at after every 10; infinite for those that were not."""
        random = np.random.default_rng(seed)
        looks = np.arange(10, answers + 1, 10)
        events = random.binomial(10, share, (runs, len(looks))).cumsum(axis=1)
        test = ErrorTest(WORDS.errors, WORDS.level)
        limit = np.array([next(events for events in range(answers) if test.is_beyond(events, int(of))) for of in looks])
        is_beyond = events >= limit
        return np.where(is_beyond.any(axis=1), looks[is_beyond.argmax(axis=1)], math.inf)

    def test_one_at_the_bound_is_stopped_by_chance_as_rarely_as_the_level_says(self) -> None:
        assert np.isfinite(self.found_after(0.005, runs=2_000, answers=5_000)).mean() <= WORDS.level

    def test_one_that_fails_seldom_is_hardly_ever_stopped(self) -> None:
        assert not np.isfinite(self.found_after(0.001, runs=2_000, answers=5_000)).any()

    @pytest.mark.parametrize(("share", "answers"), [(0.01, 5_000), (0.02, 800), (0.05, 160), (1.0, 10)])
    def test_the_worse_it_is_the_sooner_it_is_stopped(self, share: float, answers: int) -> None:
        assert np.median(self.found_after(share, runs=500, answers=20_000)) <= answers

    @given(st.floats(min_value=1e-6, max_value=0.999), st.integers(0, 5_000), st.integers(0, 5_000))
    def test_every_bound_has_an_answer_and_more_failures_never_make_it_milder(self, bound: float, events: int, others: int) -> None:
        test = ErrorTest(bound, WORDS.level)
        assert not test.is_beyond(0, others)
        assert test.log_evidence(events + 1, events + others + 1) > test.log_evidence(events, events + others + 1)


class TestCounts:
    @given(st.floats(min_value=1e-7, max_value=1e4))
    def test_a_time_lies_below_the_bound_of_its_bucket_and_above_that_of_the_one_before(self, seconds: float) -> None:
        place = bucket_of(seconds)

        assert place == BUCKETS - 1 or seconds <= UPPER_SECONDS[place] * (1 + 1e-9)
        assert place == 0 or seconds > UPPER_SECONDS[place - 1] * (1 - 1e-9)

    def test_a_quantile_is_the_bound_of_its_bucket(self) -> None:
        made = counts(100, seconds=np.array([0.001] * 98 + [0.5] * 2))

        assert made.quantile(0.5) == pytest.approx(0.001, rel=0.2)
        assert made.quantile(0.99) == pytest.approx(0.5, rel=0.2)
        assert Counts().quantile(0.5) is None

    def test_those_of_several_processes_are_added(self) -> None:
        whole = Counts.total([counts(3, 1), counts(5)])

        assert (whole.answers, whole.errors, whole.timed) == (8, 1, 8)

    def test_a_histogram_of_another_release_is_left_out(self) -> None:
        assert Counts.of(7, 1, [1, 2, 3]) == Counts(7, 1)


@pytest.mark.parametrize("steps", [(0.0, 0.5), (0.5, 0.25), (0.5, 0.5), (0.5, 1.5), ()])
def test_steps_are_shares_that_rise(steps: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError, match="steps"):
        Deploy(steps=steps)
