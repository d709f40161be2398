"""The words of a contract and the rules between them."""

from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from hearth.contracts.kinds import (
    CategoryColumn,
    Column,
    DateColumn,
    IdentifierColumn,
    IntegerColumn,
    Number,
    NumberColumn,
    Part,
    Whole,
    field_name,
    require_distinct,
)


class Source(Part):
    """Where the raw data come from."""

    file: str = Field(
        pattern=r"^[A-Za-z0-9._-]+\.csv$", description="file name, dropped into the data set's folder and uploaded to the bucket"
    )


class Target(Part):
    """What is predicted: a number cut into classes, or a column that holds whole class codes."""

    column: str
    cuts: tuple[Number, ...] = ()
    classes: tuple[str, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def _cuts_make_the_classes(self) -> Self:
        require_distinct(self.classes)
        if self.cuts and len(self.cuts) != len(self.classes) - 1:
            message = f"{len(self.cuts)} cuts make {len(self.cuts) + 1} classes, but classes names {len(self.classes)}"
            raise ValueError(message)
        if list(self.cuts) != sorted(set(self.cuts)):
            message = f"cuts must rise, got {list(self.cuts)}"
            raise ValueError(message)
        return self


class Cleaning(Part):
    """Which rows the ETL keeps."""

    max_nulls: Whole = Field(1, ge=0, description="a row with more missing features is dropped")
    drop_duplicates: bool = True
    max_rejected_share: Number = Field(0.05, ge=0, le=1, description="above this share of rows that break the contract the ETL fails")


class Split(Part):
    """How the test set is set aside: stratified by class."""

    test_share: Number = Field(0.2, gt=0, lt=1)
    seed: Whole = Field(42, ge=0, lt=2**32)


class Features(Part):
    """How the pipeline turns records into numbers."""

    imputer: Literal["mice"] = "mice"
    imputer_iterations: Whole = Field(10, ge=1)
    scaler: Literal["standard", "min_max"] = "standard"


class Contract(Part):
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

    @field_validator("families", "drop")
    @classmethod
    def _are_distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        require_distinct(value)
        return value

    @model_validator(mode="after")
    def _drop_agrees(self) -> Self:
        for name in self.drop:
            if name not in self.columns:
                raise _mistake("drop", f"names {name!r}, which is not in columns")
        if self.target.column in self.drop:
            raise _mistake("drop", f"names the target {self.target.column!r}")
        return self

    @model_validator(mode="after")
    def _target_agrees(self) -> Self:
        target = self.columns.get(self.target.column)
        if not isinstance(target, IntegerColumn | NumberColumn):
            raise _mistake("target.column", f"{self.target.column!r} must be a number or integer in columns")
        if any(not target.minimum < cut <= target.maximum for cut in self.target.cuts):
            raise _mistake("target.cuts", f"{list(self.target.cuts)} must lie within {target.minimum:g} to {target.maximum:g}")
        last = len(self.target.classes) - 1
        if not self.target.cuts and (not isinstance(target, IntegerColumn) or (target.minimum, target.maximum) != (0, last)):
            raise _mistake("target.cuts", f"without cuts the column holds class codes, so it must be an integer from 0 to {last}")
        return self

    @model_validator(mode="after")
    def _columns_agree(self) -> Self:
        for name, column in self.feature_columns.items():
            if isinstance(column, IdentifierColumn | DateColumn):
                raise _mistake(f"columns.{name}", f"a column of kind {column.kind} cannot be a feature: name it under drop")
        if not self.feature_columns:
            raise _mistake("columns", "drop and target leave no feature")
        fields: dict[str, str] = {}
        for name in self.columns:
            other = fields.setdefault(field_name(name), name)
            if other != name:
                raise _mistake(f"columns.{name}", f"differs from {other!r} only by signs: both are called {field_name(name)!r} in code")
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


def _mistake(key: str, reason: str) -> PydanticCustomError:
    """Make the error of a rule between several keys, which pydantic could not place."""
    return PydanticCustomError("contract", "{reason}", {"key": key, "reason": reason})
