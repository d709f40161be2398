"""The models that a process serves: loaded when an alias moves, never per request.

One thread polls the registry for the version of each alias. A new version is loaded beside the old one, compiled, compared with
scikit-learn, which also warms it up, and replaces the old one in one step. A version that cannot be loaded, for whatever reason, is refused
for its alias by name; the old version stays, and all other aliases and data sets are followed as before. While the registry does not
answer, the loaded models serve.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol, Self

from hearth.contracts import Contract
from hearth.contracts.aliases import CANARY, CHAMPION
from hearth.contracts.aliases import aliases as possible_aliases
from hearth.contracts.examples import random_columns
from hearth.errors import ModelUnavailable, RefusedModel, RegistryError, UnknownAlias, UnknownDataset
from hearth.logs import about
from hearth.modelling.trust import Trust
from hearth.registry import RegisteredModel, RegisteredVersion, StoredModel, Traffic
from hearth.serving.compiled.scorer import CompiledScorer
from hearth.serving.compiled.unusual_kernel import UnusualScorer

_LOGGER = logging.getLogger(__name__)
_NOT_POLLED = "the registry has not been asked yet"
# A starting process waits this long for the registry, and if that answers, this long for the models. Then it serves what is loaded.
_FIRST_ANSWER_SECONDS = 3.0
_FIRST_MODELS_SECONDS = 10.0
_CLOSE_SECONDS = 5.0
_IN_PLACE_SECONDS = 0.002  # other requests wait this long, at most, for one that the event loop scores
_MOST_IN_PLACE = 128
_REFRESH_SECONDS = 60.0  # how often what the registry says of served versions is read again: their standing changes, not their model


class ModelSource(Protocol):
    """The part of a registry that loads models."""

    def aliases(self, dataset: str) -> dict[str, str]: ...

    def registered_model(self, dataset: str) -> RegisteredModel: ...

    def version(self, dataset: str, name: str) -> RegisteredVersion: ...

    def load_with_example(self, version: RegisteredVersion) -> StoredModel: ...


@dataclass(frozen=True)
class LoadedModel:
    """A version that an alias serves."""

    alias: str
    registered: RegisteredVersion  # the registry's entry at the time of loading
    scorer: CompiledScorer
    loaded_at: datetime
    records_in_place: int = 0  # up to this many are scored faster than a thread takes over
    trust: Trust | None = None  # what the version knows of its limits; None for versions of earlier releases
    unusual: UnusualScorer | None = None  # the compiled form of what it knows to be unusual
    rollout: str = ""  # of a candidate that answers in the champion's place: the rollout that lets it
    fallback: "LoadedModel | None" = None  # of such a candidate: the champion, which answers where it fails

    @property
    def dataset(self) -> str:
        return self.registered.dataset

    @property
    def version(self) -> str:
        return self.registered.version

    @property
    def family(self) -> str:
        return self.registered.family

    @property
    def run_id(self) -> str:
        return self.registered.run_id


@dataclass(frozen=True, slots=True)
class Split:
    """The champion of a data set and the candidate that answers a share of its requests, both loaded."""

    rollout: str
    share: float
    champion: LoadedModel
    candidate: LoadedModel


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

    `reloads` counts moves of aliases since the start by their outcome: swapped, refused, or failed, which is tried again.
    """

    following: bool
    last_poll: datetime | None
    problem: str
    aliases: tuple[AliasStatus, ...]
    reloads: Mapping[tuple[str, str, str], int] = field(default_factory=dict)  # by data set, alias and outcome


@dataclass(frozen=True)
class _View:
    """The state of one data set. Never changed, only replaced, so that readers need no lock."""

    loaded: Mapping[str, LoadedModel] = field(default_factory=dict)
    registered: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)  # reason by version; not tried again
    failed: Mapping[str, str] = field(default_factory=dict)  # reason by version; tried again
    problem: str = _NOT_POLLED
    created: datetime | None = None  # when the registered model was created, whose versions these are
    replaced: frozenset[str] = frozenset()  # loaded versions whose numbers belong to other runs by now
    traffic: Traffic | None = None
    refreshed: float = field(default_factory=time.monotonic)


