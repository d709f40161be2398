"""The body of every error."""

from pydantic import BaseModel, Field


class ErrorEntry(BaseModel):
    """A problem of one record."""

    row: int = Field(description="position in the request, from 0")
    column: str
    value: object = Field(description="the value in the request, null if it is missing")
    expected: str


class ErrorBody(BaseModel):
    """The body of every error."""

    error: str = Field(description="a stable word", examples=["invalid_records"])
    detail: str = Field(description="a sentence")
    errors: list[ErrorEntry] = Field(description="problems of records, the first hundred")
    more_errors: int = Field(0, description="number of further problems")
