"""The models that a process serves: loaded when an alias moves, never per request.

One thread polls the registry for the version of each alias. A new version is loaded beside the old one, compiled, compared with
scikit-learn, which also warms it up, and replaces the old one in one step. A version that cannot be loaded, for whatever reason, is refused
for its alias by name; the old version stays, and all other aliases and data sets are followed as before. While the registry does not
answer, the loaded models serve.

At the start the champion of the first data set is loaded before others are asked for, then the other champions, then the rest.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from types import TracebackType
from typing import Self

from hearth.contracts import Contract
from hearth.contracts.aliases import CHAMPION
from hearth.contracts.aliases import aliases as possible_aliases
from hearth.errors import ModelUnavailable, RefusedModel, RegistryError, RegistryUnavailable, UnknownAlias, UnknownDataset
from hearth.logs import about
from hearth.registry import RegisteredModel, Traffic
from hearth.serving.alias_view import AliasView, FollowerStatus, refreshed, replaced_versions
from hearth.serving.loaded_model import LoadedModel, ModelSource, Split
from hearth.serving.version_loads import Load, Loaded, plan_loads, run_loads

_LOGGER = logging.getLogger(__name__)
# A starting process waits this long for the registry, and if that answers, this long for its first champion. Then it serves what is loaded.
_FIRST_ANSWER_SECONDS = 3.0
_FIRST_MODEL_SECONDS = 10.0
_START_SECONDS = 60.0  # after this a process counts as started whatever is still being loaded, so that one download cannot hold it up
_CLOSE_SECONDS = 5.0
_REFRESH_SECONDS = 60.0  # how often what the registry says of served versions is read again: their standing changes, not their model
_REFRESHES_A_POLL = 5  # data sets; with more the time above grows, not the requests a second
_LOAD_THREADS = 2  # downloads wait for the registry, compiling for the interpreter: docs/scaling.md
_FEW = 3  # registered models are read one by one


class ModelFollower:
    """The models of data sets, by alias. `start` follows the registry; `poll` reads it once."""

    def __init__(
        self, registry: ModelSource, contracts: Mapping[str, Contract], poll_seconds: float, refresh_seconds: float = _REFRESH_SECONDS
    ) -> None:
        self._registry = registry
        self._contracts = dict(contracts)
        self._poll_seconds = poll_seconds
        self._refresh_seconds = refresh_seconds
        self._views = {dataset: AliasView() for dataset in self._contracts}
        self._splits: dict[str, Split] = {}
        self._last_poll: datetime | None = None
        self._reloads: Counter[tuple[str, str, str]] = Counter()
        self._polling = threading.Lock()
        self._stop = threading.Event()
        self._answered = threading.Event()
        self._first_settled = threading.Event()
        self._polled = threading.Event()
        self._started = threading.Event()
        self._start_time: float | None = None
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
        raise ModelUnavailable(dataset, alias, view.why(alias) or "no version carries this alias yet. Run a training first.")

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
            contracts = list(self._contracts.values())
            answered = {}
            if not self._polled.is_set():  # the first champion waits neither for other data sets nor for other versions
                first, contracts = contracts[:1], contracts[1:]
                answered = self._read(first)
                self._load(load for load in plan_loads(answered, self._views) if load.alias == CHAMPION)
            answered |= self._read(contracts)
            for _, loads in groupby(plan_loads(answered, self._views), attrgetter("rank")):
                self._load(loads)
            self._refresh(answered)
            self._last_poll = datetime.now(UTC)
            for event in (self._answered, self._first_settled, self._polled):
                event.set()

    def status(self) -> FollowerStatus:
        """Return what serves and what is wrong, for health pages."""
        views = dict(self._views)
        return FollowerStatus(
            following=self._thread is not None and self._thread.is_alive(),
            last_poll=self._last_poll,
            problem=next((view.problem for view in views.values() if view.problem), ""),
            aliases=tuple(status for dataset in views for status in views[dataset].statuses(self._contracts[dataset])),
            reloads=dict(self._reloads),
            starting=self.starting(),
        )

    def starting(self) -> tuple[str, ...]:
        """Return the champions, and what the registry was not asked yet, that a starting process waits for.

        Empty for good once each champion serves or is known not to, and a minute after the start in any case.
        """
        if self._started.is_set():
            return ()
        waiting = tuple(f"{name}@{CHAMPION}: {view.why(CHAMPION)}" for name, view in self._views.items() if not view.is_settled())
        is_late = self._start_time is not None and time.monotonic() - self._start_time > _START_SECONDS
        if is_late and waiting:
            _LOGGER.warning("the start goes on without these: %s", "; ".join(waiting))
        if is_late or not waiting:
            self._started.set()
            return ()
        return waiting

    def start(self) -> Self:
        """Start to follow the registry.

        Returns when the first champion serves, or it is known why it does not; or after 3 s if the registry does not answer.
        """
        if self._thread is not None:
            raise RuntimeError("ModelFollower.start was called before")
        self._start_time = time.monotonic()
        self._thread = threading.Thread(target=self._follow, name="model-follower", daemon=True)
        self._thread.start()
        if self._answered.wait(_FIRST_ANSWER_SECONDS):
            self._first_settled.wait(_FIRST_MODEL_SECONDS)
        return self

    def wait_until_polled(self, seconds: float | None = None) -> bool:
        """Wait until every alias of the registry was tried once; False if it took longer, or the follower was closed before."""
        return self._polled.wait(seconds) and self._last_poll is not None

    def close(self) -> None:
        """Stop following, after at most 5 s; loaded models stay usable."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_CLOSE_SECONDS)
        self._polled.set()  # nobody waits for what will not come

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _follow(self) -> None:
        while not self._stop.is_set():
            self.poll()
            self._stop.wait(self._poll_seconds)

    def _read(self, contracts: Sequence[Contract]) -> dict[str, Contract]:
        """Read the registered models of data sets; return the contracts of those that the registry has answered for."""
        answered = {}
        several: Mapping[str, RegisteredModel] | RegistryError = {}
        if len(contracts) > _FEW:
            try:
                several = self._registry.registered_models([contract.name for contract in contracts])
            except RegistryError as error:
                several = error
            except Exception:
                _LOGGER.exception("the registered models cannot be read in one request; they are read one by one")
        for contract in contracts:
            try:
                self._read_model(contract, several)
                answered[contract.name] = contract
            except RegistryError as error:
                self._note_away(contract.name, error)
                if isinstance(error, RegistryUnavailable):
                    several = error  # nor does it answer for others, and each time a retry takes seconds
            except Exception as error:  # noqa: BLE001 - one data set must not stop the others; the line is logged with its traceback
                self._log_failure(contract.name, error)
            self._settle_first(contract.name)
        return answered

    def _read_model(self, contract: Contract, several: Mapping[str, RegisteredModel] | RegistryError) -> None:
        """Replace the view of a data set by what the registry says now; raises RegistryError if it says nothing."""
        if isinstance(several, RegistryError):
            raise several
        view = self._views[contract.name]
        model = several.get(contract.name) or self._registry.registered_model(contract.name)
        replaced = replaced_versions(self._registry, contract.name, view) if view.is_of_another(model) else view.replaced
        self._answered.set()
        if view.is_problem_told:
            _LOGGER.info("%s: the registry answers again", contract.name, extra=about(contract.name))
        view = view.with_registered(contract, model, replaced)
        self._set_view(contract, view)  # a candidate that was rolled back answers nothing while another version is loaded
        for version, ready in view.ready().items():
            self._swap(contract, version, ready, [alias for alias in view.registered if view.registered[alias] == version])

    def _note_away(self, dataset: str, error: RegistryError) -> None:
        view = self._views[dataset]
        if not view.is_problem_told:  # logged once: while MLflow starts or stops, the error changes from poll to poll
            _LOGGER.warning("%s: %s What is loaded keeps serving.", dataset, error, extra=about(dataset))
        self._views[dataset] = replace(view, problem=str(error))

    def _load(self, loads: Iterable[Load]) -> None:
        """Run loads; each result counts at once."""
        for load, result in run_loads(self._registry, list(loads), _LOAD_THREADS, self._stop):
            self._take_result(load, result)
            self._settle_first(load.contract.name)

    def _settle_first(self, dataset: str) -> None:
        if dataset == next(iter(self._contracts)) and self._views[dataset].is_settled():
            self._first_settled.set()

    def _take_result(self, load: Load, result: Loaded) -> None:
        name, version = load.contract.name, load.version
        view = self._views[name]
        if isinstance(result, LoadedModel):
            failed = {number: reason for number, reason in view.failed.items() if number != version}
            self._views[name] = replace(view, failed=failed, replaced=view.replaced - {version})
            self._swap(load.contract, version, result, load.aliases)
        elif isinstance(result, RefusedModel):
            self._reloads[name, load.alias, "refused"] += 1
            _LOGGER.error("%s@%s: %s", name, load.alias, result, extra=about(name, alias=load.alias, version=version))
            self._views[name] = replace(view, refused={**view.refused, version: str(result)})
        elif isinstance(result, RegistryError | ModelUnavailable):
            self._reloads[name, load.alias, "failed"] += 1
            if view.failed.get(version) != str(result):
                where = about(name, alias=load.alias, version=version)
                _LOGGER.warning("%s@%s: version %s is not loaded yet: %s", name, load.alias, version, result, extra=where)
            self._views[name] = replace(view, failed={**view.failed, version: str(result)})
        else:
            self._log_failure(name, result)

    def _swap(self, contract: Contract, version: str, model: LoadedModel, aliases: Sequence[str]) -> None:
        """Let a loaded version serve under aliases; those that it serves already stay as they are."""
        view = self._views[contract.name]
        loaded = dict(view.loaded)
        for alias in aliases:
            if alias in loaded and (loaded[alias].version, loaded[alias].run_id) == (version, model.run_id):
                continue
            self._reloads[contract.name, alias, "swapped"] += 1
            loaded[alias] = replace(model, alias=alias, loaded_at=datetime.now(UTC))
            where = about(contract.name, alias=alias, version=version)
            _LOGGER.info("%s@%s: version %s (%s) serves", contract.name, alias, version, model.family, extra=where)
        self._set_view(contract, replace(view, loaded=loaded))

    def _set_view(self, contract: Contract, view: AliasView) -> None:
        self._views[contract.name] = view
        self._set_split(contract.name, view)

    def _log_failure(self, dataset: str, error: Exception) -> None:
        _LOGGER.error("%s: the poll of the registry failed; it is repeated", dataset, exc_info=error, extra=about(dataset))
        self._views[dataset] = replace(self._views[dataset], problem=f"the poll of the registry failed ({type(error).__name__}: {error})")

    def _set_split(self, dataset: str, view: AliasView) -> None:
        """Let the candidate answer its share, or nothing."""
        split, known = view.split(), self._splits.get(dataset)
        if split is None:
            self._splits.pop(dataset, None)
            return
        is_same = known is not None and (known.rollout, known.share) == (split.rollout, split.share)
        if known is not None and is_same and known.champion is split.champion:
            return
        self._splits[dataset] = split
        if not is_same:
            version = split.candidate.version
            where = about(dataset, version=version)
            _LOGGER.info("%s: version %s answers %.1f %% of the champion's requests", dataset, version, 100 * split.share, extra=where)

    def _refresh(self, contracts: Mapping[str, Contract]) -> None:
        """Read again what the registry says of the versions that serve, of the data sets for which that is oldest; the models stay."""
        now = time.monotonic()
        due = [name for name in contracts if now - self._views[name].refreshed >= self._refresh_seconds]
        for name in sorted(due, key=lambda name: self._views[name].refreshed)[:_REFRESHES_A_POLL]:
            # also if that fails: else those that always fail would stay the oldest
            self._views[name] = replace(self._views[name], refreshed=now)
            try:
                self._views[name] = refreshed(self._registry, name, self._views[name])
            except (RegistryError, ModelUnavailable) as error:
                text = "%s: what the registry says of the served versions was not read again: %s"
                _LOGGER.warning(text, name, error, extra=about(name))
            except Exception as error:  # noqa: BLE001 - as in _read
                self._log_failure(name, error)