class ModelFollower:
    """The models of data sets, by alias. `start` follows the registry; `poll` reads it once."""

    def __init__(
        self, registry: ModelSource, contracts: Mapping[str, Contract], poll_seconds: float, refresh_seconds: float = _REFRESH_SECONDS
    ) -> None:
        self._registry = registry
        self._contracts = dict(contracts)
        self._poll_seconds = poll_seconds
        self._refresh_seconds = refresh_seconds
        self._views = {dataset: _View() for dataset in self._contracts}
        self._splits: dict[str, Split] = {}
        self._last_poll: datetime | None = None
        self._reloads: Counter[tuple[str, str, str]] = Counter()
        self._polling = threading.Lock()
        self._stop = threading.Event()
        self._answered = threading.Event()
        self._polled = threading.Event()
        self._thread: threading.Thread | None = None

    def get(self, dataset: str, alias: str) -> LoadedModel:
        """Return the model that serves under an alias, without a request to the registry.

        Raises:
            UnknownDataset: no contract has this name.
            UnknownAlias: the data set cannot have this alias.
            ModelUnavailable: no model is loaded for the alias; the message says why.
        """
        if dataset not in self._views:
            raise UnknownDataset(dataset, sorted(self._views))
        possible = possible_aliases(self._contracts[dataset])
        if alias not in possible:
            raise UnknownAlias(dataset, alias, possible)
        view = self._views[dataset]
        if alias in view.loaded:
            return view.loaded[alias]
        raise ModelUnavailable(dataset, alias, _why(view, alias) or "no version carries this alias yet. Run a training first.")

    def split(self, dataset: str) -> Split | None:
        """Return the candidate that answers a share of the champion's requests; None if none does, or it is not loaded here."""
        return self._splits.get(dataset)

    def splits(self) -> Mapping[str, Split]:
        """Return the candidates that answer here, by data set."""
        return dict(self._splits)

    def traffic(self, dataset: str) -> Traffic | None:
        """Return what the registry says about shares, whether or not this process can do it."""
        return self._views[dataset].traffic

    def refusal(self, dataset: str, version: str) -> str:
        """Return why this process refuses a version for good; empty if it does not."""
        return self._views[dataset].refused.get(version, "")

    def poll(self) -> None:
        """Read the registry once and load the versions of moved aliases; never raises because of the registry or a model.

        Each alias serves its new version as soon as that is loaded.
        """
        with self._polling:
            for contract in self._contracts.values():
                try:
                    self._poll_dataset(contract)
                except Exception as error:  # one data set must not stop the others
                    _LOGGER.exception("%s: the poll of the registry failed; it is repeated", contract.name, extra=about(contract.name))
                    problem = f"the poll of the registry failed ({type(error).__name__}: {error})"
                    self._views[contract.name] = replace(self._views[contract.name], problem=problem)
            self._last_poll = datetime.now(UTC)
            self._answered.set()
            self._polled.set()

    def status(self) -> FollowerStatus:
        """Return what serves and what is wrong, for health pages."""
        views = dict(self._views)
        return FollowerStatus(
            following=self._thread is not None and self._thread.is_alive(),
            last_poll=self._last_poll,
            problem=next((view.problem for view in views.values() if view.problem), ""),
            aliases=tuple(
                _alias_status(dataset, alias, views[dataset]) for dataset in views for alias in possible_aliases(self._contracts[dataset])
            ),
            reloads=dict(self._reloads),
        )

    def start(self) -> Self:
        """Start to follow the registry. Returns when the models are loaded, or after 3 s if the registry does not answer."""
        if self._thread is not None:
            raise RuntimeError("ModelFollower.start was called before")
        self._thread = threading.Thread(target=self._follow, name="model-follower", daemon=True)
        self._thread.start()
        if self._answered.wait(_FIRST_ANSWER_SECONDS):
            self._polled.wait(_FIRST_MODELS_SECONDS)
        return self

    def close(self) -> None:
        """Stop following, after at most 5 s; loaded models stay usable."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _follow(self) -> None:
        while not self._stop.is_set():
            self.poll()
            self._stop.wait(self._poll_seconds)

    def _poll_dataset(self, contract: Contract) -> None:
        view = self._views[contract.name]
        try:
            model = self._registry.registered_model(contract.name)
            is_new = bool(view.created and model.created and view.created != model.created)
            replaced = self._replaced(contract, view) if is_new else view.replaced
        except RegistryError as error:
            if view.problem in {"", _NOT_POLLED}:  # logged once: while MLflow starts or stops, the error changes from poll to poll
                _LOGGER.warning("%s: %s What is loaded keeps serving.", contract.name, error, extra=about(contract.name))
            self._views[contract.name] = replace(view, problem=str(error))
            return
        self._answered.set()
        if view.problem not in {"", _NOT_POLLED}:
            _LOGGER.info("%s: the registry answers again", contract.name, extra=about(contract.name))
        registered = {alias: model.aliases[alias] for alias in possible_aliases(contract) if alias in model.aliases}
        view = replace(
            view, registered=registered, problem="", created=model.created or view.created, replaced=replaced, traffic=model.traffic
        )
        self._set_split(contract.name, view)  # a candidate that was rolled back answers nothing while another version is loaded
        self._follow_aliases(contract, replace(view, refused={}, failed={}) if is_new else view)
        self._set_split(contract.name, self._views[contract.name])
        if time.monotonic() - view.refreshed >= self._refresh_seconds:
            self._refresh(contract)

    def _set_split(self, dataset: str, view: _View) -> None:
        """Let the candidate answer its share, if it and the champion are the versions that the registry's traffic is about."""
        traffic, champion, candidate = view.traffic, view.loaded.get(CHAMPION), view.loaded.get(CANARY)
        if (
            traffic is None
            or champion is None
            or candidate is None
            or not traffic.share
            or (champion.version, candidate.version) != (traffic.champion, traffic.version)
            or champion.version in view.replaced
        ):
            self._splits.pop(dataset, None)
            return
        known = self._splits.get(dataset)
        is_same = known is not None and (known.rollout, known.share) == (traffic.rollout, traffic.share)
        if known is not None and is_same and known.champion is champion:
            return
        candidate = replace(candidate, alias=CHAMPION, rollout=traffic.rollout, fallback=champion)
        self._splits[dataset] = Split(traffic.rollout, traffic.share, champion, candidate)
        if not is_same:
            _LOGGER.info(
                "%s: version %s answers %.1f %% of the champion's requests",
                dataset,
                candidate.version,
                100 * traffic.share,
                extra=about(dataset, version=candidate.version),
            )

    def _refresh(self, contract: Contract) -> None:
        """Read again what the registry says of the versions that serve; the models stay."""
        view = self._views[contract.name]
        try:
            entries = {number: self._registry.version(contract.name, number) for number in {each.version for each in view.loaded.values()}}
        except (RegistryError, ModelUnavailable) as error:
            _LOGGER.warning(
                "%s: what the registry says of the served versions was not read again: %s", contract.name, error, extra=about(contract.name)
            )
            return
        loaded = {
            alias: replace(model, registered=entry)
            if (entry := entries[model.version]).run_id == model.run_id
            else model  # made anew: another
            for alias, model in view.loaded.items()
        }
        self._views[contract.name] = replace(view, loaded=loaded, refreshed=time.monotonic())

    def _replaced(self, contract: Contract, view: _View) -> frozenset[str]:
        """Return the loaded versions whose numbers belong to other runs now, because the registered model was made anew."""
        _LOGGER.warning(
            "%s: the registered model was deleted and made anew; its versions are compared by their runs",
            contract.name,
            extra=about(contract.name),
        )
        runs = {model.version: model.run_id for model in view.loaded.values()}
        replaced = set()
        for version, run_id in runs.items():
            try:
                if self._registry.version(contract.name, version).run_id == run_id:
                    continue
            except ModelUnavailable:
                _LOGGER.info("%s: version %s is gone", contract.name, version, extra=about(contract.name, version=version))
            replaced.add(version)
        return frozenset(replaced)

    def _follow_aliases(self, contract: Contract, view: _View) -> None:
        """Load what has moved; a replaced version serves until the new one of its number is loaded."""
        registered = view.registered
        ready = {model.version: model for model in view.loaded.values() if model.version not in view.replaced}
        refused = {version: reason for version, reason in view.refused.items() if version in registered.values()}
        failed: dict[str, str] = {}
        loaded = {alias: model for alias, model in view.loaded.items() if alias in registered}
        self._views[contract.name] = replace(view, loaded=dict(loaded), refused=refused)
        # Aliases without a model come first, and among them the champion
        for alias in sorted(registered, key=lambda alias: (alias in loaded, alias != CHAMPION)):
            version = registered[alias]
            if version not in ready | refused | failed:
                try:
                    ready[version] = load_version(self._registry, contract, alias, version)
                except RefusedModel as error:
                    refused[version] = str(error)
                    self._reloads[contract.name, alias, "refused"] += 1
                    _LOGGER.error("%s@%s: %s", contract.name, alias, error, extra=about(contract.name, alias=alias))  # noqa: TRY400 - the message says all
                except (RegistryError, ModelUnavailable) as error:
                    failed[version] = str(error)
                    self._reloads[contract.name, alias, "failed"] += 1
                    if view.failed.get(version) != str(error):
                        _LOGGER.warning(
                            "%s@%s: version %s is not loaded yet: %s",
                            contract.name,
                            alias,
                            version,
                            error,
                            extra=about(contract.name, alias=alias, version=version),
                        )
            if version in ready and (alias not in loaded or _names(loaded[alias]) != _names(ready[version])):
                self._reloads[contract.name, alias, "swapped"] += 1
                loaded[alias] = replace(ready[version], alias=alias, loaded_at=datetime.now(UTC))
                _LOGGER.info(
                    "%s@%s: version %s (%s) serves",
                    contract.name,
                    alias,
                    version,
                    ready[version].family,
                    extra=about(contract.name, alias=alias, version=version),
                )
            stale = view.replaced - ready.keys()
            self._views[contract.name] = replace(view, loaded=dict(loaded), refused=dict(refused), failed=dict(failed), replaced=stale)


