"""The words of a contract about training again on labelled records: what may start it, on what, and how often; docs/retrain.md has why."""

from typing import Literal

from pydantic import Field, field_validator

from hearth.contracts.column_types import Number, Part, Whole, require_distinct
from hearth.contracts.deploy_words import Way

AutomaticTrigger = Literal["drift", "quality", "schedule"]
LEAST_HELD_OUT = 500
"""Fewer rows cannot tell two models apart that differ by 0.03."""


class Retrain(Part):
    """When a version is trained again on records that were served and got a label. A person may always start it.

    The newest `held_out` labelled records of the last `window_days` judge, those before them train. Labels are new if the last retraining
    did not have them.
    """

    triggers: tuple[AutomaticTrigger, ...] = Field(
        ("drift", "quality", "schedule"), description="what starts it beside a person; an empty list: nothing does"
    )
    minimum_labels: Whole = Field(1_000, ge=50, description="new labels without which nothing is trained, and rows to train on, at least")
    held_out: Whole = Field(LEAST_HELD_OUT, ge=LEAST_HELD_OUT, le=100_000, description="the newest labelled records, which judge")
    window_days: Number = Field(90, gt=0, le=3_650, description="how old a labelled record may be")
    cool_down_hours: Number = Field(6, ge=0, le=8_760, description="pause between two retrainings; it doubles with each candidate refused")
    most_refusals: Whole = Field(3, ge=1, le=20, description="candidates refused in a row after which only a person starts a retraining")
    old_test_loss: Number = Field(
        0.25, ge=0, le=1, description="how much of the metric may be lost on the test set of the data published last"
    )
    way: Way | None = Field(None, description="how a version that was trained again is deployed; by default as `deploy.way` says")

    @field_validator("triggers")
    @classmethod
    def _are_distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        require_distinct(value)
        return value

    @property
    def needed(self) -> int:
        """The labelled records that a retraining takes: to judge and to train on."""
        return self.held_out + self.minimum_labels
