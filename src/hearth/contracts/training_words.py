"""The words of a contract about how much of a train set models are fitted on; docs/scaling.md has what more rows are worth."""

from typing import Annotated

from pydantic import Field

from hearth.contracts.column_types import Part, Whole

LEAST_ROWS = 1_000
"""Fewer rows than this cannot be asked for: a learning curve begins here."""


class Training(Part):
    """How many rows models are fitted on, and whether it is measured what more rows are worth."""

    most_rows: dict[str, Annotated[Whole, Field(ge=LEAST_ROWS)]] = Field(
        {}, description="rows that a family is fitted on, at most, by its name: {svm: 30000}; other families as the catalogue says"
    )
    learning_curve: bool = Field(default=True, description="whether a training of enough rows draws the metric against the rows")
