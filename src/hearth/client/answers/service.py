"""How the service and what it needs are."""

from collections.abc import Mapping, Sequence

from hearth.client.answers.base import Answer


class ServiceInfo(Answer):
    """Who answers."""

    name: str
    version: str
    datasets: Sequence[str]
    default_dataset: str
    links: Mapping[str, str]


class Health(Answer):
    """The process lives."""

    status: str


class ServerState(Answer):
    """The state of a server that the service needs."""

    ok: bool
    problem: str
    milliseconds: float
    address: str


class AliasState(Answer):
    """The state of an alias that the registry names, or that is needed."""

    dataset: str
    alias: str
    ok: bool
    version: str | None
    registered: str | None
    problem: str


class Readiness(Answer):
    """Whether the service can do all that it is there for; `detail` says what is missing."""

    status: str
    detail: str = ""
    servers: Mapping[str, ServerState]
    following: bool
    last_look: str | None
    aliases: Sequence[AliasState]

    @property
    def is_ready(self) -> bool:
        return self.status == "ready"
