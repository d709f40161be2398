"""The newest check of quality of each data set, for metrics."""

from hearth.monitoring.live_quality import QualityCheck
from hearth.predictions.quality_store import QualityStore
from hearth.serving.check_follower import POLL_SECONDS, CheckFollower


class QualityFollower(CheckFollower[QualityCheck]):
    """Follows the checks of a store."""

    def __init__(self, store: QualityStore, poll_seconds: float = POLL_SECONDS) -> None:
        super().__init__(store.newest_checks, "quality", poll_seconds)
