"""The state of the service."""

from typing import Literal

from pydantic import BaseModel, Field

from hearth_api.schemas.errors import ErrorEntry


class ServiceInfo(BaseModel):
    """Name and version of the service, its data sets, and links."""

    name: str
    version: str
    datasets: list[str]
    default_dataset: str
    links: dict[str, str]


class Health(BaseModel):
    """The process lives and has started."""

    status: Literal["ok"] = "ok"


class ServerState(BaseModel):
    """The state of a server that the service needs."""

    ok: bool
    problem: str = Field(description="empty if the server answers")
    milliseconds: float = Field(description="duration of the check")
    address: str = Field(description="address of the server")


class AliasState(BaseModel):
    """The state of an alias that the registry has, or that the service needs."""

    dataset: str
    alias: str
    ok: bool = Field(description="whether a version serves; `problem` says why it is not the registered one")
    version: str | None = Field(description="the version that is served")
    registered: str | None = Field(description="the version in the registry")
    problem: str


class Readiness(BaseModel):
    """The service is ready."""

    status: Literal["ready"] = "ready"
    servers: dict[str, ServerState]
    following: bool = Field(description="whether the registry's aliases are followed")
    last_look: str | None = Field(description="time of the last poll of the registry")
    aliases: list[AliasState]


class NotReady(BaseModel):
    """Something is missing: `detail` says what, and why."""

    error: Literal["not_ready"] = "not_ready"
    detail: str
    errors: list[ErrorEntry] = Field([], description="always empty: no record is concerned")
    status: Literal["not_ready"] = "not_ready"
    servers: dict[str, ServerState]
    following: bool
    last_look: str | None
    aliases: list[AliasState]
