"""The loads that moved aliases need: one for each version, in the order in which they are missed, some at the same time."""

import queue
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hearth.contracts import Contract
from hearth.contracts.aliases import CHAMPION
from hearth.serving.alias_view import AliasView
from hearth.serving.loaded_model import LoadedModel, ModelSource, load_version

_POLL_SECONDS = 0.2  # how soon a stop is seen while loads are under way

Loaded = LoadedModel | Exception
"""A version, or why it is not loaded."""


@dataclass(frozen=True)
class Load:
    """A version to load, and the aliases that wait for it, the most missed first."""

    contract: Contract
    version: str
    aliases: tuple[str, ...]
    rank: tuple[bool, bool]

    @property
    def alias(self) -> str:
        """The alias that it is loaded for."""
        return self.aliases[0]


def default_first(dataset: str, contracts: Mapping[str, Contract]) -> dict[str, Contract]:
    """Return contracts with that of the default data set first: models are loaded in this order."""
    return dict(sorted(contracts.items(), key=lambda item: item[0] != dataset))


def plan_loads(contracts: Mapping[str, Contract], views: Mapping[str, AliasView]) -> list[Load]:
    """Return one load for each version that is neither loaded nor refused.

    Aliases that serve nothing come first, and champions before others; within that the order of the contracts holds.
    """
    loads = [load for dataset, contract in contracts.items() for load in _loads(contract, views[dataset])]
    return sorted(loads, key=lambda load: load.rank)


def _loads(contract: Contract, view: AliasView) -> Iterator[Load]:
    known = view.ready().keys() | view.refused.keys()
    waiting: dict[str, list[str]] = {}
    for alias in sorted(view.registered, key=lambda alias: _rank(view, alias)):
        if view.registered[alias] not in known:
            waiting.setdefault(view.registered[alias], []).append(alias)
    for version, aliases in waiting.items():
        yield Load(contract, version, tuple(aliases), _rank(view, aliases[0]))


def _rank(view: AliasView, alias: str) -> tuple[bool, bool]:
    return alias in view.loaded, alias != CHAMPION


def run_loads(registry: ModelSource, loads: Sequence[Load], threads: int, stop: threading.Event) -> Iterator[tuple[Load, Loaded]]:
    """Run loads in their order, `threads` at the same time, and yield each with its result as it ends; after `stop` none is begun.

    The threads are daemons: a download that hangs does not keep the process from ending.
    """
    waiting: queue.SimpleQueue[Load] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[Load, Loaded]] = queue.SimpleQueue()
    for each in loads:
        waiting.put(each)

    def work() -> None:
        while not stop.is_set():
            try:
                each = waiting.get_nowait()
            except queue.Empty:
                return
            done.put((each, _result(registry, each)))

    for number in range(min(threads, len(loads))):
        threading.Thread(target=work, name=f"model-load-{number}", daemon=True).start()
    left = len(loads)
    while left:
        try:
            result = done.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            if stop.is_set():
                return
            continue
        left -= 1
        yield result


def _result(registry: ModelSource, load: Load) -> Loaded:
    try:
        return load_version(registry, load.contract, load.alias, load.version)
    except Exception as error:  # noqa: BLE001 - who waits for the result says what it means
        return error
