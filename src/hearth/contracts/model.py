"""The words of a contract and the rules between them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from hearth.contracts import airflow_names, names
from hearth.contracts.card_words import CardWords
from hearth.contracts.check_words import Checks
from hearth.contracts.column_types import (
    CategoryColumn,
    Code,
    Column,
    DateColumn,
    IdentifierColumn,
    IntegerColumn,
    MissingWord,
    Number,
    NumberColumn,
    Part,
    Whole,
    require_codes,
    require_distinct,
)
from hearth.contracts.deploy_words import Deploy
from hearth.contracts.drift_words import Drift
from hearth.contracts.file_format import FileFormat
from hearth.contracts.gate_words import Gate
from hearth.contracts.label_words import Quality
from hearth.contracts.probability_words import CalibrationWord, Sets
from hearth.contracts.retrain_words import Retrain
from hearth.contracts.texts import abridge
from hearth.contracts.training_words import Training

_FILE_NAME = r"^[A-Za-z0-9._-]+\.csv$"
_RAW_FILE_NAME = r"^[A-Za-z0-9._-]+\.(csv|tsv|txt|gz|zip|parquet|pq|xlsx)$"


class FileSource(Part):
    """The raw data are a file that somebody has."""

    kind: Literal["file"] = "file"
    format: FileFormat = FileFormat()
    file: str = Field(pattern=_RAW_FILE_NAME, description="file name, dropped into the data set's folder and uploaded to the bucket")


class BatchSource(Part):
    """The raw data come in batches from an HTTP API, `GET <path>?group_number=N`, and are gathered in a table of the data database.

    Where the API and the database are is a setting, not a word of the contract.
    """

    kind: Literal["batches"]
    path: str = Field("/data", pattern=r"^/[A-Za-z0-9._~/-]*$", description="path of the API, below the address in the settings")
    group_number: Whole = Field(1, ge=0, description="which group of batches to ask for")
    table: str = Field(pattern="^[a-z][a-z0-9_]{0,47}$", description="table that the batches are gathered in")
    file: str = Field(pattern=_FILE_NAME, description="file name of what is exported from the table, and of generated rows")

    @field_validator("table")
    @classmethod
    def _table_is_free(cls, value: str) -> str:
        if value == names.BATCHES_TABLE:
            message = f"{value!r} is the table that says which batches of all data sets are stored: name another"
            raise ValueError(message)
        return value


class Target(Part):
    """What is predicted.

    `classes` names the classes, in their order: a list such as `[Low, Medium, High]`, or `{1: Spruce, 2: Pine}` where the column holds
    codes. Models know a class by its position; `Contract.class_codes` has what the column holds for it.
    """

    column: str
    cuts: tuple[Number, ...] = ()
    classes: tuple[str, ...] = Field(min_length=2)
    codes: tuple[Code, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _codes_have_names(cls, data: object) -> object:
        if isinstance(data, dict) and isinstance(written := data.get("classes"), dict):
            return {**data, "classes": tuple(written.values()), "codes": tuple(written)}
        return data

    @model_validator(mode="after")
    def _cuts_make_the_classes(self) -> Self:
        require_distinct(self.classes)
        for class_ in self.classes:
            if reason := names.unusable(class_):
                message = f"the class {abridge(class_)} {reason}"
                raise ValueError(message)
        names.class_metric_names(self.classes)
        require_codes(self.codes, "code")
        if self.codes and len(self.codes) != len(self.classes):
            message = f"{len(self.classes)} classes have {len(self.codes)} codes"
            raise ValueError(message)
        if self.cuts and self.codes:
            raise ValueError("a column that is cut into classes holds no codes: name the classes in a list")
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
    compare_identifiers: bool = Field(default=True, description="rows with different identifiers are no duplicates, however equal they are")
    max_shift: Number = Field(0.3, ge=0, le=1, description="above this share of rows whose values moved in a column the ETL fails")
    max_rejected_share: Number = Field(0.05, ge=0, le=1, description="above this share of rows that break the contract the ETL fails")


class Split(Part):
    """How the test set is set aside.

    `draw` draws rows, stratified by class: the shares of the classes are exact, and other data give another draw. `hash` decides for each
    row by a hash of its feature values: a row that is in the test set once is in it for ever, and the shares are those of chance.
    """

    by: Literal["draw", "hash"] = "draw"
    test_share: Number = Field(0.2, gt=0, lt=1)
    seed: Whole = Field(42, ge=0, lt=2**32)


class Features(Part):
    """How the pipeline turns records into numbers."""

    imputer: Literal["mice", "knn", "median", "mean", "most_frequent"] = Field("mice", description="how missing numbers are filled")
    imputer_iterations: Whole = Field(10, ge=1, description="mice: rounds, at most")
    imputer_neighbors: Whole = Field(5, ge=1, description="knn: rows that a value is the mean of")
    category_imputer: Literal["own_category", "most_frequent"] = Field(
        "own_category", description="a missing category is one more category, or becomes the most frequent one"
    )
    scaler: Literal["standard", "min_max"] = "standard"


class Contract(Part):
    """One data set."""

    name: str = Field(pattern="^[a-z][a-z0-9_]*$", max_length=100)
    title: str
    description: str
    source: FileSource | BatchSource = Field(discriminator="kind")
    target: Target
    metric: Literal["macro_f1", "accuracy"]
    imbalance: Literal["none", "class_weights"] = Field("none", description="whether rows of rare classes count more in a training")
    families: tuple[str, ...] = Field(min_length=1)
    trainings: tuple[Literal["each_family", "best_family"], ...] = Field(
        ("each_family",),
        min_length=1,
        description="each_family: one DAG a family, which tunes it; best_family: one DAG that compares all, and tunes the best",
    )
    dags_without_prefix: tuple[airflow_names.Dag, ...] = Field((), description="DAGs whose ids go without the name of the data set")
    drop: tuple[str, ...] = ()
    missing: tuple[MissingWord, ...] = Field((), description="what files hold where a value is missing, in all columns")
    checks: Checks = Checks()
    cleaning: Cleaning = Cleaning()
    split: Split = Split()
    features: Features = Features()
    training: Training = Training()
    gate: Gate = Gate()
    calibration: CalibrationWord = Field("auto", description="how probabilities are calibrated; auto: as held-out rows say it helps")
    sets: Sets = Sets()
    drift: Drift = Drift()
    quality: Quality = Quality()
    retrain: Retrain = Retrain()
    deploy: Deploy = Deploy()
    sensitive: dict[str, tuple[Number, ...]] = Field(
        {}, description="columns whose groups are compared: categories, and numbers with the limits of their bands"
    )
    card: CardWords = CardWords()
    columns: dict[str, Column] = Field(min_length=2)

    @field_validator("source", mode="before")
    @classmethod
    def _source_is_a_file(cls, value: object) -> object:
        return {"kind": "file", **value} if isinstance(value, dict) else value

    @field_validator("sensitive", mode="before")
    @classmethod
    def _sensitive_is_a_mapping(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            return value
        require_distinct(tuple(value))
        return dict.fromkeys(value, ())

    @model_validator(mode="before")
    @classmethod
    def _columns_know_what_is_missing(cls, data: object) -> object:
        if not isinstance(data, dict) or not isinstance(words := data.get("missing"), list | tuple):
            return data
        if not isinstance(columns := data.get("columns"), dict):
            return data
        return {**data, "columns": {name: _with_missing(column, words) for name, column in columns.items()}}

    @field_validator("columns")
    @classmethod
    def _columns_have_names(cls, value: dict[str, Column]) -> dict[str, Column]:
        for name in value:
            if reason := names.unusable(name):
                message = f"column name {abridge(name)} {reason}"
                raise ValueError(message)
        return value

    @field_validator("name")
    @classmethod
    def _name_is_free(cls, value: str) -> str:
        if value in names.RESERVED_DATASETS:
            message = f"{value!r} is part of a path of the services, and cannot be the name of a data set"
            raise ValueError(message)
        return value

    @field_validator("families", "trainings", "dags_without_prefix", "drop")
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
    def _group_columns_agree(self) -> Self:
        for name, column in self.columns.items():
            if column.feature:
                continue
            if name == self.target.column or name in self.drop:
                what = "the target" if name == self.target.column else "named under drop"
                raise _mistake(f"columns.{name}.feature", f"the column is {what} and no feature anyway: leave the word out")
            if name not in self.sensitive:
                raise _mistake(f"columns.{name}.feature", "false is for groups: name the column under sensitive, or under drop instead")
        return self

    @model_validator(mode="after")
    def _target_agrees(self) -> Self:
        target = self.columns.get(self.target.column)
        if not isinstance(target, IntegerColumn | NumberColumn | CategoryColumn):
            raise _mistake("target.column", f"{self.target.column!r} must be a number, an integer or a category in columns")
        if isinstance(target, CategoryColumn):
            self._category_is_the_class(target)
        elif self.target.cuts:
            if any(not target.minimum < cut <= target.maximum for cut in self.target.cuts):
                raise _mistake("target.cuts", f"{list(self.target.cuts)} must lie within {target.minimum:g} to {target.maximum:g}")
        elif not isinstance(target, IntegerColumn) or set(self.class_codes) != set(range(int(target.minimum), int(target.maximum) + 1)):
            listed = ", ".join(repr(code) for code in self.class_codes)
            raise _mistake(
                "target.classes",
                f"without cuts the column holds class codes, so it must be an integer whose range is just the codes: {listed}. "
                "Codes are named as {1: first, 2: second}; where there are gaps between them, use kind: category",
            )
        return self

    def _category_is_the_class(self, target: CategoryColumn) -> None:
        if self.target.cuts:
            raise _mistake("target.cuts", f"{self.target.column!r} is a category, which cannot be cut")
        if len(self.target.classes) != len(target.categories) or set(self.class_codes) != set(target.categories):
            listed = ", ".join(repr(category) for category in target.categories)
            raise _mistake("target.classes", f"must name each category of {self.target.column!r} once: {listed}")

    @model_validator(mode="after")
    def _columns_agree(self) -> Self:
        for name, column in self.feature_columns.items():
            if isinstance(column, IdentifierColumn | DateColumn):
                raise _mistake(f"columns.{name}", f"a column of kind {column.kind} cannot be a feature: name it under drop")
        if not self.feature_columns:
            raise _mistake("columns", "drop and target leave no feature")
        fields: dict[str, str] = {}
        for name in self.columns:
            other = fields.setdefault(names.field_name(name), name)
            if other != name:
                in_code = names.field_name(name)
                raise _mistake(f"columns.{name}", f"differs from {other!r} only by signs: both are called {in_code!r} in code. Rename one")
        return self

    @model_validator(mode="after")
    def _database_has_room(self) -> Self:
        if not isinstance(self.source, BatchSource):
            return self
        for name in self.columns:
            length = len(names.field_name(name))
            if length > names.LONGEST_DATABASE_NAME:
                reason = f"is too long for a column of a database: {length} bytes, at most {names.LONGEST_DATABASE_NAME}"
                raise _mistake(f"columns.{name}", reason)
        return self

    @model_validator(mode="after")
    def _sensitive_agrees(self) -> Self:
        for name, cuts in self.sensitive.items():
            column = self.feature_columns.get(name) or self.group_columns.get(name)
            if isinstance(column, CategoryColumn) == bool(cuts) or column is None:
                raise _mistake(
                    f"sensitive.{name}", "must be a category without limits, or a number with the limits of its bands: {age: [45, 60]}"
                )
            if not isinstance(column, CategoryColumn | IntegerColumn | NumberColumn):
                raise _mistake(f"sensitive.{name}", f"a column of kind {column.kind} has no groups")
            if any(low >= high for low, high in pairwise(cuts)):
                raise _mistake(f"sensitive.{name}", f"the limits of the bands must rise, got {list(cuts)}")
        bounds = self.gate.bounds
        if bounds.compares_groups and not self.sensitive:
            raise _mistake("gate.bounds", "compares groups, but no column is named under sensitive")
        for word, limits in (("recall_gap", bounds.recall_gap), ("selection_rate_gap", bounds.selection_rate_gap)):
            for label in limits:
                if label not in self.target.classes:
                    raise _mistake(f"gate.bounds.{word}", f"names {label!r}, which is no class: {', '.join(self.target.classes)}")
        return self

    @model_validator(mode="after")
    def _training_agrees(self) -> Self:
        for name in self.training.most_rows:
            if name not in self.families:
                raise _mistake("training.most_rows", f"names {name!r}, which is not in families: {', '.join(self.families)}")
        return self

    @model_validator(mode="after")
    def _drift_agrees(self) -> Self:
        for name in self.drift.ignore:
            if name not in self.feature_columns:
                raise _mistake("drift.ignore", f"names {name!r}, which is no feature")
        return self

    @property
    def file_format(self) -> FileFormat:
        """How its files are written."""
        return self.source.format if isinstance(self.source, FileSource) else FileFormat()

    @property
    def class_codes(self) -> tuple[str | int, ...]:
        """What the target column holds for each class, in the order of the classes; for a column that is cut, the positions."""
        target = self.columns[self.target.column]
        if self.target.codes:
            return self.target.codes
        return target.categories if isinstance(target, CategoryColumn) else tuple(range(len(self.target.classes)))

    @property
    def feature_columns(self) -> dict[str, Column]:
        """The columns that a model sees, in contract order."""
        left_out = {*self.drop, self.target.column}
        return {name: column for name, column in self.columns.items() if name not in left_out and column.feature}

    @property
    def group_columns(self) -> dict[str, Column]:
        """The columns that no model sees and whose groups are reported, in contract order."""
        return {name: column for name, column in self.columns.items() if not column.feature}

    @property
    def personal_columns(self) -> frozenset[str]:
        """Names of the columns whose values stay out of errors, log lines, dead letters and stored predictions."""
        return frozenset(name for name, column in self.columns.items() if column.personal)

    @property
    def concerns_people(self) -> bool:
        """Whether its rows are about people."""
        return bool(self.sensitive or self.personal_columns) if self.card.people is None else self.card.people

    @property
    def hashed_columns(self) -> frozenset[str]:
        """Names of the personal features whose hashes are stored with predictions."""
        return frozenset(name for name, column in self.feature_columns.items() if column.personal == "hash")

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
        """The features that are categories, each with its categories as frames hold them, in contract order."""
        return {name: column.texts for name, column in self.feature_columns.items() if isinstance(column, CategoryColumn)}


def _with_missing(column: object, words: Sequence[object]) -> object:
    """Add words that mean missing in all columns to those of one."""
    if not isinstance(column, dict) or not isinstance(own := column.get("missing", ()), list | tuple):
        return column
    return {**column, "missing": [*own, *(word for word in words if word not in own)]}


def _mistake(key: str, reason: str) -> PydanticCustomError:
    """Make the error of a rule between several keys, which pydantic could not place."""
    return PydanticCustomError("contract", "{reason}", {"key": key, "reason": reason})
