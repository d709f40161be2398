"""The words of a contract about labels: how far the quality of what is served may fall before that is an alarm."""

from pydantic import Field

from hearth.contracts.column_types import Number, Part, Whole


class Quality(Part):
    """What labels of served records are compared with; docs/loop.md has what each default was measured to do."""

    tolerance: Number = Field(
        0.02, gt=0, lt=0.5, description="how far the share of right answers may lie below that on the test set, without an alarm"
    )
    level: Number = Field(0.02, gt=0, le=0.2, description="chance that a version that has not fallen so far ever alarms")
    minimum: Whole = Field(100, ge=30, le=100_000, description="labels below which the answer is 'not enough'")
    days: Whole = Field(30, ge=1, le=365, description="days whose labels are measured, back from now")
