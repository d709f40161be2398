"""From what all interfaces share to GraphQL's types."""

from collections.abc import Mapping, Sequence

from strawberry.scalars import JSON
from strawberry.utils.str_converters import to_camel_case

from hearth.contracts import Contract
from hearth.contracts.column_types import field_name
from hearth.predictions import Cursor, Prediction, class_values
from hearth.serving.explaining import Contribution, Explanation
from hearth.serving.predictor import Predictions
from hearth_api.graphql_schema import types
from hearth_api.schemas.models import AliasInfo, ColumnInfo, ModelInfo, VersionInfo


def alias_of(dataset: str, info: AliasInfo) -> types.Alias:
    """Return how an alias is served."""
    known = {name: getattr(info, name) for name in ("alias", "version", "registered", "family", "run_id", "metrics", "since", "problem")}
    return types.Alias(dataset=dataset, **known)


def version_of(info: VersionInfo) -> types.Version:
    """Return a version that may serve or not."""
    return types.Version(**info.model_dump())


def model_of(info: ModelInfo) -> types.ModelInfo:
    """Return all that is known of a version that is served."""
    same = {name: getattr(info, name) for name in types.ModelInfo.__annotations__ if name != "features"}
    return types.ModelInfo(**same, features=[_column(column) for column in info.features])


def predictions_of(predicted: Predictions, contract: Contract) -> types.Predictions:
    """Return what was predicted for the records of one query."""
    model, scores = predicted.model, predicted.scores
    rows = [
        types.RecordPrediction(
            row=row,
            prediction=types.Code(contract.class_codes[code]),
            label=scores.classes[code],
            probability=probabilities[code],
            probabilities=_probabilities(scores.classes, probabilities),
        )
        for row, (code, probabilities) in enumerate(zip(scores.codes.tolist(), scores.probabilities.tolist(), strict=True))
    ]
    return types.Predictions(
        predictions=rows,
        dataset=model.dataset,
        alias=model.alias,
        model=model.dataset,
        family=model.family,
        version=model.version,
        n_samples=len(rows),
        request_id=predicted.request_id,
    )


def explanation_of(explanation: Explanation, contract: Contract) -> types.Explanation:
    """Return why a record has the score that it has."""
    return types.Explanation(
        row=explanation.row,
        prediction=types.Code(contract.class_codes[explanation.code]),
        label=explanation.label,
        explained_class=explanation.explained,
        probability=explanation.probabilities[explanation.explained],
        unit=explanation.unit.value,
        base_value=explanation.base_value,
        score=explanation.score,
        contributions=[_contribution(part) for part in explanation.contributions],
        rest=explanation.rest,
    )


def stored_of(given: Prediction, contracts: Mapping[str, Contract]) -> types.StoredPrediction:
    """Return a stored prediction. Its data set may be gone, or have other classes now: then positions stand for names and codes."""
    value, names = class_values(given, contracts.get(given.dataset))
    return types.StoredPrediction(
        message_id=given.message_id,  # type: ignore[arg-type]  # an ID is a text
        row=given.row,
        dataset=given.dataset,
        alias=given.alias,
        version=given.version,
        family=given.family,
        prediction=types.Code(value),
        label=given.label,
        probabilities=_probabilities(names, given.probabilities),
        record=JSON(given.record),
        source=given.source,
        role=given.role,
        enqueued_at=given.enqueued_at,
        scored_at=given.scored_at,
    )


def page_of(found: Sequence[Prediction], first: int, contracts: Mapping[str, Contract]) -> types.PredictionConnection:
    """Return a page; `found` may hold one more, which tells that another page follows."""
    edges = [types.PredictionEdge(cursor=Cursor.after(given).encode(), node=stored_of(given, contracts)) for given in found[:first]]
    more = len(found) > first
    return types.PredictionConnection(
        edges=edges, page_info=types.PageInfo(has_next_page=more, end_cursor=edges[-1].cursor if edges else None)
    )


def _contribution(part: Contribution) -> types.Contribution:
    return types.Contribution(column=part.column, value=JSON(part.value), contribution=part.contribution)


def _column(info: ColumnInfo) -> types.Column:
    same = {name: getattr(info, name) for name in ("name", "kind", "description", "nullable", "expected", "unit", "meanings")}
    minimum, maximum = (bound if isinstance(bound, float | int) else None for bound in (info.minimum, info.maximum))
    categories = None if info.categories is None else [types.Code(category) for category in info.categories]
    return types.Column(**same, field=to_camel_case(field_name(info.name)), minimum=minimum, maximum=maximum, categories=categories)


def _probabilities(names: Sequence[str], probabilities: Sequence[float]) -> list[types.ClassProbability]:
    return [types.ClassProbability(label=name, probability=given) for name, given in zip(names, probabilities, strict=True)]
