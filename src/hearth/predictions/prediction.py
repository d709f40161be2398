from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from hearth.errors import InvalidCursor


@dataclass(frozen=True, slots=True)
class Prediction:
    """What one version said about one record.

    `row` is the record's place in its message. `version` is of the registered model that has the data set's name. `probabilities`
    follow the order of the contract's classes. `enqueued_at` is None where nobody knows it. `source` is the protocol that asked: stream,
    rest, graphql, grpc or file. `role` is answer for what was answered, challenger for what another version would have answered.
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


# What PostgreSQL can compare: its texts hold no NUL
_PLACE = TypeAdapter(tuple[AwareDatetime, Annotated[str, Field(pattern=r"^[^\x00]*$")], Annotated[int, Field(ge=0, lt=2**31)]])


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last prediction of a page: the next page begins behind it, whatever has come in since."""

    scored_at: datetime
    message_id: str
    row: int

    @classmethod
    def after(cls, last: Prediction) -> Self:
        """Return the cursor of the page that follows this prediction."""
        return cls(last.scored_at, last.message_id, last.row)

    def encode(self) -> str:
        """Return the cursor as text that fits into a URL and that nobody needs to understand."""
        return urlsafe_b64encode(to_json((self.scored_at, self.message_id, self.row))).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Self:
        """Read what `encode` has written.

        Raises:
            InvalidCursor: it has not.
        """
        try:
            return cls(*_PLACE.validate_json(urlsafe_b64decode(text + "=" * (-len(text) % 4)), strict=False))
        except (ValidationError, ValueError) as error:
            raise InvalidCursor(text) from error
