"""The words of a contract about drift: how much of a difference between what is served and what a version was trained on is an alarm."""

from typing import Self

from pydantic import Field, model_validator

from hearth.contracts.column_types import Number, Part, Whole, require_distinct


class Drift(Part):
    """When the records that are served alarm; docs/drift.md has what each default was measured to do.

    `warn`: a difference is more than chance. `drift`: and large. `act`: large in the same column in two windows in a row that share no
    record.
    """

    level: Number = Field(0.005, gt=0, le=0.2, description="share of checks that may warn by chance, over all statistics of a check")
    psi: Number = Field(0.05, gt=0, le=5, description="population stability index, beyond chance, from which a difference is large")
    window: Whole = Field(1_000, ge=100, le=10_000, description="newest records that are compared, at most")
    minimum: Whole = Field(500, ge=50, le=10_000, description="records below which the answer is 'not enough'")
    ignore: tuple[str, ...] = Field((), description="features that may change, such as a year")

    @model_validator(mode="after")
    def _window_holds_the_minimum(self) -> Self:
        require_distinct(self.ignore)
        if self.minimum > self.window:
            message = f"minimum ({self.minimum}) must be at most window ({self.window})"
            raise ValueError(message)
        return self
