"""The aliases that have a version in the registry, for senders of records."""

import logging
import threading
from collections.abc import Iterable
from typing import Protocol, Self

from hearth.errors import RegistryError

logger = logging.getLogger(__name__)


class AliasSource(Protocol):
    """The part of a registry that is needed here."""

    def aliases(self, dataset: str) -> dict[str, str]: ...


class ServedAliases:
    """The pairs of data set and alias that have a version: `("employees", "knn") in served`.

    A thread polls the registry, so a registry that hangs does not block the caller. While it is unavailable, the last answer is used.
    """

    def __init__(self, registry: AliasSource, datasets: Iterable[str], poll_seconds: float) -> None:
        self._registry, self._datasets, self._poll_seconds = registry, sorted(datasets), poll_seconds
        self._served: frozenset[tuple[str, str]] = frozenset()
        self._problem = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="served-aliases", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop polling; do not wait for a request in progress."""
        self._stop.set()

    def __contains__(self, address: object) -> bool:
        return address in self._served

    def poll(self) -> None:
        """Query the registry once."""
        try:
            served = frozenset((dataset, alias) for dataset in self._datasets for alias in self._registry.aliases(dataset))
        except RegistryError as error:
            if str(error) != self._problem:
                logger.warning("the registry cannot tell which models exist: %s", error)
            self._problem = str(error)
            return
        if served != self._served:
            logger.info("trained models: %s", ", ".join(f"{dataset}@{alias}" for dataset, alias in sorted(served)) or "none")
        self._served, self._problem = served, ""

    def _follow(self) -> None:
        while not self._stop.is_set():
            self.poll()
            self._stop.wait(self._poll_seconds)
