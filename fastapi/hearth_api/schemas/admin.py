"""Requests to move aliases, and their results."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Promotion(BaseModel):
    """The version that gets an alias: one of `version` and `from`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"version": "7"}, {"from": "challenger"}]})

    version: str | None = Field(None, pattern="^[0-9]{1,18}$", description="number of the version")
    from_: str | None = Field(None, alias="from", description="an alias of the version, such as challenger")
    to: str = Field("champion", description="the alias to move; not previous, which follows the champion")
    over_gate: bool = Field(default=False, description="move the alias even if the gate has not passed the version; this is recorded")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.version is None) == (self.from_ is None):
            raise ValueError("give either 'version' or 'from'")
        return self


class MovedAliases(BaseModel):
    """The result of a move."""

    dataset: str
    alias: str
    version: str = Field(description="the version that carries the alias now")
    family: str
    gate: str = Field(description="result of the gate: passed, refused, waiting, not judged or not signed")
    moved: bool = Field(description="false if the aliases were so before")
    before: dict[str, str] = Field(description="by alias, the version before the move")
    after: dict[str, str] = Field(description="by alias, the version after the move")
    serving: str | None = Field(description="the version that this process serves under the alias")
    by: str = Field(description="name of the API key")


class ReloadedAlias(BaseModel):
    """An alias after a poll of the registry."""

    dataset: str
    alias: str
    version: str | None = Field(description="the version that is served, or null")
    registered: str | None = Field(description="the version in the registry")
    problem: str = Field(description="empty if the registered version is served")


class Reloaded(BaseModel):
    """The aliases of this process after a poll of the registry."""

    problem: str = Field(description="why the registry does not answer; empty if it does")
    aliases: list[ReloadedAlias]
