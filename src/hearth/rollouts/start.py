"""Starts rollouts, and ends them as a person says."""

from collections.abc import Sequence
from datetime import UTC, datetime
from secrets import token_hex

from hearth.contracts import Contract
from hearth.contracts.aliases import CHALLENGER, CHAMPION
from hearth.errors import AliasNotMoved, NoRollout, RolloutRunning
from hearth.predictions.rollout_store import FINISHING, PAUSED, ROLLING_BACK, RUNNING, Change, Rollout, RolloutStore
from hearth.rollouts import moves


def start_rollout(  # noqa: PLR0913 - all but three are named
    contract: Contract,
    version: str,
    started_by: str,
    *,
    store: RolloutStore,
    registry: moves.RolloutRegistry,
    family: str = "",
    steps: Sequence[float] | None = None,
) -> Rollout:
    """Let a version answer the first share of the champion's requests. One that runs already is returned as it is.

    The row of the store comes first: from then on the controller makes the registry say so, if this process ends before it has.

    Args:
        contract: Of the data set.
        version: The candidate; the gate has let it pass, or a person is answerable.
        started_by: Who, or which task.
        store: Where rollouts are.
        registry: Where the version is.
        family: Whose alias it gets in the end; empty: none.
        steps: Shares in the place of the contract's.

    Raises:
        RolloutRunning: another one of this data set runs.
        AliasNotMoved: there is no champion whose requests it could answer, or it is the champion.
        ModelUnavailable: there is no such version.
        PredictionsUnavailable: the store does not answer; nothing was started.
    """
    dataset = contract.name
    registry.version(dataset, version)
    model = registry.registered_model(dataset)
    champion = model.aliases.get(CHAMPION)
    if champion is None:
        raise AliasNotMoved(f"{dataset!r} has no champion whose requests a candidate could answer. Promote version {version} instead.")
    if champion == version:
        raise AliasNotMoved(f"Version {version} of {dataset!r} is the champion already.")
    shares = tuple(steps) if steps else contract.deploy.shares
    now = datetime.now(UTC)
    rollout = Rollout(
        id=f"{dataset}-{now:%Y%m%dT%H%M%S}-{token_hex(3)}",
        dataset=dataset,
        version=version,
        champion=champion,
        way="canary",
        state=RUNNING,
        share=shares[0],
        started_by=started_by,
        started_at=now,
        changed_at=now,
        ended_at=None,
        reason="",
        detail={"family": family, "steps": list(shares), "challenger": CHALLENGER not in model.aliases, "step_answers": 0},
    )
    try:
        store.start(rollout)
    except RolloutRunning:
        running = store.running(dataset)
        if running is None or running.version != version:
            raise
        rollout = running
    if rollout.state in {RUNNING, PAUSED}:
        moves.show(registry, rollout, registry.registered_model(dataset))
    return rollout


def stop_rollout(store: RolloutStore, registry: moves.RolloutRegistry, dataset: str, by: str) -> Rollout:
    """Roll back the rollout of a data set: the share goes at once, the controller does the rest.

    Raises:
        NoRollout: none runs.
        AliasNotMoved: it has passed its last step, so the candidate becomes champion, or it has changed meanwhile.
        PredictionsUnavailable, RegistryError: a server does not answer; asking again is safe.
    """
    rollout = _running(store, dataset)
    if rollout.state == FINISHING:
        raise AliasNotMoved(
            f"The rollout {rollout.id} has passed its last step: version {rollout.version} becomes champion. To go back: hearth rollback"
        )
    _change(store, rollout, Change("stopped", ROLLING_BACK, rollout.share, f"stopped by {by}"))
    model = registry.registered_model(dataset)
    if model.traffic is not None and model.traffic.rollout == rollout.id:
        registry.set_traffic(dataset, None)
    return store.rollout(rollout.id) or rollout


def pause_rollout(store: RolloutStore, dataset: str, by: str, *, resume: bool = False) -> Rollout:
    """Keep the share where it is until the rollout is resumed; it can still be rolled back, by itself too.

    Raises:
        NoRollout: none runs.
        AliasNotMoved: how it ends is decided, or it has changed meanwhile.
        PredictionsUnavailable: the store does not answer.
    """
    rollout = _running(store, dataset)
    if rollout.state not in {RUNNING, PAUSED}:
        raise AliasNotMoved(f"The rollout {rollout.id} is {rollout.state.replace('_', ' ')}: it takes no step any more.")
    change = (
        Change("resumed", RUNNING, rollout.share, f"resumed by {by}")
        if resume
        else Change("paused", PAUSED, rollout.share, f"paused by {by}")
    )
    if rollout.state != change.state:
        _change(store, rollout, change)
    return store.rollout(rollout.id) or rollout


def _change(store: RolloutStore, rollout: Rollout, change: Change) -> None:
    if rollout.state in {RUNNING, PAUSED} and not store.change(rollout, change):
        raise AliasNotMoved(f"The rollout {rollout.id} has changed meanwhile: look at it, and try again.")


def _running(store: RolloutStore, dataset: str) -> Rollout:
    rollout = store.running(dataset)
    if rollout is None:
        raise NoRollout(dataset)
    return rollout
