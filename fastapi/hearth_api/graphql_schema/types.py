"""The types of GraphQL's answers. Where REST answers the same, the type is derived from REST's model, which describes each field."""

from collections.abc import Callable, Collection
from types import UnionType
from typing import Any, NewType, Protocol, TypeVar, Union, get_args, get_origin

import strawberry
from pydantic import BaseModel, Field, create_model
from strawberry.scalars import JSON
from strawberry.schema.config import StrawberryConfig

from hearth_api.schemas import alerts as rest_alerts
from hearth_api.schemas import audit as rest_audit
from hearth_api.schemas import data as rest_data
from hearth_api.schemas import drift as rest_drift
from hearth_api.schemas import explanations as rest_explanations
from hearth_api.schemas import feedback as rest_feedback
from hearth_api.schemas import models as rest_models
from hearth_api.schemas import predictions as rest_predictions
from hearth_api.schemas import quality as rest_quality
from hearth_api.schemas import retrains as rest_retrains
from hearth_api.schemas import rollouts as rest_rollouts
from hearth_api.schemas import stream as rest_stream

Code = NewType("Code", object)
CONFIG = StrawberryConfig(
    scalar_map={Code: strawberry.scalar(name="Code", description="A class as the data set's column holds it: a whole number or a text")}
)

ModelT = TypeVar("ModelT", bound=BaseModel)
_DERIVED: dict[object, type[BaseModel]] = {}


def derived(*, exclude: Collection[str] = ()) -> Callable[[type[ModelT]], type[ModelT]]:
    """Make a GraphQL type of a subclass of a REST model, without the excluded fields and with scalars for what GraphQL cannot express."""

    def derive(model: type[ModelT]) -> type[ModelT]:
        fields: dict[str, Any] = {}
        for name, info in model.model_fields.items():
            default = ... if info.is_required() else info.default
            fields[name] = (_graphql_type(info.annotation), Field(default, description=info.description, exclude=name in exclude or None))
        result = create_model(model.__name__, __base__=model, __module__=__name__, **fields)
        _DERIVED[model.__base__] = result
        return strawberry.pydantic.type(result, description=_first_line(model.__doc__ or model.__base__.__doc__))

    return derive


def convert(type_: type[ModelT], model: BaseModel, **fields: object) -> ModelT:
    """Return a REST model as its GraphQL type, with further fields."""
    return type_.model_construct(**{**dict(model), **fields})


def _graphql_type(annotation: Any) -> Any:  # noqa: ANN401 - types of types
    origin, arguments = get_origin(annotation), get_args(annotation)
    if annotation is object or origin is dict:
        return JSON
    if annotation in _DERIVED:
        return _DERIVED[annotation]
    if origin is list:
        return list[_graphql_type(arguments[0])]  # type: ignore[misc]  # the type is made here
    if origin in {Union, UnionType}:
        members = [member for member in arguments if member is not type(None)]
        type_ = _graphql_type(members[0]) if len(members) == 1 else Code if set(members) == {int, str} else JSON
        return type_ | None if len(members) < len(arguments) else type_
    return str if origin is not None else annotation  # a Literal


def _first_line(text: str | None) -> str:
    return (text or "").partition("\n")[0]


@strawberry.type(description="The process lives.")
class Health:
    status: str
    version: str
    datasets: list[str]


@derived()
class Challenge(rest_models.ChallengeInfo):
    pass


@derived()
class Bound(rest_models.BoundInfo):
    pass


@derived()
class Standing(rest_models.StandingInfo):
    pass


@derived()
class Decision(rest_models.DecisionInfo):
    pass


@derived()
class Approval(rest_models.ApprovalInfo):
    pass


@derived()
class Alias(rest_models.AliasInfo):
    dataset: str


@derived()
class Version(rest_models.VersionInfo):
    pass


@derived()
class Column(rest_models.ColumnInfo):
    field: str = Field(description="name of the column in a record input")
    minimum: float | None
    maximum: float | None


@derived(exclude={"model_version"})
class ModelInfo(rest_models.ModelInfo):
    pass


@derived()
class DataColumn(rest_data.DataColumn):
    pass


@derived()
class PublishedData(rest_data.DataInfo):
    pass


@derived()
class DriftBin(rest_drift.DriftBin):
    pass


@derived()
class DriftColumn(rest_drift.DriftColumn):
    pass


