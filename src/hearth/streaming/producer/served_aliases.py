"""The aliases that have a version in the registry, for senders of records."""

import logging
from collections.abc import Iterable
from typing import Protocol, Self

from hearth.periodic import PeriodicThread

logger = logging.getLogger(__name__)


class AliasSource(Protocol):
    """The part of a registry that is needed here."""

    def aliases(self, dataset: str) -> dict[str, str]: ...


class ServedAliases:
    """The pairs of data set and alias that have a version: `("employees", "knn") in served`.

    A thread polls the registry, so a registry that hangs does not block the caller. While it is unavailable, the last answer is used.
    """

    def __init__(self, registry: AliasSource, datasets: Iterable[str], poll_seconds: float) -> None:
        self._registry, self._datasets = registry, sorted(datasets)
        self._served: frozenset[tuple[str, str]] = frozenset()
        self._thread = PeriodicThread(
            self._read, "served-aliases", poll_seconds, trouble="the registry cannot tell which models exist", join_seconds=0.0
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop polling; do not wait for a request in progress."""
        self._thread.close()

    def __contains__(self, address: object) -> bool:
        return address in self._served

    def poll(self) -> None:
        """Query the registry once; if it is unavailable, the log says so."""
        self._thread.run_once()

    def _read(self) -> None:
        served = frozenset((dataset, alias) for dataset in self._datasets for alias in self._registry.aliases(dataset))
        if served != self._served:
            logger.info("trained models: %s", ", ".join(f"{dataset}@{alias}" for dataset, alias in sorted(served)) or "none")
        self._served = served
