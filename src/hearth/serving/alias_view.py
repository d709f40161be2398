"""What a process knows of the aliases of a data set: what serves, what the registry names, and why the two differ."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from hearth.contracts import Contract
from hearth.contracts.aliases import CANARY, CHAMPION
from hearth.contracts.aliases import aliases as possible_aliases
from hearth.errors import ModelUnavailable
from hearth.logs import about
from hearth.registry import RegisteredModel, Traffic
from hearth.serving.loaded_model import LoadedModel, ModelSource, Split

_LOGGER = logging.getLogger(__name__)
NOT_POLLED = "the registry has not been asked yet"


@dataclass(frozen=True)
class AliasStatus:
    """An alias with the version that serves, the version in the registry, and the problem if they differ."""

    dataset: str
    alias: str
    serving: str | None
    registered: str | None
    problem: str


@dataclass(frozen=True)
class FollowerStatus:
    """The state of a follower. `problem` is empty while the registry answers; `following` is False before the start and after the end.

    `reloads` counts moves of aliases since the start by their outcome: swapped, refused, or failed, which is tried again. `starting` names
    the champions that a starting process has not tried to load yet; it is empty from then on.
    """

    following: bool
    last_poll: datetime | None
    problem: str
    aliases: tuple[AliasStatus, ...]
    reloads: Mapping[tuple[str, str, str], int] = field(default_factory=dict)  # by data set, alias and outcome
    starting: tuple[str, ...] = ()


@dataclass(frozen=True)
class AliasView:
    """The state of one data set. Never changed, only replaced, so that readers need no lock."""

    loaded: Mapping[str, LoadedModel] = field(default_factory=dict)
    registered: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)  # reason by version; not tried again
    failed: Mapping[str, str] = field(default_factory=dict)  # reason by version; tried again
    problem: str = NOT_POLLED
    created: datetime | None = None  # when the registered model was created, whose versions these are
    replaced: frozenset[str] = frozenset()  # loaded versions whose numbers belong to other runs by now
    traffic: Traffic | None = None
    refreshed: float = field(default_factory=time.monotonic)

    @property
    def is_problem_told(self) -> bool:
        """Whether the registry has failed to answer, and a log line says so."""
        return self.problem not in {"", NOT_POLLED}

    def is_of_another(self, model: RegisteredModel) -> bool:
        """Whether the registered model was deleted and made anew since it was read last."""
        return bool(self.created and model.created and self.created != model.created)

    def with_registered(self, contract: Contract, model: RegisteredModel, replaced: frozenset[str]) -> "AliasView":
        """Return what is known after the registry has answered; `replaced` are the loaded versions that are other runs' now."""
        registered = {alias: model.aliases[alias] for alias in possible_aliases(contract) if alias in model.aliases}
        numbers = set() if self.is_of_another(model) else set(registered.values())
        return replace(
            self,
            registered=registered,
            loaded={alias: loaded for alias, loaded in self.loaded.items() if alias in registered},
            refused={version: reason for version, reason in self.refused.items() if version in numbers},
            failed={version: reason for version, reason in self.failed.items() if version in numbers},
            problem="",
            created=model.created or self.created,
            replaced=replaced,
            traffic=model.traffic,
        )

    def ready(self) -> dict[str, LoadedModel]:
        """Return the loaded versions that are still those of their numbers, by number."""
        return {model.version: model for model in self.loaded.values() if model.version not in self.replaced}

    def why(self, alias: str) -> str:
        """Return why an alias does not serve its version in the registry; empty if it does."""
        version = self.registered.get(alias, "")
        reason = self.refused.get(version, "") or self.failed.get(version, "") or self.problem
        if not reason and version and (alias not in self.loaded or self.loaded[alias].version != version):
            reason = f"version {version} is being loaded."
        return reason

    def is_settled(self) -> bool:
        """Whether the champion that the registry names serves, or a reason is known why it does not."""
        version = self.registered.get(CHAMPION)
        if self.problem or version is None:
            return self.problem != NOT_POLLED
        serving = self.loaded.get(CHAMPION)
        return version in self.refused or version in self.failed or (serving is not None and serving.version == version)

    def split(self) -> Split | None:
        """Return the candidate that answers a share, if it and the champion are the versions that the registry's traffic is about."""
        traffic, champion, candidate = self.traffic, self.loaded.get(CHAMPION), self.loaded.get(CANARY)
        if (
            traffic is None
            or champion is None
            or candidate is None
            or not traffic.share
            or (champion.version, candidate.version) != (traffic.champion, traffic.version)
            or champion.version in self.replaced
        ):
            return None
        candidate = replace(candidate, alias=CHAMPION, rollout=traffic.rollout, fallback=champion)
        return Split(traffic.rollout, traffic.share, champion, candidate)

    def statuses(self, contract: Contract) -> list[AliasStatus]:
        """Return the status of each alias that the data set can have."""
        return [self._status(contract.name, alias) for alias in possible_aliases(contract)]

    def _status(self, dataset: str, alias: str) -> AliasStatus:
        serving = self.loaded.get(alias)
        return AliasStatus(dataset, alias, serving.version if serving else None, self.registered.get(alias), self.why(alias))


def replaced_versions(registry: ModelSource, dataset: str, view: AliasView) -> frozenset[str]:
    """Return the loaded versions whose numbers belong to other runs now, because the registered model was made anew.

    Raises:
        RegistryError: the registry does not answer.
    """
    text = "%s: the registered model was deleted and made anew; its versions are compared by their runs"
    _LOGGER.warning(text, dataset, extra=about(dataset))
    runs = {model.version: model.run_id for model in view.loaded.values()}
    replaced = set()
    for version, run_id in runs.items():
        try:
            if registry.version(dataset, version).run_id == run_id:
                continue
        except ModelUnavailable:
            _LOGGER.info("%s: version %s is gone", dataset, version, extra=about(dataset, version=version))
        replaced.add(version)
    return frozenset(replaced)


def refreshed(registry: ModelSource, dataset: str, view: AliasView) -> AliasView:
    """Return a view with what the registry says now of the versions that serve; the models stay.

    Raises:
        RegistryError, ModelUnavailable: it cannot say.
    """
    entries = {number: registry.version(dataset, number) for number in {each.version for each in view.loaded.values()}}
    loaded = {
        alias: replace(model, registered=entries[model.version]) if entries[model.version].run_id == model.run_id else model
        for alias, model in view.loaded.items()  # a version that was made anew under its number is another
    }
    return replace(view, loaded=loaded, refreshed=time.monotonic())
