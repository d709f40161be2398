"""What the two versions of a running rollout did in this process: answers, errors, and how long scoring took."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from hearth.contracts import Contract
from hearth.rollouts.counts import Counts, bucket_of
from hearth.rollouts.statistics import ErrorTest
from hearth.serving.loaded_model import LoadedModel

_MOST_ROLLOUTS = 20  # that are remembered; the oldest go
_TYPICAL_RECORDS = 100  # of an answer; the time of a larger one counts as if it had as many
_LOCAL_LEVEL = 1e-3  # of the test by which a process stops by itself: stricter than the controller, which sees all processes


@dataclass
class _Versions:
    dataset: str
    counts: dict[str, Counts] = field(default_factory=dict)
    stopped: bool = False


class RolloutCounter:
    """Counts for the rollouts that this process has seen. Thread-safe; counting takes a microsecond or two."""

    def __init__(self, most_errors: Mapping[str, float]) -> None:
        """`most_errors` is the share of failed answers that a candidate of a data set may have; without one nothing stops it here."""
        self._most_errors = dict(most_errors)
        self._rollouts: dict[str, _Versions] = {}
        self._lock = threading.Lock()

    @classmethod
    def of(cls, contracts: Mapping[str, Contract]) -> Self:
        """Make the one of a process that serves these data sets."""
        return cls({name: contract.deploy.errors for name, contract in contracts.items()})

    def add(  # noqa: PLR0913 - what is counted, all but three named
        self, rollout: str, model: LoadedModel, seconds: float, *, records: int, answers: int = 1, failed: bool = False
    ) -> None:
        """Count answers of one version that were scored together; time is that of one typical answer."""
        bucket = bucket_of(seconds * min(1.0, _TYPICAL_RECORDS / max(1, records)))
        with self._lock:
            known = self._rollouts.get(rollout)
            if known is None:
                known = self._rollouts[rollout] = _Versions(model.dataset)
                while len(self._rollouts) > _MOST_ROLLOUTS:
                    del self._rollouts[next(iter(self._rollouts))]
            counts = known.counts.get(model.version)
            if counts is None:
                counts = known.counts[model.version] = Counts()
            counts.answers += answers
            counts.latencies[bucket] += 1
            if failed:
                counts.errors += answers
                bound = self._most_errors.get(model.dataset)
                if bound is not None and model.fallback is not None and not known.stopped:
                    known.stopped = ErrorTest(bound, _LOCAL_LEVEL).is_beyond(counts.errors, counts.answers)

    def is_stopped(self, rollout: str) -> bool:
        """Whether the candidate has failed so often in this process that it gets no more requests here."""
        known = self._rollouts.get(rollout)
        return known is not None and known.stopped

    def counts(self, rollout: str) -> dict[str, Counts]:
        """Return what each version did in this process, by its number; nothing else changes what is returned."""
        with self._lock:
            known = self._rollouts.get(rollout)
            return {version: counts.copy() for version, counts in known.counts.items()} if known else {}

    def by_version(self) -> dict[tuple[str, str], tuple[int, int]]:
        """Return answers and errors since the start of the process, by data set and version, for metrics."""
        sums: dict[tuple[str, str], tuple[int, int]] = {}
        with self._lock:
            for known in self._rollouts.values():
                for version, counts in known.counts.items():
                    answers, errors = sums.get((known.dataset, version), (0, 0))
                    sums[known.dataset, version] = (answers + counts.answers, errors + counts.errors)
        return sums

    def all_counts(self) -> dict[str, dict[str, Counts]]:
        """Return the counts of all rollouts that this process remembers, by their ids."""
        return {rollout: self.counts(rollout) for rollout in tuple(self._rollouts)}
