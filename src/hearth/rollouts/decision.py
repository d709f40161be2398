"""Whether a candidate stays at its share, gets a larger one, or is rolled back. Pure; docs/rollout.md has how often it errs."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from hearth.contracts.deploy_words import Deploy
from hearth.monitoring.quality import EstimatedQuality
from hearth.rollouts.counts import Counts
from hearth.rollouts.statistics import ErrorTest, upper_place

Action = Literal["stay", "step", "finish", "roll_back"]

_DEVIATIONS = 3.0  # above the champion's own share of errors
_MOST_ERRORS = 0.9
_QUANTILE = 0.99
_FEWEST_TIMES = 100  # of the champion, before which nothing is known of its p99


@dataclass(frozen=True)
class Estimates:
    """The metric of both versions on what they answered lately, as their own probabilities have it."""

    candidate: EstimatedQuality
    champion: EstimatedQuality


@dataclass(frozen=True)
class Evidence:
    """What is known of a running rollout.

    Counts are since its start and of all processes; `step_answers` is how many answers the candidate had given when the present step began.
    `refusal` says why a process refuses to load the candidate, and `alarm` what a test on labelled answers says; both are empty if nothing.
    `slow_since` is the one of the last decision.
    """

    share: float
    step_since: datetime
    step_answers: int
    candidate: Counts
    champion: Counts
    refusal: str = ""
    alarm: str = ""
    estimates: Estimates | None = None
    slow_since: datetime | None = None


@dataclass(frozen=True)
class Verdict:
    """What to do, at which share, and why. `slow_since` is since when the candidate is too slow without a pause."""

    action: Action
    share: float
    reason: str
    slow_since: datetime | None = None


def decide(words: Deploy, evidence: Evidence, now: datetime, *, may_step: bool = True) -> Verdict:
    """Return what to do. What speaks against the candidate comes first; without that the step must have lasted, in answers and in time.

    With `may_step=False`, of a rollout that a person has paused, nothing steps forward.
    """
    is_slow, slow = _slow(words, evidence)
    since = (evidence.slow_since or now) if is_slow else None
    problems = (
        evidence.refusal,
        _failing(words, evidence),
        slow if since and now - since >= timedelta(seconds=words.latency_seconds) else "",
        evidence.alarm,
        _estimated_worse(words, evidence.estimates),
    )
    if problem := next(filter(None, problems), ""):
        return Verdict("roll_back", 0.0, problem, since)
    answers = evidence.candidate.answers - evidence.step_answers
    left = timedelta(minutes=words.minutes) - (now - evidence.step_since)
    if not may_step:
        return Verdict("stay", evidence.share, "paused", since)
    if is_slow:
        return Verdict("stay", evidence.share, slow, since)
    if answers < words.answers or left > timedelta():
        minutes = max(0.0, left.total_seconds() / 60)
        return Verdict("stay", evidence.share, f"{answers} of {words.answers} answers at this step, {minutes:.1f} minutes left", since)
    following = next((step for step in words.shares if step > evidence.share), None)
    reason = f"{answers} answers at this step, {evidence.candidate.errors} errors in all"
    return Verdict("step", following, reason) if following else Verdict("finish", evidence.share, reason)


def _failing(words: Deploy, evidence: Evidence) -> str:
    candidate, champion = evidence.candidate, evidence.champion
    bound = words.errors
    if champion.errors:  # whatever the champion fails at too is not the candidate's fault
        bound = min(_MOST_ERRORS, max(bound, (champion.errors + _DEVIATIONS * math.sqrt(champion.errors)) / champion.answers))
    if not ErrorTest(bound, words.level).is_beyond(candidate.errors, candidate.answers):
        return ""
    return (
        f"{candidate.errors} of {candidate.answers} answers failed ({candidate.error_share:.2%}), more than {bound:.2%}; "
        f"of the champion's {champion.answers}, {champion.errors}"
    )


def _slow(words: Deploy, evidence: Evidence) -> tuple[bool, str]:
    """Return whether more than 1 % of the candidate's times lie beyond what its p99 may be, and what that is."""
    candidate, champion = evidence.candidate, evidence.champion
    if champion.timed < _FEWEST_TIMES or not candidate.timed:
        return False, ""
    p99 = champion.quantile(upper_place(champion.timed, _QUANTILE) / champion.timed) or 0.0
    limit = max(words.latency_milliseconds / 1000, words.latency_ratio * p99)
    slower = candidate.slower_than(limit)
    if not ErrorTest(1 - _QUANTILE, words.level).is_beyond(slower, candidate.timed):
        return False, ""
    return True, (
        f"{slower} of {candidate.timed} answers took longer than {1000 * limit:.3g} ms to score, where 1 % may: that is "
        f"{words.latency_ratio:g} times the champion's p99, or what is never too slow"
    )


def _estimated_worse(words: Deploy, estimates: Estimates | None) -> str:
    if estimates is None:
        return ""
    candidate, champion = estimates.candidate, estimates.champion
    if candidate.high >= champion.value - words.estimate_drop:
        return ""
    return (
        f"the estimated {candidate.metric} is {candidate.value:.3f} ({candidate.low:.3f} to {candidate.high:.3f}), more than "
        f"{words.estimate_drop:g} below the champion's {champion.value:.3f} ({champion.low:.3f} to {champion.high:.3f})"
    )
