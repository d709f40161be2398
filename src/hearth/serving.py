"""The models that a process serves: loaded when an alias moves, never per request.

One thread asks the registry which version each alias carries. A version that an alias has moved to is loaded beside the old one and takes
its place in one step. A version that must not be loaded is refused, and the old one stays. While the registry is away, what is loaded
serves.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol, Self

from sklearn.pipeline import Pipeline

from hearth.compiled.scorer import CompiledScorer
from hearth.contracts import Contract
from hearth.contracts.aliases import aliases as possible_aliases
from hearth.errors import ModelUnavailable, RefusedModel, RegistryError, UnknownAlias, UnknownDataset
from hearth.registry import RegisteredVersion

_LOGGER = logging.getLogger(__name__)
_NOT_ASKED = "the registry has not been asked yet"
_FIRST_LOOK_SECONDS = 30.0
_CLOSE_SECONDS = 5.0


class ModelSource(Protocol):
    """What is needed of a registry."""

    def aliases(self, dataset: str) -> dict[str, str]: ...

    def version(self, dataset: str, name: str) -> RegisteredVersion: ...

    def load(self, version: RegisteredVersion) -> Pipeline: ...


@dataclass(frozen=True)
class LoadedModel:
    """A version as it is served under an alias."""

    dataset: str
    alias: str
    version: str
    family: str
    run_id: str
    scorer: CompiledScorer
    loaded_at: datetime


@dataclass(frozen=True)
class AliasStatus:
    """An alias: the version that serves, if any, the one that the registry names, and what is wrong, if anything."""

    dataset: str
    alias: str
    serving: str | None
    registered: str | None
    problem: str


@dataclass(frozen=True)
class ModelsStatus:
    """How the following goes. `problem` is empty while the registry answers; `following` is False before the start and after the end."""

    following: bool
    last_look: datetime | None
    problem: str
    aliases: tuple[AliasStatus, ...]


@dataclass(frozen=True)
class _View:
    """What is known of one data set. Never changed, only replaced, so that readers need no lock."""

    loaded: Mapping[str, LoadedModel] = field(default_factory=dict)
    registered: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)  # reason by version; not tried again
    failed: Mapping[str, str] = field(default_factory=dict)  # reason by version; tried again
    problem: str = _NOT_ASKED


class Models:
    """The models of some data sets, by alias. `start` makes it follow the registry; `look` asks once."""

    def __init__(self, registry: ModelSource, contracts: Mapping[str, Contract], poll_seconds: float) -> None:
        self._registry = registry
        self._contracts = dict(contracts)
        self._poll_seconds = poll_seconds
        self._views = {dataset: _View() for dataset in self._contracts}
        self._last_look: datetime | None = None
        self._looking = threading.Lock()
        self._stop = threading.Event()
        self._looked = threading.Event()
        self._thread: threading.Thread | None = None

    def get(self, dataset: str, alias: str) -> LoadedModel:
        """Return the model that serves under an alias; asks nobody.

        Raises:
            UnknownDataset: no contract has this name.
            UnknownAlias: not an alias that the data set can have.
            ModelUnavailable: it can have the alias, but nothing is loaded for it; the message says why.
        """
        if dataset not in self._views:
            raise UnknownDataset(dataset, sorted(self._views))
        known = possible_aliases(self._contracts[dataset])
        if alias not in known:
            raise UnknownAlias(dataset, alias, known)
        view = self._views[dataset]
        if alias in view.loaded:
            return view.loaded[alias]
        raise ModelUnavailable(dataset, alias, _why(view, alias) or "no version carries this alias yet. Run a training first.")

    def look(self) -> None:
        """Ask the registry once and load what has moved. Returns when that is done; never raises because of the registry or a model."""
        with self._looking:
            for dataset, contract in self._contracts.items():
                self._views[dataset] = self._look_at(contract, self._views[dataset])
            self._last_look = datetime.now(UTC)
            self._looked.set()

    def status(self) -> ModelsStatus:
        """Tell what serves and what is wrong, for health pages."""
        views = dict(self._views)
        return ModelsStatus(
            following=self._thread is not None and self._thread.is_alive(),
            last_look=self._last_look,
            problem=next((view.problem for view in views.values() if view.problem), ""),
            aliases=tuple(
                _alias_status(dataset, alias, views[dataset]) for dataset in views for alias in possible_aliases(self._contracts[dataset])
            ),
        )

    def start(self) -> Self:
        """Follow the registry from now on. Returns when the models are loaded, or after a while if the registry is slow."""
        if self._thread is not None:
            raise RuntimeError("Models.start was called before")
        self._thread = threading.Thread(target=self._follow, name="model-follower", daemon=True)
        self._thread.start()
        self._looked.wait(_FIRST_LOOK_SECONDS)
        return self

    def close(self) -> None:
        """Stop following. What is loaded stays usable. A look that waits for the registry is not waited for long."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _follow(self) -> None:
        while not self._stop.is_set():
            self.look()
            self._stop.wait(self._poll_seconds)

    def _look_at(self, contract: Contract, view: _View) -> _View:
        try:
            aliases = self._registry.aliases(contract.name)
        except RegistryError as error:
            if view.problem != str(error):
                _LOGGER.warning("%s: %s What is loaded keeps serving.", contract.name, error)
            return replace(view, problem=str(error))
        if view.problem not in {"", _NOT_ASKED}:
            _LOGGER.info("%s: the registry answers again", contract.name)
        registered = {alias: aliases[alias] for alias in possible_aliases(contract) if alias in aliases}
        return self._follow_aliases(contract, view, registered)

    def _follow_aliases(self, contract: Contract, view: _View, registered: Mapping[str, str]) -> _View:
        ready = {model.version: model for model in view.loaded.values()}
        refused = {version: reason for version, reason in view.refused.items() if version in registered.values()}
        failed: dict[str, str] = {}
        loaded: dict[str, LoadedModel] = {}
        for alias, version in registered.items():
            if version not in ready | refused | failed:
                try:
                    ready[version] = self._load_version(contract, alias, version)
                except RefusedModel as error:
                    refused[version] = str(error)
                    _LOGGER.error("%s@%s: %s", contract.name, alias, error)  # noqa: TRY400 - the message says all
                except (RegistryError, ModelUnavailable) as error:
                    failed[version] = str(error)
                    if view.failed.get(version) != str(error):
                        _LOGGER.warning("%s@%s: version %s is not loaded yet: %s", contract.name, alias, version, error)
            serving = view.loaded.get(alias)
            if version in ready and (serving is None or serving.version != version):
                loaded[alias] = replace(ready[version], alias=alias, loaded_at=datetime.now(UTC))
                _LOGGER.info("%s@%s: version %s (%s) serves", contract.name, alias, version, ready[version].family)
            elif serving is not None:
                loaded[alias] = serving
        return _View(loaded, registered, refused, failed, problem="")

    def _load_version(self, contract: Contract, alias: str, number: str) -> LoadedModel:
        version = self._registry.version(contract.name, number)
        scorer = CompiledScorer(self._registry.load(version), contract)
        scorer.require_contract(str(version))
        return LoadedModel(contract.name, alias, version.version, version.family, version.run_id, scorer, datetime.now(UTC))


def _why(view: _View, alias: str) -> str:
    """Say what keeps an alias from serving what the registry names; empty if nothing does."""
    version = view.registered.get(alias, "")
    return view.refused.get(version, "") or view.failed.get(version, "") or view.problem


def _alias_status(dataset: str, alias: str, view: _View) -> AliasStatus:
    serving = view.loaded.get(alias)
    return AliasStatus(dataset, alias, serving.version if serving else None, view.registered.get(alias), _why(view, alias))
