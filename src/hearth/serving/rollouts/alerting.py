"""A rollback is an alert: somebody should look why a version that has passed the gate could not serve."""

from hearth.alerts import AlertStore, Severity
from hearth.predictions.rollout_store import FINISHED, ROLLED_BACK, Rollout

KIND = "rollback"


class RolloutAlerts:
    """Opens an alert for a rollout that was rolled back, and resolves it when a later version has become champion."""

    def __init__(self, alerts: AlertStore) -> None:
        self._alerts = alerts

    def __call__(self, rollout: Rollout) -> None:
        """Report the end of a rollout.

        Raises:
            PredictionsUnavailable: the store does not answer.
        """
        if rollout.state == ROLLED_BACK:
            summary = f"Version {rollout.version} was rolled back at {rollout.share:.0%} of the champion's requests: {rollout.reason}"
            detail = {"rollout": rollout.id, "version": rollout.version, "champion": rollout.champion, "share": rollout.share}
            self._alerts.open(KIND, rollout.dataset, Severity.WARNING, summary, detail)
        elif rollout.state == FINISHED:
            self._alerts.resolve(KIND, rollout.dataset, f"version {rollout.version} became champion")
