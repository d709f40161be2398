"""What the service is told, and says, of moved aliases."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Promotion(BaseModel):
    """Which version shall carry an alias: one of `version` and `from`."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"version": "7"}, {"from": "challenger"}]})

    version: str | None = Field(None, pattern="^[0-9]{1,18}$", description="its number")
    from_: str | None = Field(None, alias="from", description="an alias that it carries, such as challenger")
    to: str = Field("champion", description="the alias that it shall carry; not previous, which follows the champion")
    over_gate: bool = Field(default=False, description="also if the gate has not passed it; this is written down")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.version is None) == (self.from_ is None):
            raise ValueError("give either 'version' or 'from'")
        return self


class MovedAliases(BaseModel):
    """What was asked for is so."""

    dataset: str
    alias: str
    version: str = Field(description="the version that it carries now")
    family: str
    gate: str = Field(description="what the gate said of the version: passed, refused or not judged")
    moved: bool = Field(description="false if it was so before")
    before: dict[str, str] = Field(description="the versions that the aliases carried, which were to be moved")
    after: dict[str, str] = Field(description="the versions that they carry now")
    serving: str | None = Field(description="the version that this process answers with under the alias")
    by: str = Field(description="name of the API key")


class ReloadedAlias(BaseModel):
    """An alias after the look at the registry."""

    dataset: str
    alias: str
    version: str | None = Field(description="the version that is served, null if none is")
    registered: str | None = Field(description="the version that the registry names")
    problem: str = Field(description="empty if the registered version is served")


class Reloaded(BaseModel):
    """What this process serves after a look at the registry."""

    problem: str = Field(description="what keeps the registry from answering; else empty")
    aliases: list[ReloadedAlias]
