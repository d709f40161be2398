"""What the service says of itself."""

from typing import Literal

from pydantic import BaseModel, Field

from hearth_api.schemas.errors import ErrorEntry


class ServiceInfo(BaseModel):
    """Who answers, and where to go on."""

    name: str
    version: str
    datasets: list[str]
    default_dataset: str
    links: dict[str, str]


class Health(BaseModel):
    """The process lives."""

    status: Literal["ok"] = "ok"


class ServerState(BaseModel):
    """How a server is that the service needs."""

    ok: bool
    problem: str = Field(description="empty if nothing is wrong")
    milliseconds: float = Field(description="how long it took to answer")
    address: str = Field(description="where it is looked for")


class AliasState(BaseModel):
    """How an alias is that the registry names, or that is needed."""

    dataset: str
    alias: str
    ok: bool = Field(description="whether some version serves; if it is not the registered one, `problem` says why")
    version: str | None = Field(description="the version that serves")
    registered: str | None = Field(description="the version that the registry names")
    problem: str


class Readiness(BaseModel):
    """Whether the service can do all that it is there for."""

    status: Literal["ready"] = "ready"
    servers: dict[str, ServerState]
    following: bool = Field(description="whether the registry's aliases are followed")
    last_look: str | None = Field(description="when they were last looked at")
    aliases: list[AliasState]


class NotReady(BaseModel):
    """Something is missing: `detail` says what, and how."""

    error: Literal["not_ready"] = "not_ready"
    detail: str
    errors: list[ErrorEntry] = Field([], description="always empty: it is about no record")
    status: Literal["not_ready"] = "not_ready"
    servers: dict[str, ServerState]
    following: bool
    last_look: str | None
    aliases: list[AliasState]
