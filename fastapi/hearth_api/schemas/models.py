"""What the service says of the models that it serves, and of the data sets that they are about."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field


class ChallengeInfo(BaseModel):
    """What the challenger would have answered instead of the champion, since this process served the two."""

    champion_version: str
    challenger_version: str
    compared: int = Field(description="records that both have scored")
    agreement: float | None = Field(description="the share of them of which both said the same; null before the first")
    champion_classes: dict[str, int] = Field(description="what the champion said of them")
    challenger_classes: dict[str, int] = Field(description="what the challenger said of them")
    skipped: dict[str, int] = Field(description="records that the challenger did not score, by reason: behind, failed")


class AliasInfo(BaseModel):
    """An alias: the version that is served, the one that the registry names, and what keeps them apart, if anything."""

    alias: str
    version: str | None = Field(description="the version that is served, null if none is")
    registered: str | None = Field(description="the version that the registry names")
    family: str | None
    run_id: str | None
    metrics: dict[str, float] = Field(description="judged on the test split when the version was trained")
    since: str | None = Field(description="since when it is served")
    problem: str = Field(description="empty if the registered version is served")
    challenge: ChallengeInfo | None = Field(None, description="of the challenger, once it was compared with the champion")


class DatasetModels(BaseModel):
    """A data set and its aliases."""

    dataset: str
    title: str
    registered_model: str
    metric: str
    aliases: list[AliasInfo]


class ModelList(BaseModel):
    """Every data set."""

    datasets: list[DatasetModels]


class VersionInfo(BaseModel):
    """A version as the registry has it, whether or not it serves."""

    version: str
    family: str
    aliases: list[str] = Field(description="that it carries")
    metrics: dict[str, float] = Field(description="judged on the test split when it was trained")
    gate: str = Field(description="what the gate has said of it: passed, refused or not judged")
    created: datetime
    run_id: str


class VersionList(BaseModel):
    """Every version of a data set, the latest first."""

    dataset: str
    versions: list[VersionInfo]


class ColumnInfo(BaseModel):
    """A column, with all that a form needs to ask for it."""

    name: str
    kind: Literal["identifier", "date", "category", "integer", "number"]
    description: str
    nullable: bool
    expected: str = Field(description="what a value must be, as messages say it")
    unit: str | None = None
    minimum: int | float | str | None = Field(None, description="of numbers and days")
    maximum: int | float | str | None = None
    categories: list[str | int] | None = Field(None, description="the values that a record can hold")
    meanings: list[str] | None = Field(None, description="what each of them means to people")


class DatasetColumn(ColumnInfo):
    """A column of the raw file."""

    role: Literal["feature", "target", "dropped"]


class ModelInfo(BaseModel):
    """A version as it is served under an alias, with what the registry said of it when it was loaded."""

    name: str = Field(description="name of the registered model")
    dataset: str
    alias: str
    version: str
    model_version: str = Field(description="the same")
    registered: str | None = Field(description="the version that the registry names now")
    problem: str = Field(description="empty if the registered version is served")
    family: str
    run_id: str
    status: str = Field(description="MLflow's word for how far the registration got")
    source: str = Field(description="where the model's files are")
    created: str
    since: str = Field(description="since when it is served")
    parameters: dict[str, str]
    metrics: dict[str, float] = Field(description="judged on the test split")
    metric: str = Field(description="the one by which versions of this data set are compared")
    tags: dict[str, str]
    data_digest: str = Field(description="of the processed data that it was trained on")
    libraries: dict[str, str] = Field(description="what it was made with")
    compiled: bool = Field(description="whether it is scored in compiled form; else scikit-learn scores")
    features: list[ColumnInfo] = Field(description="in contract order, as `features` of a request holds them")
    classes: list[str] = Field(description="their names, by position")
    class_codes: list[str | int] = Field(
        description="what the target column, and so `predictions`, holds for each class; of a number that is cut the positions"
    )


class DatasetSummary(BaseModel):
    """A data set in a list."""

    name: str
    title: str
    description: str
    default: bool = Field(description="whether requests that name no data set are about it")
    links: dict[str, str]


class DatasetList(BaseModel):
    """Every data set."""

    datasets: list[DatasetSummary]


class DatasetInfo(BaseModel):
    """The contract of a data set, with all that a form needs."""

    name: str
    title: str
    description: str
    default: bool
    target: str
    classes: list[str] = Field(description="their names, by position")
    class_codes: list[str | int] = Field(
        description="what the target column, and so `predictions`, holds for each class; of a number that is cut the positions"
    )
    metric: str
    families: list[str]
    aliases: list[str] = Field(description="that it can have")
    columns: list[DatasetColumn] = Field(description="of the raw file; records need the features, and may hold the others")
    example: dict[str, object] = Field(description="a record that can be sent as it is")
    links: dict[str, str]
