"""Answers about rollouts, from what the store has."""

from collections.abc import Sequence

from hearth.predictions.rollout_store import Rollout
from hearth.rollouts.counts import Counts
from hearth.serving.rollouts.admin import RolloutView
from hearth_api.schemas.rollouts import RolloutCounts, RolloutEventInfo, RolloutInfo, RolloutList


def rollout_list(dataset: str, views: Sequence[RolloutView]) -> RolloutList:
    """Return the rollouts of a data set, the latest first."""
    running = next((view for view in views if view.rollout.ended_at is None), None)
    ended = [rollout_info(view) for view in views if view.rollout.ended_at is not None]
    return RolloutList(dataset=dataset, running=rollout_info(running) if running else None, ended=ended)


def rollout_info(view: RolloutView) -> RolloutInfo:
    """Return one rollout with its counts and its history."""
    rollout = view.rollout
    return RolloutInfo(
        id=rollout.id,
        dataset=rollout.dataset,
        version=rollout.version,
        champion=rollout.champion,
        family=rollout.family,
        state=rollout.state,
        share=rollout.share,
        steps=list(rollout.steps),
        started_by=rollout.started_by,
        started_at=rollout.started_at,
        changed_at=rollout.changed_at,
        ended_at=rollout.ended_at,
        reason=rollout.reason,
        waits_for=_waits_for(rollout, view),
        candidate_counts=_counts(view.candidate),
        champion_counts=_counts(view.champion),
        events=[RolloutEventInfo(at=event.at, event=event.event, share=event.share, reason=event.reason) for event in view.events],
    )


def _waits_for(rollout: Rollout, view: RolloutView) -> str:
    if rollout.ended_at is not None:
        return ""
    return view.waits_for or "the next look of the controller"


def _counts(counts: Counts) -> RolloutCounts:
    p99 = counts.quantile(0.99)
    return RolloutCounts(answers=counts.answers, errors=counts.errors, p99_milliseconds=None if p99 is None else round(1000 * p99, 4))
