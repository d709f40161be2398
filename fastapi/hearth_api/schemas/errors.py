"""How every answer that is not a success looks."""

from pydantic import BaseModel, Field


class ErrorEntry(BaseModel):
    """One thing that is wrong with one record."""

    row: int = Field(description="position in the request, from 0")
    column: str
    value: object = Field(description="what was sent, null if nothing was")
    expected: str


class ErrorBody(BaseModel):
    """Every answer that is not a success."""

    error: str = Field(description="a stable word", examples=["invalid_records"])
    detail: str = Field(description="a sentence")
    errors: list[ErrorEntry] = Field(description="what is wrong with which record, the first hundred")
    more_errors: int = Field(0, description="how many more there are")
