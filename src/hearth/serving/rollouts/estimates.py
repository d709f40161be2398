"""The metric of both versions of a rollout, estimated from the probabilities of what they answered lately."""

import time
from collections.abc import Callable

import numpy as np

from hearth.contracts import Contract
from hearth.monitoring.quality import EstimatedQuality, estimate_quality
from hearth.predictions.drift_store import DriftStore
from hearth.predictions.rollout_store import Rollout
from hearth.rollouts.decision import Estimates

_RECORDS = 1_000  # the newest of each version
_FEWEST = 200  # of each, before which nothing is estimated
_SECONDS = 10.0  # for which an estimate holds: answers are read from the store


class Estimator:
    """Estimates, at most once in ten seconds for each rollout. For one thread.

    An estimate holds while labels keep their meaning. Where `has_fallen` says that the labels speak against the champion, its probabilities
    are those of a world that is no more: it is too sure of itself, and an honest candidate would lose. Then there is no estimate.
    """

    def __init__(
        self,
        store: DriftStore,
        has_fallen: Callable[[str, str], bool] = lambda _dataset, _version: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._has_fallen, self._clock = store, has_fallen, clock
        self._known: dict[str, tuple[float, Estimates | None]] = {}

    def __call__(self, contract: Contract, rollout: Rollout) -> Estimates | None:
        """Return the estimates, None while a version has answered too few records since the rollout began.

        Raises:
            PredictionsUnavailable: the store does not answer.
        """
        until, estimates = self._known.get(rollout.id, (0.0, None))
        if self._clock() >= until:
            estimates = None if self._has_fallen(rollout.dataset, rollout.champion) else self._both(contract, rollout)
            self._known = {rollout.id: (self._clock() + _SECONDS, estimates), **self._others(rollout)}
        return estimates

    def _both(self, contract: Contract, rollout: Rollout) -> Estimates | None:
        candidate, champion = (self._of(contract, rollout, version) for version in (rollout.version, rollout.champion))
        return Estimates(candidate, champion) if candidate and champion else None

    def _others(self, rollout: Rollout) -> dict[str, tuple[float, Estimates | None]]:
        now = self._clock()
        return {key: value for key, value in self._known.items() if key != rollout.id and value[0] > now}

    def _of(self, contract: Contract, rollout: Rollout, version: str) -> EstimatedQuality | None:
        answers = self._store.newest_answers(rollout.dataset, version, _RECORDS, rollout.started_at)
        if len(answers) < _FEWEST:
            return None
        return estimate_quality(contract.metric, np.array([answer.probabilities for answer in answers]))
