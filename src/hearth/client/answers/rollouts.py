"""Rollouts: versions that are tried on a share of the traffic."""

from collections.abc import Sequence
from datetime import datetime

from hearth.client.answers.base import Answer


class RolloutCounts(Answer):
    """What a version did while a rollout ran; `p99_milliseconds` is of the time to score."""

    answers: int
    errors: int
    p99_milliseconds: float | None


class RolloutEvent(Answer):
    """Something that happened to a rollout."""

    at: datetime
    event: str
    share: float
    reason: str


class Rollout(Answer):
    """A version that was or is tried on a share of the champion's requests."""

    id: str
    dataset: str
    version: str
    champion: str
    family: str
    state: str
    share: float
    steps: Sequence[float]
    started_by: str
    started_at: datetime
    changed_at: datetime
    ended_at: datetime | None
    reason: str
    waits_for: str
    candidate_counts: RolloutCounts
    champion_counts: RolloutCounts
    events: Sequence[RolloutEvent]


class Rollouts(Answer):
    """The rollouts of a data set; of those that have ended the latest first."""

    dataset: str
    running: Rollout | None
    ended: Sequence[Rollout]
