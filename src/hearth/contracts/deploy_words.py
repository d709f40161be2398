"""The words of a contract about deployment: how a version that has passed the gate becomes champion, and what stops it on the way."""

from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from hearth.contracts.column_types import Number, Part, Whole

Way = Literal["direct", "shadow", "canary"]
WAYS: tuple[Way, ...] = get_args(Way)


class Deploy(Part):
    """How a version that has passed the gate is deployed; docs/rollout.md has what each default was measured to do.

    `direct`: it becomes champion at once. `shadow`: it becomes challenger, and a person decides. `canary`: it answers a share of the
    champion's requests, step by step, and becomes champion, or is rolled back by itself.
    """

    way: Way = "direct"
    steps: tuple[Number, ...] = Field((0.05, 0.25, 1.0), min_length=1, max_length=20, description="canary: shares of the requests, rising")
    answers: Whole = Field(500, ge=1, description="requests that the candidate has answered at a step before the next, at least")
    minutes: Number = Field(10, ge=0, le=10_080, description="minutes that a step lasts, at least")
    errors: Number = Field(0.005, gt=0, lt=1, description="share of failed answers of the candidate, at most")
    latency_ratio: Number = Field(2, gt=1, description="p99 of the candidate's time to score, as a multiple of the champion's, at most")
    latency_milliseconds: Number = Field(10, ge=0, description="a p99 up to this is never too slow")
    latency_seconds: Number = Field(10, ge=0, le=3_600, description="how long it must be too slow without a pause")
    estimate_drop: Number = Field(
        0.05, gt=0, lt=1, description="how far the metric that is estimated without labels may lie below the champion's"
    )
    level: Number = Field(0.01, gt=0, le=0.2, description="share of candidates within a bound that are rolled back for it by chance")

    @model_validator(mode="after")
    def _steps_rise(self) -> Self:
        if any(not 0 < step <= 1 for step in self.steps) or list(self.steps) != sorted(set(self.steps)):
            message = f"steps must be shares above 0 and at most 1 that rise, got {list(self.steps)}"
            raise ValueError(message)
        return self

    @property
    def shares(self) -> tuple[float, ...]:
        """The shares of the steps in their order."""
        return tuple(map(float, self.steps))
