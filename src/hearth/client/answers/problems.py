"""Errors."""

from collections.abc import Sequence

from pydantic import Field

from hearth.client.answers.base import Answer


class ErrorEntry(Answer):
    """One thing that is wrong with one record."""

    row: int
    column: str
    value: object
    expected: str


class ErrorBody(Answer):
    """Every answer that is not a success."""

    error: str
    detail: str
    errors: Sequence[ErrorEntry]
    more_errors: int = Field(0, description="problems beyond those listed")
