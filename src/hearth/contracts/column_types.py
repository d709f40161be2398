"""The kinds of columns that a contract can have."""

from collections.abc import Iterable
from datetime import date, datetime
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from hearth.contracts.texts import MISSING, NUMBER, normalized


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


def _word(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float) or not str(value).strip():
        raise ValueError("must be a word or a number; put -, . and ~ in quotes")
    return normalized(str(value).strip())


MissingWord = Annotated[str, BeforeValidator(_word)]
"""What stands for a missing value in files, beside the words that always do."""


class Part(BaseModel):
    """A part of a contract: nothing in it changes, nothing unknown is let in."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


HIDDEN = "(personal, not shown)"
"""What stands for a value of a personal column, and for what may hold one, where people look for errors."""


class _Column(Part):
    """`personal` columns say something about a person: their values are in no error, log line or dead letter.

    Of stored predictions they are left out, or a keyed hash stands for them: `hash`. A column that is no `feature` is not seen by a model:
    its groups are reported, and that is all.
    """

    description: str = Field(min_length=1)
    nullable: bool = False
    personal: bool | Literal["hash"] = False
    feature: bool = Field(default=True, description="false: kept for the report of groups only, no model sees it")
    missing: tuple[MissingWord, ...] = Field((), description="what files hold where a value is missing, beside the usual words")

    @cached_property
    def missing_words(self) -> frozenset[str]:
        """All texts of a cell that mean a missing value."""
        return MISSING.union(self.missing)

    @cached_property
    def missing_numbers(self) -> tuple[float, ...]:
        """The numbers that mean a missing value, however they are written."""
        return tuple(float(word) for word in self.missing if NUMBER.fullmatch(word))


class IdentifierColumn(_Column):
    """A key: any text, never a feature."""

    kind: Literal["identifier"]

    @property
    def expected(self) -> str:
        """What a value must be, for error messages."""
        return "a text that is not empty"


class DateColumn(_Column):
    """A calendar day, never a feature: in ISO form, in files also in a `format` of strptime. A time of day is left out."""

    kind: Literal["date"]
    minimum: date | None = None
    maximum: date | None = None
    format: str = Field("", description="how files write it, such as %d/%m/%Y or %d.%m.%Y %H:%M; empty: as 2008-09-30")

    @field_validator("format")
    @classmethod
    def _reads_days(cls, value: str) -> str:
        if not value:
            return value
        day = datetime(2008, 9, 30)  # noqa: DTZ001 - a day
        try:
            back = datetime.strptime(day.strftime(value), value)  # noqa: DTZ007 - a day
        except ValueError as error:
            message = f"{value!r} is no format of a date: {error}"
            raise ValueError(message) from error
        if back.date() != day.date():
            message = f"{value!r} does not hold day, month and year, such as %d/%m/%Y"
            raise ValueError(message)
        if value.startswith("%Y-%d"):
            message = f"{value!r} would read 2008-03-09 as another day than ISO does"
            raise ValueError(message)
        return value

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

    @property
    def expected_in_files(self) -> str:
        """What a cell of a file must be, for error messages."""
        return f"a date such as {date(2008, 9, 30).strftime(self.format)}" if self.format else self.expected


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
        if words := [word for word in self.missing if word in {normalized(text) for text in self.texts}]:
            message = f"{words[0]!r} is a category, so it cannot mean a missing value: take it out of categories or of missing"
            raise ValueError(message)
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
        if codes := [number for number in self.missing_numbers if self.minimum <= number <= self.maximum]:
            message = f"{codes[0]:g} is a value between minimum and maximum, so it cannot mean a missing value"
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
    require_distinct(normalized(str(code)) for code in codes)
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
