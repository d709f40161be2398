"""The words of a contract about the checks of raw files."""

from typing import Literal

from pydantic import Field, field_validator

from hearth.contracts.column_types import Part, require_distinct

CheckName = Literal[
    "leaks", "jumps", "duplicates", "near_duplicates", "contradictions", "constants", "categories", "missing", "order", "labels"
]


class Checks(Part):
    """What is looked for in a raw file before anything is trained, and what a finding does."""

    run: bool = Field(default=True, description="false: nothing is looked for")
    fail_on: Literal["nothing", "stop", "warn"] = Field("nothing", description="findings of this level, or a more severe one, fail the ETL")
    skip: tuple[CheckName, ...] = Field((), description="checks that are not made, for example because their finding is known")

    @field_validator("skip")
    @classmethod
    def _are_distinct(cls, value: tuple[CheckName, ...]) -> tuple[CheckName, ...]:
        require_distinct(value)
        return value
