"""Messages out."""

from grpc_service.v1 import prediction_pb2 as pb
from hearth.contracts import CategoryColumn, Contract, IntegerColumn, NumberColumn
from hearth.modelling.unusual import UnusualRecord
from hearth.registry import RegisteredVersion
from hearth.serving.alias_view import AliasStatus
from hearth.serving.answer_parts import sets_of, unusual_of
from hearth.serving.include import NOTHING, Include
from hearth.serving.loaded_model import LoadedModel
from hearth.serving.model_cards import card_path
from hearth.serving.predictor import Predictions


def prediction_message(prediction: Predictions, include: Include = NOTHING) -> pb.PredictResponse:
    """Return the predictions of one request."""
    model, scores = prediction.model, prediction.scores
    message = pb.PredictResponse(
        dataset=model.dataset,
        alias=model.alias,
        version=model.version,
        family=model.family,
        classes=scores.classes,
        predictions=scores.codes.tolist(),
        labels=scores.labels,
        probabilities=scores.probabilities.ravel().tolist(),
        request_id=prediction.request_id,
        canary=model.fallback is not None,
    )
    if include.set:
        position = {name: code for code, name in enumerate(scores.classes)}
        for labels in sets_of(model, scores):
            message.sets.add(classes=[position[label] for label in labels])
    if include.unusual:
        message.unusual.extend(map(_unusual, unusual_of(model, prediction.columns)))
    return message


def _unusual(record: UnusualRecord) -> pb.Unusual:
    message = pb.Unusual(score=record.score, unusual=record.unusual)
    for column in record.columns:
        value = None
        if column.value is not None:
            value = pb.Value(text=column.value) if isinstance(column.value, str) else pb.Value(number=column.value)
        message.columns.add(name=column.name, value=value, low=column.low, high=column.high, share=column.share)
    for pair in record.combinations:
        message.combinations.add(columns=pair)
    return message


def alias_message(status: AliasStatus, model: LoadedModel | None) -> pb.Alias:
    """Return an alias and the version that it serves, as the registry described it when it was loaded."""
    message = pb.Alias(alias=status.alias, version=status.serving, registered=status.registered, problem=status.problem)
    if model is not None:
        message.family, message.run_id = model.family, model.run_id
        message.since.FromDatetime(model.loaded_at)
        message.metrics.update(model.registered.metrics)
    return message


def info_message(alias: pb.Alias, contract: Contract, version: RegisteredVersion) -> pb.ModelInfoResponse:
    """Return what is known of a served version and of the records that it scores."""
    features = [_feature(name, contract) for name in contract.feature_names]
    message = pb.ModelInfoResponse(
        dataset=contract.name,
        alias=alias,
        digest=version.digest,
        tags=version.tags,
        params=version.params,
        status=version.status,
        source=version.source,
        classes=contract.target.classes,
        features=features,
        card=card_path(contract.name, version.version),
    )
    message.created.FromDatetime(version.created)
    return message


def _feature(name: str, contract: Contract) -> pb.Feature:
    column = contract.columns[name]
    message = pb.Feature(name=name, kind=column.kind, nullable=column.nullable, description=column.description, expected=column.expected)
    if isinstance(column, IntegerColumn | NumberColumn):
        message.minimum, message.maximum, message.unit = column.minimum, column.maximum, column.unit
    elif isinstance(column, CategoryColumn):
        message.categories.extend(column.texts)
    return message
