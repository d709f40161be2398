"""Rollouts: what runs, what happened before, and what a person may do."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

RolloutState = Literal["running", "paused", "finishing", "rolling_back", "finished", "rolled_back", "cancelled"]


class RolloutCounts(BaseModel):
    """What a version did while the rollout ran, in all processes."""

    answers: int
    errors: int = Field(description="answers that failed; of the candidate, the champion gave them")
    p99_milliseconds: float | None = Field(description="of the time to score, an upper bound; null before the first answer")


class RolloutEventInfo(BaseModel):
    """Something that happened to a rollout."""

    at: datetime
    event: str = Field(description="started, stepped, paused, resumed, passed, failed, stopped, and how it ended")
    share: float
    reason: str


class RolloutInfo(BaseModel):
    """A version that was or is tried on a share of the champion's requests."""

    id: str
    dataset: str
    version: str = Field(description="the candidate")
    champion: str = Field(description="the version that was champion meanwhile")
    family: str = Field(description="whose alias the candidate gets in the end; empty: none")
    state: RolloutState
    share: float = Field(description="of the champion's requests that the candidate answers; of an ended one, the last")
    steps: list[float]
    started_by: str
    started_at: datetime
    changed_at: datetime = Field(description="when state or share changed last")
    ended_at: datetime | None
    reason: str = Field(description="for the last change")
    waits_for: str = Field(description="what a running one waits for; empty if it has ended")
    candidate_counts: RolloutCounts
    champion_counts: RolloutCounts
    events: list[RolloutEventInfo] = Field(description="the oldest first")


class RolloutList(BaseModel):
    """The rollouts of a data set."""

    dataset: str
    running: RolloutInfo | None
    ended: list[RolloutInfo] = Field(description="the latest first")


class NewRollout(BaseModel):
    """What a person starts."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"version": "7"}, {"version": "7", "steps": [0.1, 1.0]}]})

    version: str = Field(pattern="^[0-9]{1,18}$", description="number of the candidate")
    steps: list[float] | None = Field(None, min_length=1, max_length=20, description="shares that rise; without them those of the contract")
    over_gate: bool = Field(default=False, description="try it even if the gate has not passed the version; this is recorded")

    @field_validator("steps")
    @classmethod
    def _steps_rise(cls, steps: list[float] | None) -> list[float] | None:
        if steps is not None and (any(not 0 < step <= 1 for step in steps) or steps != sorted(set(steps))):
            raise ValueError("steps must be shares above 0 and at most 1 that rise")
        return steps
