"""What share of the champion's requests a candidate answers: a tag of the registered model, which every serving process reads.

The registry is the one source of it, beside the aliases, so that processes need no database to route. The tag names both versions: a
process in which either is another one, as after a promotion meanwhile or before the candidate is loaded, lets the champion answer.
"""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

TRAFFIC = "hearth.traffic"


class Traffic(BaseModel):
    """A candidate and its share; the champion answers the rest."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rollout: str = Field(min_length=1, max_length=100)
    version: str
    champion: str
    share: float = Field(ge=0, le=1)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read the value of the tag; raises ValidationError, a ValueError, if it is none."""
        return cls.model_validate_json(text)

    def to_json(self) -> str:
        """Return the value of the tag."""
        return self.model_dump_json()
