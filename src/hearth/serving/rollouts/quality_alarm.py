"""What the labels of a candidate's answers say against it, as the check of quality has found; nothing while there are no labels."""

import time
from collections.abc import Callable, Mapping

from hearth.contracts import Contract
from hearth.monitoring.live_quality import QualityCheck
from hearth.predictions.quality_store import QualityStore
from hearth.predictions.rollout_store import Rollout

_SECONDS = 10.0  # for which a check holds: it is read from the store


class QualityAlarm:
    """Reads the newest check of quality, at most once in ten seconds for each data set. For one thread."""

    def __init__(self, store: QualityStore, contracts: Mapping[str, Contract], clock: Callable[[], float] = time.monotonic) -> None:
        self._store, self._contracts, self._clock = store, contracts, clock
        self._known: dict[str, tuple[float, QualityCheck | None]] = {}

    def __call__(self, rollout: Rollout) -> str:
        """Return why the candidate is to go, empty if nothing speaks against it.

        Raises:
            PredictionsUnavailable: the store does not answer.
        """
        until, check = self._known.get(rollout.dataset, (0.0, None))
        if self._clock() >= until:
            check = self._store.check_at(rollout.dataset)
            self._known[rollout.dataset] = self._clock() + _SECONDS, check
        if check is None or check.checked_at < rollout.started_at:
            return ""
        return labels_against(check, rollout, self._contracts[rollout.dataset].gate.margin)


def labels_against(check: QualityCheck, rollout: Rollout, margin: float) -> str:
    """Return what a check has against the candidate: its evidence, or its pairs with the champion, beyond a margin of the metric."""
    for version in check.versions:
        evidence = version.evidence
        if version.version == rollout.version and evidence and evidence.alarmed_at and evidence.alarmed_at >= rollout.started_at:
            return (
                f"{evidence.labels} labels say that its quality has fallen: mean loss {evidence.mean:.3f}, more than {evidence.bound:.3f} "
                f"(evidence {evidence.highest:,.0f}, an alarm from {evidence.threshold:,.0f})"
            )
    paired = check.paired
    if paired and (paired.champion, paired.challenger) == (rollout.champion, rollout.version) and paired.metric.high < -margin:
        metric = paired.metric
        return (
            f"on {paired.rows} labelled records that both have scored, its {check.metric} is {-metric.figure:.3f} below the champion's "
            f"({-metric.high:.3f} to {-metric.low:.3f})"
        )
    return ""
