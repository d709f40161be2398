from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from hearth.contracts import Contract
from hearth.errors import InvalidCursor

BATCH = "batch"
"""The source of records that are a sample of a batch; those of all others are answers to somebody."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The prediction of one version for one record.

    Attributes:
        row: index of the record in its message or request.
        version: version of the registered model of the data set.
        probabilities: in the order of the contract's classes.
        enqueued_at: when the message was added to the stream; None if unknown.
        source: protocol of the request: stream, rest, graphql, grpc, file, or batch for a record of the sample of a batch.
        role: answer, or challenger for a prediction in shadow.
        label_set: the classes that the record may have; None if the version has no prediction sets.
        unusual_score: share of the train set that is less unusual, 0 to 1; None if the version does not know.
        is_unusual: whether the score is above the threshold of the version; None if it does not know.
        trace_id: of the request or message, 32 hexadecimal digits; None if it was stored before there were any.
    """

    message_id: str
    row: int
    dataset: str
    alias: str
    version: str
    family: str
    code: int
    label: str
    probabilities: tuple[float, ...]
    record: dict[str, object]
    enqueued_at: datetime | None
    scored_at: datetime
    source: str = "stream"
    role: str = "answer"
    label_set: tuple[str, ...] | None = None
    unusual_score: float | None = None
    is_unusual: bool | None = None
    trace_id: str | None = None


# PostgreSQL stores no NUL in texts
_POSITION = TypeAdapter(tuple[AwareDatetime, Annotated[str, Field(pattern=r"^[^\x00]*$")], Annotated[int, Field(ge=0, lt=2**31)]])


def class_values(prediction: Prediction, contract: Contract | None) -> tuple[int | str, Sequence[str]]:
    """Return the predicted class as the column of the data set holds it, and the names of all classes.

    Without a contract, or if the contract now has another number of classes, codes and positions are returned instead.
    """
    if contract and len(contract.target.classes) == len(prediction.probabilities):
        return contract.class_codes[prediction.code], contract.target.classes
    return prediction.code, [str(position) for position in range(len(prediction.probabilities))]


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last prediction of a page; the next page follows it, independent of new predictions."""

    scored_at: datetime
    message_id: str
    row: int

    @classmethod
    def after(cls, last: Prediction) -> Self:
        """Return the cursor of the page that follows this prediction."""
        return cls(last.scored_at, last.message_id, last.row)

    def encode(self) -> str:
        """Return the cursor as an opaque text for URLs."""
        return urlsafe_b64encode(to_json((self.scored_at, self.message_id, self.row))).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read a text that `encode` has written.

        Raises:
            InvalidCursor: the text is not a cursor.
        """
        try:
            return cls(*_POSITION.validate_json(urlsafe_b64decode(text + "=" * (-len(text) % 4)), strict=False))
        except (ValidationError, ValueError) as error:
            raise InvalidCursor(text) from error
