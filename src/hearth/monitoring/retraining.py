"""Whether to train again: a decision from what was watched, the labels, and what became of earlier retrainings. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal

from hearth.contracts import Contract
from hearth.contracts.retrain_words import Retrain
from hearth.monitoring.check import Level

Trigger = Literal["drift", "quality", "schedule", "person", "none"]
LOST_AFTER = timedelta(hours=12)
"""A retraining that has not ended after this time counts as failed."""
_MOST_DOUBLINGS = 16


class State(StrEnum):
    """What became of a decision."""

    WAITING = "waiting"
    LABELS_NEEDED = "labels_needed"
    PAUSED = "paused"
    RUNNING = "running"
    DEPLOYED = "deployed"
    REFUSED = "refused"
    FAILED = "failed"

    @property
    def trains(self) -> bool:
        """Whether something was trained, or was about to be."""
        return self in {State.RUNNING, State.DEPLOYED, State.REFUSED, State.FAILED}


@dataclass(frozen=True)
class PastRetrain:
    """An earlier retraining of the data set, as far as the next decision depends on it."""

    id: str
    trigger: str
    state: State
    decided_at: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Situation:
    """What is known when it is decided.

    Attributes:
        drift: level of the newest check; None if there is none of the champion.
        drift_detail: that check in a sentence.
        quality_alarm: why the labels say that the champion has become worse; empty if they do not.
        labels: labelled records of the window, without those that were forgotten.
        new_labels: those of them that came in after the last retraining had taken its labels.
        rollout: the id of a rollout that runs; empty without one.
        history: earlier retrainings, the newest first, without decisions that trained nothing.
    """

    drift: Level | None
    drift_detail: str
    quality_alarm: str
    labels: int
    new_labels: int
    history: Sequence[PastRetrain] = ()
    rollout: str = ""


@dataclass(frozen=True)
class Choice:
    """The decision: RUNNING to train now, else WAITING, LABELS_NEEDED (an alarm, and no labels) or PAUSED (a person is needed).

    `until` is when the answer may be another one by time alone.
    """

    state: State
    trigger: Trigger
    why: str
    until: datetime | None = None

    @property
    def trains(self) -> bool:
        """Whether to train now."""
        return self.state is State.RUNNING


def decide(  # noqa: PLR0913 - the first two, and who asks
    contract: Contract,
    situation: Situation,
    *,
    now: datetime,
    by_person: bool = False,
    force: bool = False,
    scheduled: bool = False,
    own_id: str = "",
) -> Choice:
    """Decide whether a retraining starts now.

    A person is held up by neither the cool-down nor earlier refusals, but by a retraining that runs, by features that are not stored, and
    by too few labels; with `force` the labels need not be new. `own_id` is the id of the run that asks: its own row, which an interrupted
    try left, is no other run.
    """
    trigger, cause = _trigger(contract.retrain, situation, by_person=by_person, scheduled=scheduled)
    if trigger == "none":
        return Choice(State.WAITING, trigger, cause)
    obstacle = next(_obstacles(contract, situation, trigger, now, own_id=own_id, force=force and by_person), None)
    if obstacle is not None:
        return Choice(obstacle.state, trigger, f"{cause}, but {obstacle.why}", obstacle.until)
    return Choice(State.RUNNING, trigger, f"{cause}; {situation.labels} labelled records, {situation.new_labels} of them new")


@dataclass(frozen=True)
class _Obstacle:
    why: str
    state: State = State.WAITING
    until: datetime | None = None


def _obstacles(  # noqa: PLR0913 - what a decision is made of
    contract: Contract, situation: Situation, trigger: Trigger, now: datetime, *, own_id: str, force: bool
) -> Iterator[_Obstacle]:
    """Yield what is in the way, what counts most first."""
    words, history = contract.retrain, [past for past in situation.history if past.id != own_id]
    if hidden := unstored_features(contract):
        names = ", ".join(hidden)
        yield _Obstacle(f"values of {names} are not stored with predictions, so these cannot be trained on: bring labelled rows to the ETL")
    if running := next((past for past in history if past.state is State.RUNNING and now < past.decided_at + LOST_AFTER), None):
        yield _Obstacle(f"the retraining {running.id} runs", until=running.decided_at + LOST_AFTER)
    if situation.rollout:
        yield _Obstacle(f"the rollout {situation.rollout} runs, and a version that is tried may be the next champion")
    if lacking := _lacking_labels(words, situation, force=force):
        yield _Obstacle(lacking, State.LABELS_NEEDED if trigger in {"drift", "quality"} else State.WAITING)
    if trigger == "person":
        return
    if (refusals := refusals_in_a_row(history)) >= words.most_refusals:
        why = f"the last {refusals} candidates were refused or failed (retrain.most_refusals): look at them, and start a retraining by hand"
        yield _Obstacle(why, State.PAUSED)
    rest = cool_down_end(words, history)
    if rest is not None and now < rest:
        doubled = f", doubled {refusals} times" if refusals else ""
        yield _Obstacle(f"the cool-down of {words.cool_down_hours:g} hours{doubled} lasts", until=rest)


def refusals_in_a_row(history: Sequence[PastRetrain]) -> int:
    """Return how many candidates were refused or failed since the last one that was deployed or that a person started; newest first."""
    count = 0
    for past in _ended(history):
        if past.state is State.DEPLOYED or past.trigger == "person":
            break
        count += 1
    return count


def cool_down_end(words: Retrain, history: Sequence[PastRetrain]) -> datetime | None:
    """Return when the cool-down after the last retraining ends; None if there was none."""
    last = next(_ended(history), None)
    if last is None:
        return None
    doublings = min(refusals_in_a_row(history), _MOST_DOUBLINGS)
    return (last.ended_at or last.decided_at) + timedelta(hours=words.cool_down_hours * float(2**doublings))


def unstored_features(contract: Contract) -> tuple[str, ...]:
    """Return the features whose values are not stored with predictions: personal ones, of which there is nothing or a hash."""
    return tuple(name for name, column in contract.feature_columns.items() if column.personal)


def _ended(history: Sequence[PastRetrain]) -> Iterator[PastRetrain]:
    return (past for past in history if past.state.trains)


def _trigger(words: Retrain, situation: Situation, *, by_person: bool, scheduled: bool) -> tuple[Trigger, str]:
    if by_person:
        return "person", "a person asks"
    if situation.quality_alarm and "quality" in words.triggers:
        return "quality", f"quality has fallen ({situation.quality_alarm})"
    if situation.drift is Level.ACT and "drift" in words.triggers:
        return "drift", f"served records have drifted ({situation.drift_detail.rstrip('.')})"
    if scheduled and "schedule" in words.triggers:
        return "schedule", "it is time"
    off = "" if words.triggers else " (retrain.triggers is empty)"
    return "none", f"nothing asks for a retraining{off}: drift is {situation.drift or 'not checked'}, and labels raise no alarm"


def _lacking_labels(words: Retrain, situation: Situation, *, force: bool) -> str:
    if situation.labels < words.needed:
        return (
            f"{situation.labels} labelled records of the last {words.window_days:g} days are too few: {words.held_out} judge and "
            f"{words.minimum_labels} train (retrain.held_out, retrain.minimum_labels)"
        )
    if not force and situation.new_labels < words.minimum_labels:
        return (
            f"{situation.new_labels} labels are new since the last retraining, {words.minimum_labels} are needed (retrain.minimum_labels)"
        )
    return ""
