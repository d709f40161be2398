"""Which models a sender can ask: the aliases that carry a version, as the registry tells."""

import logging
import threading
from collections.abc import Iterable
from typing import Protocol, Self

from hearth.errors import RegistryError

logger = logging.getLogger(__name__)


class AliasSource(Protocol):
    """What is needed of a registry."""

    def aliases(self, dataset: str) -> dict[str, str]: ...


class ServedAliases:
    """The pairs of data set and alias that carry a version; `in` tells whether one does.

    A thread of its own asks the registry, so one that hangs holds up nobody. While it is away, what it said last counts.
    """

    def __init__(self, registry: AliasSource, datasets: Iterable[str], poll_seconds: float) -> None:
        self._registry, self._datasets, self._poll_seconds = registry, sorted(datasets), poll_seconds
        self._carried: frozenset[tuple[str, str]] = frozenset()
        self._problem = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="carried-aliases", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop asking; a question that the registry has not answered yet is not waited for."""
        self._stop.set()

    def __contains__(self, address: object) -> bool:
        return address in self._carried

    def poll(self) -> None:
        """Ask the registry once."""
        try:
            carried = frozenset((dataset, alias) for dataset in self._datasets for alias in self._registry.aliases(dataset))
        except RegistryError as error:
            if str(error) != self._problem:
                logger.warning("which models there are is not known: %s", error)
            self._problem = str(error)
            return
        if carried != self._carried:
            logger.info("trained models: %s", ", ".join(f"{dataset}@{alias}" for dataset, alias in sorted(carried)) or "none")
        self._carried, self._problem = carried, ""

    def _follow(self) -> None:
        while not self._stop.is_set():
            self.poll()
            self._stop.wait(self._poll_seconds)
