"""Writes what a process has counted for rollouts into the store, once a second while one runs; no answer waits for it."""

import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from secrets import token_hex
from typing import Protocol, Self

from hearth.contracts import Contract
from hearth.periodic import PeriodicThread
from hearth.predictions.rollout_store import RolloutStore, VersionCounts
from hearth.registry import Traffic
from hearth.serving.rollouts.counter import RolloutCounter

_POLL_SECONDS = 1.0


class TrafficModels(Protocol):
    """The part of the models of a process that is reported."""

    def traffic(self, dataset: str) -> Traffic | None: ...

    def refusal(self, dataset: str, version: str) -> str: ...


class RolloutReporter:
    """Reports while its context is open, and once more at its end. It connects when there is something to report."""

    def __init__(
        self,
        store: RolloutStore,
        counter: RolloutCounter,
        models: TrafficModels,
        contracts: Mapping[str, Contract],
        poll_seconds: float = _POLL_SECONDS,
    ) -> None:
        self._store, self._counter, self._models, self._datasets = store, counter, models, tuple(contracts)
        self._process = f"{socket.gethostname()[:100]}:{os.getpid()}:{token_hex(4)}"  # one that starts anew counts from 0 again
        self._written: dict[tuple[str, str], tuple[int, int, str]] = {}
        trouble = "what the versions of a rollout did is not reported"
        self._thread = PeriodicThread(self.report, "rollout-reporter", poll_seconds, trouble=trouble)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.close()
        self._thread.run_once()

    def report(self) -> None:
        """Write what has changed since the last report.

        Raises:
            PredictionsUnavailable: the store does not answer; nothing is lost, because counts only grow.
        """
        counts = self._changed()
        if not counts:
            return
        self._store.write_counts(counts)
        self._written |= {(each.rollout_id, each.version): _state(each) for each in counts}

    def _changed(self) -> list[VersionCounts]:
        counted = self._counter.all_counts()
        now = datetime.now(UTC)
        found = [
            VersionCounts(rollout, self._process, version, counts.answers, counts.errors, counts.latencies, "", now)
            for rollout, versions in counted.items()
            for version, counts in versions.items()
        ]
        for dataset in self._datasets:
            traffic = self._models.traffic(dataset)
            if traffic and (problem := self._models.refusal(dataset, traffic.version)):
                found = [each for each in found if (each.rollout_id, each.version) != (traffic.rollout, traffic.version)]
                counts = counted.get(traffic.rollout, {}).get(traffic.version)
                answers, errors, latencies = (counts.answers, counts.errors, counts.latencies) if counts else (0, 0, [])
                found.append(
                    VersionCounts(traffic.rollout, self._process, traffic.version, answers, errors, latencies, problem[:2_000], now)
                )
        return [each for each in found if self._written.get((each.rollout_id, each.version)) != _state(each)]


def _state(counts: VersionCounts) -> tuple[int, int, str]:
    return counts.answers, counts.errors, counts.problem
