"""What the labels of a candidate's answers say against it; nothing while there are none."""

import time
from collections.abc import Callable, Mapping

from hearth.contracts import Contract
from hearth.monitoring.live_quality import QualityCheck
from hearth.predictions.quality_tests import QualityTests
from hearth.predictions.rollout_store import Rollout

_SECONDS = 10.0  # for which a check holds: it is read from the store


class QualityAlarm:
    """Asks the test of the version and the newest check of quality, at most once in ten seconds for each rollout. For one thread."""

    def __init__(self, store: QualityTests, contracts: Mapping[str, Contract], clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._contracts, self._clock = store, contracts, clock
        self._known: dict[str, tuple[float, str]] = {}

    def __call__(self, rollout: Rollout) -> str:
        """Return why the candidate is to go, empty if nothing speaks against it.

        Raises:
            PredictionsUnavailable: the store does not answer.
        """
        until, reason = self._known.get(rollout.id, (0.0, ""))
        if self._clock() >= until:
            reason = self._store.alarm(rollout.dataset, rollout.version) or self._pairs(rollout)
            self._known = {rollout.id: (self._clock() + _SECONDS, reason)} | {
                other: known for other, known in self._known.items() if other != rollout.id and known[0] > self._clock()
            }
        return reason

    def _pairs(self, rollout: Rollout) -> str:
        check = self._store.check_at(rollout.dataset)
        if check is None or check.checked_at < rollout.started_at:
            return ""
        return pairs_against(check, rollout, self._contracts[rollout.dataset].gate.margin)


def pairs_against(check: QualityCheck, rollout: Rollout, margin: float) -> str:
    """Return what the records that both versions have scored say against the candidate, if all of the interval is beyond the margin."""
    paired = check.paired
    if paired is None or (paired.champion, paired.challenger) != (rollout.champion, rollout.version) or paired.metric.high >= -margin:
        return ""
    metric = paired.metric
    return (
        f"on {paired.rows} labelled records that both have scored, its {check.metric} is {-metric.figure:.3f} below the champion's "
        f"({-metric.high:.3f} to {-metric.low:.3f})"
    )
