"""The newest check for drift of each data set, for metrics."""

from hearth.monitoring.check import DriftCheck
from hearth.predictions.drift_store import DriftStore
from hearth.serving.check_follower import POLL_SECONDS, CheckFollower


class DriftFollower(CheckFollower[DriftCheck]):
    """Follows the checks of a store."""

    def __init__(self, store: DriftStore, poll_seconds: float = POLL_SECONDS) -> None:
        super().__init__(store.newest_checks, "drift", poll_seconds)
