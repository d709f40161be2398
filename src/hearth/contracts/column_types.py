"""The kinds of columns that a contract can have."""

from collections.abc import Iterable
from datetime import date, datetime
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise ValueError(f"must be a number, but YAML reads {str(value).lower()} as a boolean")  # noqa: TRY004 - pydantic wants it
    return value


def _text_or_whole(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int):
        read_as = "nothing" if value is None else f"the {_YAML_WORDS.get(type(value), type(value).__name__)} {str(value).lower()}"
        raise ValueError(f"must be a text or a whole number, but YAML reads {read_as}: put a text in quotes")  # noqa: TRY004 - as above
    return value


_YAML_WORDS: dict[type, str] = {bool: "boolean", float: "number", date: "date", datetime: "time", list: "list", dict: "mapping"}
Number = Annotated[float, BeforeValidator(_no_boolean)]
Whole = Annotated[int, BeforeValidator(_no_boolean)]
Code = Annotated[str | int, BeforeValidator(_text_or_whole)]
"""A value of a closed list, as records and files have it: a text, or a whole number that stands for something."""


class Part(BaseModel):
    """A part of a contract: nothing in it changes, nothing unknown is let in."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


HIDDEN = "(personal, not shown)"
"""What stands for a value of a personal column, and for what may hold one, where people look for errors."""


class _Column(Part):
    """`personal` columns say something about a person: their values are in no error, log line, dead letter or stored prediction."""

    description: str = Field(min_length=1)
    nullable: bool = False
    personal: bool = False


class IdentifierColumn(_Column):
    """A key: any text, never a feature."""

    kind: Literal["identifier"]

    @property
    def expected(self) -> str:
        """What a value must be, for error messages."""
        return "a text that is not empty"


class DateColumn(_Column):
    """A calendar day in ISO form, never a feature."""

    kind: Literal["date"]
    minimum: date | None = None
    maximum: date | None = None

    @model_validator(mode="after")
    def _has_a_range(self) -> Self:
        if self.minimum and self.maximum and self.minimum >= self.maximum:
            message = f"minimum ({self.minimum}) must be before maximum ({self.maximum})"
            raise ValueError(message)
        return self

    @property
    def expected(self) -> str:
        """What a value must be, for error messages."""
        return "a date such as 2008-09-30"


class CategoryColumn(_Column):
    """One of a closed list, which is written in one of two ways: `[Female, Male]`, or `{0: female, 1: male}` where the data hold codes.

    `categories` are the values that records hold: all texts or all whole numbers. `meanings` say what each of them means, to people; for
    a list they are the texts themselves.
    """

    kind: Literal["category"]
    categories: tuple[Code, ...] = Field(min_length=2)
    meanings: tuple[str, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _codes_have_meanings(cls, data: object) -> object:
        if isinstance(data, dict) and isinstance(written := data.get("categories"), dict):
            return {**data, "categories": tuple(written), "meanings": tuple(written.values())}
        return data

    @field_validator("categories")
    @classmethod
    def _are_distinct(cls, value: tuple[str | int, ...]) -> tuple[str | int, ...]:
        require_codes(value, "category")
        return value

    @model_validator(mode="after")
    def _each_has_a_meaning(self) -> Self:
        if self.meanings and len(self.meanings) != len(self.categories):
            message = f"{len(self.categories)} categories have {len(self.meanings)} meanings"
            raise ValueError(message)
        require_distinct(self.meanings)
        return self

    @property
    def holds_numbers(self) -> bool:
        """Whether records hold whole numbers here, and not texts."""
        return isinstance(self.categories[0], int)

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The categories as files and frames hold them."""
        return tuple(str(category) for category in self.categories)

    @property
    def expected(self) -> str:
        """What a value must be, for error messages."""
        texts = [repr(category) for category in self.categories]
        if self.meanings:
            texts = [f"{value} ({meaning})" for value, meaning in zip(texts, self.meanings, strict=True)]
        return "one of " + ", ".join(texts)


class _Numeric(_Column):
    minimum: Number
    maximum: Number
    unit: str = Field(min_length=1)

    @model_validator(mode="after")
    def _has_a_range(self) -> Self:
        if self.minimum >= self.maximum:
            message = f"minimum ({self.minimum:g}) must be below maximum ({self.maximum:g})"
            raise ValueError(message)
        return self


class NumberColumn(_Numeric):
    """A real number within a range."""

    kind: Literal["number"]

    @property
    def expected(self) -> str:
        """What a value must be, for error messages."""
        return f"a number from {self.minimum:g} to {self.maximum:g} ({self.unit})"


class IntegerColumn(_Numeric):
    """A whole number within a range."""

    kind: Literal["integer"]

    @model_validator(mode="after")
    def _bounds_are_whole(self) -> Self:
        if self.minimum % 1 or self.maximum % 1:
            message = f"minimum and maximum of an integer must be whole, got {self.minimum:g} and {self.maximum:g}"
            raise ValueError(message)
        return self

    @property
    def expected(self) -> str:
        """What a value must be, for error messages."""
        return f"a whole number from {self.minimum:g} to {self.maximum:g} ({self.unit})"


Column = Annotated[IdentifierColumn | DateColumn | CategoryColumn | IntegerColumn | NumberColumn, Field(discriminator="kind")]


def require_codes(codes: tuple[str | int, ...], what: str) -> None:
    """Raise ValueError unless these are distinct texts or distinct whole numbers."""
    if len({type(code) for code in codes}) > 1:
        message = f"must be all texts or all whole numbers, got {', '.join(repr(code) for code in codes)}"
        raise ValueError(message)
    require_distinct(str(code) for code in codes)
    for code in codes:
        if isinstance(code, str) and (code != code.strip() or not code):
            message = f"{what} {code!r} is empty or starts or ends with a space"
            raise ValueError(message)


def require_distinct(values: Iterable[str]) -> None:
    """Raise ValueError if a value is there twice."""
    earlier: set[str] = set()
    for value in values:
        if value in earlier:
            message = f"{value!r} is named twice"
            raise ValueError(message)
        earlier.add(value)
