"""The words of a contract and the rules between them."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class _Column(_Part):
    description: str = Field(min_length=1)
    nullable: bool = False

    @property
    def unit_text(self) -> str:
        """The unit as it follows a number, or nothing."""
        return ""


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

    @property
    def expected(self) -> str:
        """What a value must be, for error messages."""
        return "a date such as 2008-09-30"


class CategoryColumn(_Column):
    """One of a closed list of texts."""

    kind: Literal["category"]
    categories: tuple[str, ...] = Field(min_length=2)

    @field_validator("categories")
    @classmethod
    def _are_distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        _require_distinct(value)
        return value

    @property
    def expected(self) -> str:
        """What a value must be, for error messages."""
        return "one of " + ", ".join(repr(category) for category in self.categories)


class _Numeric(_Column):
    minimum: float
    maximum: float
    unit: str = Field(min_length=1)

    @model_validator(mode="after")
    def _has_a_range(self) -> Self:
        if self.minimum >= self.maximum:
            message = f"minimum ({self.minimum:g}) must be below maximum ({self.maximum:g})"
            raise ValueError(message)
        return self

    @property
    def unit_text(self) -> str:
        """The unit as it follows a number."""
        return f" {self.unit}"


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

    @property
    def expected(self) -> str:
        """What a value must be, for error messages."""
        return f"a whole number from {self.minimum:g} to {self.maximum:g} ({self.unit})"


Column = Annotated[IdentifierColumn | DateColumn | CategoryColumn | IntegerColumn | NumberColumn, Field(discriminator="kind")]


class Source(_Part):
    """Where the raw data come from."""

    file: str = Field(pattern=r"^[A-Za-z0-9._-]+\.csv$", description="file name, dropped into the data set's folder and uploaded to the bucket")


class Target(_Part):
    """What is predicted: a number cut into classes, or a column that holds whole class codes."""

    column: str
    cuts: tuple[float, ...] = ()
    classes: tuple[str, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _cuts_make_the_classes(self) -> Self:
        _require_distinct(self.classes)
        if self.cuts and len(self.cuts) != len(self.classes) - 1:
            message = f"{len(self.cuts)} cuts make {len(self.cuts) + 1} classes, but classes names {len(self.classes)}"
            raise ValueError(message)
        if list(self.cuts) != sorted(set(self.cuts)):
            message = f"cuts must rise, got {list(self.cuts)}"
            raise ValueError(message)
        return self


class Cleaning(_Part):
    """Which rows the ETL keeps."""

    max_nulls: int = Field(1, ge=0, description="a row with more missing features is dropped")
    drop_duplicates: bool = True
    max_rejected_share: float = Field(0.05, ge=0, le=1, description="above this share of rows that break the contract the ETL fails")


class Split(_Part):
    """How the test set is set aside: stratified by class."""

    test_share: float = Field(0.2, gt=0, lt=1)
    seed: int = 42


class Features(_Part):
    """How the pipeline turns records into numbers."""

    imputer: Literal["mice"] = "mice"
    imputer_iterations: int = Field(10, ge=1)
    scaler: Literal["standard", "min_max"] = "standard"


class Contract(_Part):
    """One data set."""

    name: str = Field(pattern="^[a-z][a-z0-9_]*$")
    title: str
    description: str
    source: Source
    target: Target
    metric: Literal["macro_f1", "accuracy"]
    families: tuple[str, ...] = Field(min_length=1)
    drop: tuple[str, ...] = ()
    cleaning: Cleaning = Cleaning()
    split: Split = Split()
    features: Features = Features()
    columns: dict[str, Column] = Field(min_length=2)

    @field_validator("columns")
    @classmethod
    def _columns_have_names(cls, value: dict[str, Column]) -> dict[str, Column]:
        for name in value:
            if name != name.strip() or not name:
                message = f"column name {name!r} is empty or starts or ends with a space"
                raise ValueError(message)
        return value

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        _require_distinct(self.families)
        for name in self.drop:
            if name not in self.columns:
                message = f"drop: names {name!r}, which is not in columns"
                raise ValueError(message)
        target = self.columns.get(self.target.column)
        if not isinstance(target, IntegerColumn | NumberColumn):
            message = f"target.column: {self.target.column!r} must be a number or integer in columns"
            raise ValueError(message)  # noqa: TRY004 - pydantic wants ValueError
        if self.target.column in self.drop:
            message = f"drop: names the target {self.target.column!r}"
            raise ValueError(message)
        if any(not target.minimum < cut <= target.maximum for cut in self.target.cuts):
            message = f"target.cuts: {list(self.target.cuts)} must lie within {target.minimum:g} to {target.maximum:g}"
            raise ValueError(message)
        if not self.target.cuts and (target.minimum, target.maximum) != (0, len(self.target.classes) - 1):
            message = f"target: without cuts the column holds class codes, so its range must be 0 to {len(self.target.classes) - 1}"
            raise ValueError(message)
        for name, column in self.feature_columns.items():
            if isinstance(column, IdentifierColumn | DateColumn):
                message = f"columns.{name}: a {column.kind} cannot be a feature: name it under drop"
                raise ValueError(message)  # noqa: TRY004
        if not self.feature_columns:
            raise ValueError("columns: drop and target leave no feature")
        return self

    @property
    def feature_columns(self) -> dict[str, Column]:
        """The columns that a model sees, in contract order."""
        left_out = {*self.drop, self.target.column}
        return {name: column for name, column in self.columns.items() if name not in left_out}

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns that a model sees, in contract order."""
        return tuple(self.feature_columns)

    @property
    def numeric_features(self) -> tuple[str, ...]:
        """The features that are numbers, in contract order."""
        return tuple(name for name, column in self.feature_columns.items() if isinstance(column, IntegerColumn | NumberColumn))

    @property
    def categorical_features(self) -> dict[str, tuple[str, ...]]:
        """The features that are categories, each with its categories, in contract order."""
        return {name: column.categories for name, column in self.feature_columns.items() if isinstance(column, CategoryColumn)}


def _require_distinct(values: Iterable[str]) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            message = f"{value!r} is named twice"
            raise ValueError(message)
        seen.add(value)
