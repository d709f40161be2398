"""What a version knows of its own limits, beside its model: `trust.json` in the version's folder.

Versions of earlier releases do not have the file. Each part is optional, and a part that this release does not know is left out.
"""

from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from hearth.errors import RefusedModel
from hearth.modelling.prediction_sets import PredictionSets
from hearth.modelling.unusual import Unusual

FILE_NAME = "trust.json"
MOST_BYTES = 4_000_000


@dataclass(frozen=True)
class Trust:
    """`sets`: thresholds by which a record gets a set of classes; `unusual`: what the train set looks like."""

    sets: PredictionSets | None = None
    unusual: Unusual | None = None

    def to_json(self) -> bytes:
        """Write it as `from_json` reads it."""
        return _TRUST.dump_json(self)

    @staticmethod
    def from_json(content: bytes, classes: int, where: str) -> "Trust":
        """Read what `to_json` wrote, for a model of this number of classes; `where` names the model in errors.

        Raises:
            RefusedModel: it is something else, is too large, or is of another number of classes.
        """
        if len(content) > MOST_BYTES:
            raise RefusedModel(f"{where}: its {FILE_NAME} has {len(content):,} bytes, at most {MOST_BYTES:,} are allowed. Train again.")
        try:
            trust = _TRUST.validate_json(content, strict=True)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or "its start"
            raise RefusedModel(f"{where}: its {FILE_NAME} cannot be read at {place} ({first['msg']}). Train again.") from error
        if trust.sets is not None and len(trust.sets.thresholds) != classes:
            raise RefusedModel(
                f"{where}: its {FILE_NAME} has thresholds of {len(trust.sets.thresholds)} classes, the model has {classes}. Train again."
            )
        return trust


_TRUST = TypeAdapter(Trust)