@derived()
class EstimatedMetric(rest_drift.EstimatedMetric):
    pass


@derived()
class ClassifierUse(rest_drift.ClassifierUse):
    pass


@derived()
class SecondOpinion(rest_drift.SecondOpinionInfo):
    pass


@derived()
class Drift(rest_drift.DriftInfo):
    pass


@derived()
class PastColumn(rest_drift.PastColumn):
    pass


@derived()
class PastDrift(rest_drift.PastDrift):
    pass


@derived()
class Interval(rest_quality.IntervalInfo):
    pass


@derived()
class Measured(rest_quality.MeasuredInfo):
    pass


@derived()
class Coverage(rest_quality.CoverageInfo):
    pass


@derived()
class QualityPart(rest_quality.QualityPartInfo):
    pass


@derived()
class Evidence(rest_quality.EvidenceInfo):
    pass


@derived()
class VersionQuality(rest_quality.VersionQualityInfo):
    pass


@derived()
class PairedQuality(rest_quality.PairedInfo):
    pass


@derived()
class Quality(rest_quality.QualityInfo):
    pass


@derived()
class PastQuality(rest_quality.PastQualityInfo):
    pass


@derived()
class MetricDifference(rest_retrains.MetricDifference):
    pass


@derived()
class Retrain(rest_retrains.RetrainInfo):
    pass


@derived()
class NextRetrain(rest_retrains.NextRetrain):
    pass


@derived()
class RetrainList(rest_retrains.RetrainList):
    pass


@derived()
class Alert(rest_alerts.AlertInfo):
    id: strawberry.ID  # type: ignore[assignment]  # GraphQL's whole numbers are short


@derived()
class AuditEntry(rest_audit.AuditEntry):
    id: strawberry.ID  # type: ignore[assignment]  # GraphQL's whole numbers are short


@strawberry.type(description="A page of the audit trail, the newest first; `cursor` is for `after`, null on the last page.")
class AuditPage:
    entries: list[AuditEntry]
    cursor: str | None


@derived()
class RolloutCounts(rest_rollouts.RolloutCounts):
    pass


@derived()
class RolloutEvent(rest_rollouts.RolloutEventInfo):
    pass


@derived()
class Rollout(rest_rollouts.RolloutInfo):
    pass


@derived()
class Rollouts(rest_rollouts.RolloutList):
    pass


@strawberry.type(description="The probability of a class.")
class ClassProbability:
    label: str
    probability: float


@derived()
class UnusualColumn(rest_predictions.UnusualColumnAnswer):
    pass


@derived()
class Unusual(rest_predictions.UnusualAnswer):
    pass


class Parts(Protocol):
    """What a prediction has beside, computed when it is first read, for all records of the query at once; None after an error."""

    def set_of(self, row: int) -> list[str] | None: ...

    def unusual_of(self, row: int) -> Unusual | None: ...


@strawberry.type(description="The prediction for one record.")
class RecordPrediction:
    row: int
    parts: strawberry.Private[Parts]
    prediction: Code
    label: str
    probability: float = strawberry.field(description="of the predicted class")
    probabilities: list[ClassProbability]

    @strawberry.field(description="the classes that the record may have, at the level of the version")  # type: ignore[untyped-decorator]
    def set(self) -> list[str] | None:
        return self.parts.set_of(self.row)

    @strawberry.field(description="how unlike the train set of the version the record is")  # type: ignore[untyped-decorator]
    def unusual(self) -> Unusual | None:
        return self.parts.unusual_of(self.row)


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
    canary: bool


@derived()
class Contribution(rest_explanations.ContributionAnswer):
    pass


@derived(exclude={"probabilities"})
class Explanation(rest_explanations.ExplanationAnswer):
    pass


@derived(exclude={"model", "n_samples"})
class Explanations(rest_explanations.ExplainAnswer):
    pass


@derived()
class StoredUnusual(rest_stream.StoredUnusual):
    pass


@derived()
class StoredPrediction(rest_stream.StoredPrediction):
    message_id: strawberry.ID
    probabilities: list[ClassProbability]  # type: ignore[assignment]  # GraphQL has no type of unnamed fields


@strawberry.type(description="A stored prediction, and its place in the list.")
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


@derived()
class Receipt(rest_feedback.ReceiptInfo):
    pass


@derived()
class Feedback(rest_feedback.FeedbackAnswer):
    pass
