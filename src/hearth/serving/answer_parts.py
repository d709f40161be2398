"""What an answer has on request, and what is stored, beside classes and probabilities: sets of classes, and what is unusual."""

import numpy as np

from hearth.contracts.record_parser import Columns
from hearth.errors import NotKept
from hearth.modelling.scorer import Scores
from hearth.modelling.unusual import UnusualRecord
from hearth.predictions import StoredParts
from hearth.serving.include import Include
from hearth.serving.loaded_model import LoadedModel

_DIGITS = 4  # of a stored score


def require_kept(model: LoadedModel, include: Include) -> None:
    """Raise NotKept if a version does not have what it takes to answer these parts."""
    if include.set and (model.trust is None or model.trust.sets is None):
        raise NotKept(model.dataset, model.version, "prediction sets were")
    if include.unusual and model.unusual is None:
        raise NotKept(model.dataset, model.version, "what is unusual was")


def with_parts(model: LoadedModel, include: Include) -> LoadedModel:
    """Return the model if it has what it takes to answer these parts; in the place of a candidate that has not, the champion.

    Raises:
        NotKept: the champion has not.
    """
    if model.fallback is None:
        require_kept(model, include)
        return model
    require_kept(model.fallback, include)  # all callers get the same error, whatever their share
    try:
        require_kept(model, include)
    except NotKept:
        return model.fallback
    return model


def sets_of(model: LoadedModel, scores: Scores) -> list[list[str]]:
    """Return the set of classes of each record, by name; raises NotKept."""
    require_kept(model, Include(set=True))
    assert model.trust is not None and model.trust.sets is not None  # noqa: S101, PT018 - as just checked
    return model.trust.sets.labels(scores.probabilities, scores.classes)


def unusual_of(model: LoadedModel, columns: Columns) -> list[UnusualRecord]:
    """Return how unlike the train set each record is; raises NotKept."""
    require_kept(model, Include(unusual=True))
    assert model.unusual is not None  # noqa: S101 - as just checked
    return model.unusual.records(columns)


def unusual_dict(record: UnusualRecord) -> dict[str, object]:
    """Return the JSON form: `low` and `high` are those of a number, `share` that of a category; of a personal column all are None."""
    return {
        "score": record.score,
        "unusual": record.unusual,
        "columns": [
            {"name": column.name, "value": column.value, "low": column.low, "high": column.high, "share": column.share}
            for column in record.columns
        ],
        "combinations": [list(pair) for pair in record.combinations],
    }


def unusual_text(record: UnusualRecord) -> str:
    """Return what is unusual in a record as a text for people; empty if nothing is."""
    parts = []
    for column in record.columns:
        if column.low is not None and column.high is not None:
            parts.append(f"{column.name} {column.value:g} ({column.low:g} to {column.high:g})")
        elif column.share is not None:
            parts.append(f"{column.name} {column.value} ({column.share:.2%} of the train set)")
        else:
            parts.append(column.name)
    return "; ".join([*parts, *(" with ".join(pair) for pair in record.combinations)])


def parts_to_store(model: LoadedModel, columns: Columns, probabilities: np.ndarray) -> StoredParts:
    """Compute all parts that the version knows; a third of a microsecond for each record."""
    members = model.trust.sets.members(probabilities) if model.trust is not None and model.trust.sets is not None else None
    if model.unusual is None:
        return StoredParts(members)
    scores, unusual = model.unusual.scores(columns)
    return StoredParts(members, scores.round(_DIGITS), unusual)