def load_version(registry: ModelSource, contract: Contract, alias: str, number: str) -> LoadedModel:
    """Load a version for an alias.

    Raises:
        ModelUnavailable: there is no such version.
        RefusedModel: it must not be loaded, or cannot be served; any unexpected error of the version becomes this.
        RegistryError: the registry does not answer.
    """
    where = f"models:/{contract.name}/{number}"
    try:
        version = registry.version(contract.name, number)
        stored = registry.load_with_example(version)
        scorer = CompiledScorer(stored.pipeline, contract, stored.example)
        scorer.require_contract(where)
        in_place = scorer.records_within(_IN_PLACE_SECONDS, _MOST_IN_PLACE)
        unusual = _unusual_scorer(stored.trust, contract, where)
        return LoadedModel(alias, version, scorer, datetime.now(UTC), in_place, stored.trust, unusual)
    except (ModelUnavailable, RefusedModel, RegistryError):
        raise
    except Exception as error:  # a registered model can make libraries raise anything
        _LOGGER.exception("%s cannot be loaded", where)
        raise RefusedModel(f"{where} cannot be served ({type(error).__name__}: {error}). Train again.") from error


def _unusual_scorer(trust: Trust | None, contract: Contract, where: str) -> UnusualScorer | None:
    if trust is None or trust.unusual is None:
        return None
    trust.unusual.require_contract(contract, where)
    scorer = UnusualScorer(trust.unusual, contract)
    scorer.raw_scores(random_columns(contract, 1))  # compiles, if no process has yet
    return scorer


def _names(model: LoadedModel) -> tuple[str, str]:
    return model.version, model.run_id


def _why(view: _View, alias: str) -> str:
    """Return why an alias does not serve its version in the registry; empty if it does."""
    version = view.registered.get(alias, "")
    reason = view.refused.get(version, "") or view.failed.get(version, "") or view.problem
    if not reason and version and (alias not in view.loaded or view.loaded[alias].version != version):
        reason = f"version {version} is being loaded."
    return reason


def _alias_status(dataset: str, alias: str, view: _View) -> AliasStatus:
    serving = view.loaded.get(alias)
    return AliasStatus(dataset, alias, serving.version if serving else None, view.registered.get(alias), _why(view, alias))
