"""What every answer is."""

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """A part of an answer; fields that this version of the client does not know are left out."""

    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)  # built when it is first read: the import stays fast
