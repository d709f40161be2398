"""What GraphQL answers."""

from datetime import datetime
from typing import NewType

import strawberry
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig

Code = NewType("Code", object)
CONFIG = StrawberryConfig(
    scalar_map={Code: strawberry.scalar(name="Code", description="A class as the data set's column holds it: a whole number or a text")}
)


@strawberry.type(description="The process lives.")
class Health:
    status: str
    version: str
    datasets: list[str]


@strawberry.type(description="An alias, the version that it serves, and what keeps it from serving the registered one, if anything.")
class Alias:
    dataset: str
    alias: str
    version: str | None
    registered: str | None
    family: str | None
    run_id: str | None
    metrics: JSON
    since: str | None
    problem: str


@strawberry.type(description="A version as the registry has it, whether or not it serves.")
class Version:
    version: str
    family: str
    aliases: list[str]
    metrics: JSON
    gate: str
    created: datetime
    run_id: str


@strawberry.type(description="A column, with all that a form needs to ask for it.")
class Column:
    name: str
    field: str = strawberry.field(description="what the column is called in a record input")
    kind: str
    description: str
    nullable: bool
    expected: str
    unit: str | None
    minimum: float | None
    maximum: float | None
    categories: list[Code] | None
    meanings: list[str] | None


@strawberry.type(description="A version as it is served under an alias, with what the registry said of it when it was loaded.")
class ModelInfo:
    name: str
    dataset: str
    alias: str
    version: str
    family: str
    run_id: str
    status: str
    source: str
    created: str
    since: str
    parameters: JSON
    metrics: JSON
    metric: str
    tags: JSON
    data_digest: str
    libraries: JSON
    compiled: bool
    features: list[Column]
    classes: list[str]


@strawberry.type(description="How probable a class is.")
class ClassProbability:
    label: str
    probability: float


@strawberry.type(description="What was predicted for one record.")
class RecordPrediction:
    row: int
    prediction: Code
    label: str
    probability: float = strawberry.field(description="of the predicted class")
    probabilities: list[ClassProbability]


@strawberry.type(description="Predictions in the order of the records.")
class Predictions:
    predictions: list[RecordPrediction]
    dataset: str
    alias: str
    model: str
    family: str
    version: str
    n_samples: int
    request_id: str


@strawberry.type(description="What one column adds to the score of the explained class.")
class Contribution:
    column: str
    value: JSON | None
    contribution: float


@strawberry.type(description="Why a record has the score that it has for a class: base value, all contributions and rest add up to it.")
class Explanation:
    row: int
    prediction: Code
    label: str
    explained_class: str
    probability: float
    unit: str
    base_value: float
    score: float
    contributions: list[Contribution]
    rest: float


@strawberry.type(description="Explanations in the order of the records.")
class Explanations:
    explanations: list[Explanation]
    method: str
    dataset: str
    alias: str
    family: str
    version: str
    request_id: str


@strawberry.type(description="A prediction that is stored.")
class StoredPrediction:
    message_id: strawberry.ID
    row: int
    dataset: str
    alias: str
    version: str
    family: str
    prediction: Code
    label: str
    probabilities: list[ClassProbability]
    record: JSON
    source: str
    role: str
    enqueued_at: datetime | None
    scored_at: datetime


@strawberry.type(description="A stored prediction, and where it stands.")
class PredictionEdge:
    cursor: str
    node: StoredPrediction


@strawberry.type(description="Whether more follows, and where.")
class PageInfo:
    has_next_page: bool
    end_cursor: str | None


@strawberry.type(description="Stored predictions, newest first.")
class PredictionConnection:
    edges: list[PredictionEdge]
    page_info: PageInfo
