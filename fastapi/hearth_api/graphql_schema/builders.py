"""GraphQL's answers, from REST's models and from what the interfaces share."""

from collections.abc import Mapping, Sequence

from hearth.contracts import Contract
from hearth.contracts.names import graphql_names
from hearth.predictions import Cursor, Prediction
from hearth.serving.answer_parts import sets_of, unusual_dict, unusual_of
from hearth.serving.include import SET, UNUSUAL
from hearth.serving.predictor import Predictions
from hearth_api.graphql_schema import types
from hearth_api.schemas import builders as rest
from hearth_api.schemas.models import AliasInfo, ColumnInfo, ModelInfo
from hearth_api.schemas.predictions import UnusualAnswer


def alias_of(dataset: str, info: AliasInfo) -> types.Alias:
    """Return how an alias is served."""
    return types.convert(types.Alias, info, dataset=dataset)


def model_of(info: ModelInfo, contract: Contract) -> types.ModelInfo:
    """Return the description of a version that is served."""
    names = graphql_names(contract.columns)
    return types.convert(types.ModelInfo, info, features=[_column(column, names[column.name]) for column in info.features])


def predictions_of(predicted: Predictions, contract: Contract) -> types.Predictions:
    """Return the predictions for the records of one query."""
    model, scores = predicted.model, predicted.scores
    parts = _Parts(predicted)
    rows = [
        types.RecordPrediction(
            row=row,
            parts=parts,
            prediction=types.Code(contract.class_codes[code]),
            label=scores.classes[code],
            probability=probabilities[code],
            probabilities=_probabilities(dict(zip(scores.classes, probabilities, strict=True))),
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
        canary=model.fallback is not None,
    )


class _Parts:
    """The sets and the unusual values of a query, computed if a field is selected; one error for all records."""

    def __init__(self, predicted: Predictions) -> None:
        self._predicted = predicted
        self._sets: list[list[str]] | None = None
        self._unusual: list[types.Unusual] | None = None
        self._refused: set[str] = set()

    def set_of(self, row: int) -> list[str] | None:
        """Return the set of a record; raises NotKept once."""
        if self._sets is None and SET not in self._refused:
            self._refused.add(SET)
            self._sets = sets_of(self._predicted.model, self._predicted.scores)
        return self._sets[row] if self._sets else None

    def unusual_of(self, row: int) -> types.Unusual | None:
        """Return how unusual a record is; raises NotKept once."""
        if self._unusual is None and UNUSUAL not in self._refused:
            self._refused.add(UNUSUAL)
            records = unusual_of(self._predicted.model, self._predicted.columns)
            self._unusual = [types.convert(types.Unusual, UnusualAnswer.model_validate(unusual_dict(record))) for record in records]
        return self._unusual[row] if self._unusual else None


def stored_of(prediction: Prediction, contracts: Mapping[str, Contract]) -> types.StoredPrediction:
    """Return a stored prediction."""
    stored = rest.stored_prediction(contracts, prediction)
    return types.convert(types.StoredPrediction, stored, probabilities=_probabilities(stored.probabilities))


def page_of(predictions: Sequence[Prediction], first: int, contracts: Mapping[str, Contract]) -> types.PredictionConnection:
    """Return a page of at most `first` predictions; one more in `predictions` means that another page follows."""
    edges = [
        types.PredictionEdge(cursor=Cursor.after(prediction).encode(), node=stored_of(prediction, contracts))
        for prediction in predictions[:first]
    ]
    page_info = types.PageInfo(has_next_page=len(predictions) > first, end_cursor=edges[-1].cursor if edges else None)
    return types.PredictionConnection(edges=edges, page_info=page_info)


def _column(info: ColumnInfo, field: str) -> types.Column:
    bounds = {name: bound for name in ("minimum", "maximum") if not isinstance(bound := getattr(info, name), str)}
    return types.convert(types.Column, info, **{"minimum": None, "maximum": None, **bounds}, field=field)


def _probabilities(by_label: Mapping[str, float]) -> list[types.ClassProbability]:
    return [types.ClassProbability(label=label, probability=probability) for label, probability in by_label.items()]
