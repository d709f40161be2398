"""The promises, and which of them a fault has broken."""

from collections.abc import Sequence

from benchmarks.chaos.serving.run import Observed

_EXAMPLES = 3


def problems_of(observed: Observed, health_share: float) -> Sequence[str]:
    """Return the broken promises of one fault; `health_share` of the answers of /health may be above the aim."""
    if observed.skipped:
        return []
    found = []
    if observed.failures:
        found.append(f"{len(observed.failures)} predictions failed: {'; '.join(observed.failures[:_EXAMPLES])}")
    if not observed.predictions.count or not observed.health.count:
        found.append("nothing was asked")
    if observed.health_failures:
        found.append(f"{len(observed.health_failures)} answers of /health failed: {'; '.join(observed.health_failures[:_EXAMPLES])}")
    if observed.health.above > health_share * observed.health.count:
        found.append(f"{observed.health.above} of {observed.health.count} answers of /health were above the aim")
    if observed.recovery is None:
        found.append(f"it did not recover: {observed.not_recovered}")
    return [*found, *_problems_of_rows(observed)]


def _problems_of_rows(observed: Observed) -> Sequence[str]:
    found, rows = [], observed.rows
    if rows.missing > rows.counted_lost:
        found.append(f"{rows.missing} predictions are not in the store, {rows.counted_lost} are counted as lost")
    if rows.counted_lost:
        found.append(f"{rows.counted_lost} predictions were lost although the queue had room")
    if rows.surplus:
        found.append(f"{rows.surplus} predictions are stored twice")
    if rows.unknown:
        found.append(f"{rows.unknown} predictions are stored that nobody was answered")
    if observed.queued_missing:
        found.append(f"{observed.queued_missing} of {observed.queued} queued messages are not in the stream, once each")
    return found
