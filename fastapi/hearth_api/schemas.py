"""What the service answers."""

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


class ServiceInfo(BaseModel):
    """Who answers, and where to go on."""

    name: str
    version: str
    datasets: list[str]
    links: dict[str, str]


class Health(BaseModel):
    """The process lives."""

    status: str = "ok"


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


class DatasetModels(BaseModel):
    """A data set and its aliases."""

    dataset: str
    registered_model: str
    metric: str
    aliases: list[AliasInfo]


class ModelList(BaseModel):
    """Every data set."""

    datasets: list[DatasetModels]


class PredictionAnswer(BaseModel):
    """Predictions in the order of the records."""

    predictions: list[int] = Field(description="class codes")
    labels: list[str] = Field(description="class names")
    probabilities: list[dict[str, float]] = Field(description="of each class, by name")
    dataset: str
    alias: str
    model: str = Field(description="name of the registered model")
    family: str
    version: str
    n_samples: int
