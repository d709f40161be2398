"""Models that are served, and data sets."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field


class ChallengeInfo(BaseModel):
    """The challenger's predictions compared with the champion's, since this process serves both versions."""

    champion_version: str
    challenger_version: str
    compared: int = Field(description="number of records that both have scored")
    agreement: float | None = Field(description="share of these records with the same class; null before the first")
    champion_classes: dict[str, int] = Field(description="champion's predictions, by class")
    challenger_classes: dict[str, int] = Field(description="challenger's predictions, by class")
    skipped: dict[str, int] = Field(description="records that the challenger did not score, by reason: behind, failed")


class BoundInfo(BaseModel):
    """A bound of the contract's gate, with what was measured."""

    bound: str
    limit: float
    figure: float | None = Field(description="null if nothing could be measured")
    low: float | None = Field(description="lower end of its interval")
    high: float | None = Field(description="upper end of its interval")
    answer: str = Field(description="met, broken or cannot tell")
    about: str = Field(description="the groups that it is about")


class StandingInfo(BaseModel):
    """A version on the present test set: the one split on which all versions of a data set are compared."""

    data_digest: str = Field(description="digest of the data whose test set it is")
    data_origin: str = Field(description="where these data came from: generated, file, batches or unknown")
    rows: int = Field(description="test rows that the version was not trained on")
    metric: str
    score: float | None = Field(description="of the metric; null if the version cannot be scored")
    low: float | None = Field(description="lower end of the score's interval")
    high: float | None = Field(description="upper end of the score's interval")
    log_loss: float | None
    calibration_error: float | None
    bounds: list[BoundInfo]
    problem: str = Field(description="why it has no score, or no claim to an alias; else empty")


class DecisionInfo(BaseModel):
    """What the gate decided about a version last."""

    passed: bool
    data_digest: str = Field(description="digest of the data on whose test set it was compared")
    rows: int = Field(description="test rows that it was compared on")
    holder: str | None = Field(description="the version that had the alias and that it was compared with")
    difference: float | None = Field(description="of the metric, the version minus the holder; null without a comparison")
    low: float | None = Field(description="lower end of the difference's interval")
    high: float | None = Field(description="upper end of the difference's interval")
    log_loss_difference: float | None = Field(description="of the log loss, of which less is better")
    bounds: list[BoundInfo]
    reasons: list[str] = Field(description="in words, the family's alias first, then the champion")


class ApprovalInfo(BaseModel):
    """The answer of a person whom the contract asks before an alias moves to a version."""

    state: str = Field(description="waiting, approved or refused")
    by: str = Field(description="who answered; empty while it waits, nobody where the time to answer was over")
    at: str = Field(description="when, in ISO form")
    comment: str
    task: str = Field(description="the task of Airflow that waits: DAG/run/task")


class AliasInfo(BaseModel):
    """An alias: the version that is served, the version in the registry, and why they differ, if they do."""

    alias: str
    version: str | None = Field(description="the version that is served, or null")
    registered: str | None = Field(description="the version in the registry")
    family: str | None
    run_id: str | None
    metrics: dict[str, float] = Field(description="on the test split of its own training; `standing` compares versions")
    origin: str | None = Field(None, description="where its training data came from: generated, file, batches or unknown")
    why: str = Field("", description="what the gate decided about the version, and why")
    standing: StandingInfo | None = Field(None, description="on the present test set; null before it is computed")
    decision: DecisionInfo | None = Field(None, description="of the gate; null before it has decided")
    since: str | None = Field(description="time since which the version is served")
    problem: str = Field(description="empty if the registered version is served")
    signed: bool | None = Field(None, description="whether the served version has the signature of our trainings; null if none serves")
    challenge: ChallengeInfo | None = Field(None, description="for the challenger, after its first comparison with the champion")
    share: float | None = Field(None, description="of champion and canary: its part of the champion's requests here")


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
    """A version in the registry, whether or not it serves."""

    version: str
    family: str
    aliases: list[str] = Field(description="aliases of the version")
    metrics: dict[str, float] = Field(description="on the test split of its own training; `standing` compares versions")
    gate: str = Field(
        description="result of the gate: passed, refused, waiting for the approval of a person, not judged, "
        "or not signed: what MLflow says was not written by our gate"
    )
    why: str = Field("", description="what the gate decided about it, and why")
    origin: str = Field("unknown", description="where its training data came from: generated, file, batches or unknown")
    data_digest: str = Field("", description="digest of its training data")
    standing: StandingInfo | None = Field(None, description="on the present test set; null before it is computed")
    decision: DecisionInfo | None = Field(None, description="of the gate; null before it has decided")
    approval: ApprovalInfo | None = Field(None, description="the answer of a person; null where none is asked")
    created: datetime
    run_id: str


class VersionList(BaseModel):
    """Every version of a data set, the latest first."""

    dataset: str
    versions: list[VersionInfo]


class ColumnInfo(BaseModel):
    """A column, with all that a form needs."""

    name: str
    kind: Literal["identifier", "date", "category", "integer", "number"]
    description: str
    nullable: bool
    expected: str = Field(description="what a value must be, in the words of errors")
    unit: str | None = None
    minimum: int | float | str | None = Field(None, description="of numbers and dates")
    maximum: int | float | str | None = None
    categories: list[str | int] | None = Field(None, description="the valid values")
    meanings: list[str] | None = Field(None, description="the meaning of each category")


class DatasetColumn(ColumnInfo):
    """A column of the raw file."""

    role: Literal["feature", "target", "group", "dropped"] = Field(description="group: kept for the report of groups; no model sees it")


class ModelInfo(BaseModel):
    """A version that an alias serves, with its entry in the registry at the time of loading."""

    name: str = Field(description="name of the registered model")
    dataset: str
    alias: str
    version: str
    model_version: str = Field(description="the same as version")
    registered: str | None = Field(description="the version in the registry now")
    problem: str = Field(description="empty if the registered version is served")
    signed: bool | None = Field(None, description="whether the served version has the signature of our trainings; null if none serves")
    family: str
    run_id: str
    status: str = Field(description="MLflow's status of the registration")
    source: str = Field(description="location of the model's files")
    created: str
    since: str = Field(description="time since which the version is served")
    parameters: dict[str, str]
    metrics: dict[str, float] = Field(description="on the test split")
    metric: str = Field(description="the metric that compares versions of this data set")
    tags: dict[str, str]
    data_digest: str = Field(description="digest of the training data")
    libraries: dict[str, str] = Field(description="versions of the libraries of the training")
    compiled: bool = Field(description="whether compiled code scores; else scikit-learn does")
    card: str = Field("", description="path of its model card")
    features: list[ColumnInfo] = Field(description="in contract order, as `features` of a request holds them")
    classes: list[str] = Field(description="names of the classes, by position")
    class_codes: list[str | int] = Field(
        description="the value of the target column, and in `predictions`, for each class; positions where classes are ranges of a number"
    )


class DatasetSummary(BaseModel):
    """A data set in the list."""

    name: str
    title: str
    description: str
    default: bool = Field(description="whether requests without a data set use it")
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
    classes: list[str] = Field(description="names of the classes, by position")
    class_codes: list[str | int] = Field(
        description="the value of the target column, and in `predictions`, for each class; positions where classes are ranges of a number"
    )
    metric: str
    families: list[str]
    aliases: list[str] = Field(description="aliases that the data set can have")
    columns: list[DatasetColumn] = Field(description="columns of the raw file; records need the features, and may hold the others")
    example: dict[str, object] = Field(description="a record that can be sent as it is")
    links: dict[str, str]
