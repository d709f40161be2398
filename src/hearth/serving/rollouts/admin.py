"""A person looks at rollouts, starts one, steps it forward, pauses it or stops it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hearth.audit import Action as AuditAction
from hearth.audit import Draft, NoTrail, Trail, recorded
from hearth.contracts import Contract
from hearth.errors import AliasNotMoved, NoRollout
from hearth.predictions.rollout_store import FINISHING, PAUSED, RUNNING, Change, Rollout, RolloutEvent, RolloutStore
from hearth.rollouts.counts import Counts
from hearth.rollouts.moves import RolloutRegistry
from hearth.rollouts.start import pause_rollout, start_rollout, stop_rollout
from hearth.serving.alias_admin import AliasAdmin
from hearth.serving.rollouts.controller import RolloutController, both_counts

Action = Literal["step", "pause", "resume", "stop"]


@dataclass(frozen=True)
class RolloutView:
    """A rollout with what both versions did and what happened; `waits_for` is the last verdict of this process, empty if it has none."""

    rollout: Rollout
    candidate: Counts
    champion: Counts
    events: Sequence[RolloutEvent]
    waits_for: str = ""


class RolloutAdmin:
    """Rollouts for people. Threads may share one. Every method raises PredictionsUnavailable if the store does not answer."""

    def __init__(
        self,
        store: RolloutStore,
        registry: RolloutRegistry,
        aliases: AliasAdmin,
        controller: RolloutController,
        trail: Trail | None = None,
    ) -> None:
        self._store, self._registry, self._aliases, self._controller = store, registry, aliases, controller
        self._trail = trail or NoTrail()

    def history(self, dataset: str, limit: int = 20) -> list[RolloutView]:
        """Return the newest rollouts of a data set, the latest first."""
        rollouts = self._store.history(dataset, limit)
        ids = [rollout.id for rollout in rollouts]
        counts, events = self._store.counts(ids), self._store.events(ids)
        verdicts = {status.rollout.id: status.verdict for status in self._controller.statuses()}
        return [
            RolloutView(
                rollout,
                *both_counts(rollout, counts),
                [event for event in events if event.rollout_id == rollout.id],
                verdict.reason if (verdict := verdicts.get(rollout.id)) else "",
            )
            for rollout in rollouts
        ]

    def start(self, contract: Contract, version: str, by: str, *, steps: Sequence[float] | None = None, force: bool = False) -> RolloutView:
        """Start a rollout of a version that could be promoted, or of any other with `force`, which is recorded.

        Raises:
            UnknownVersion, AliasNotMoved, RefusedModel: it could not be promoted.
            RolloutRunning: another one runs.
            RegistryError: the registry does not answer.
        """
        draft = Draft(contract.name, version=version, detail={"over_gate": force, "steps": list(steps or ())})
        with recorded(self._trail, AuditAction.ROLLOUT_STARTED, draft):
            candidate, over = self._aliases.require_promotable(contract, version, force=force)
            started_by = f"{by}{over}"
            family = candidate.family if candidate.family in contract.families else ""
            start_rollout(contract, version, started_by, store=self._store, registry=self._registry, family=family, steps=steps)
            started = self._latest(contract.name)
            draft.subject = started.rollout.id
        return started

    def act(self, contract: Contract, action: Action, by: str) -> RolloutView:
        """Do something to the rollout that runs.

        Raises:
            NoRollout: none runs.
            AliasNotMoved: it has changed meanwhile.
            RegistryError: the registry does not answer.
        """
        dataset = contract.name
        with recorded(self._trail, AuditAction.ROLLOUT_CHANGED, Draft(dataset, detail={"change": action})) as draft:
            if action == "stop":
                stop_rollout(self._store, self._registry, dataset, by)
            elif action == "step":
                self._step(contract, by)
            else:
                pause_rollout(self._store, dataset, by, resume=action == "resume")
            now = self._latest(dataset)
            draft.subject, draft.version = now.rollout.id, now.rollout.version
            draft.detail["share"] = now.rollout.share
        return now

    def _step(self, contract: Contract, by: str) -> None:
        rollout = self._store.running(contract.name)
        if rollout is None:
            raise NoRollout(contract.name)
        if rollout.state not in {RUNNING, PAUSED}:
            raise AliasNotMoved(f"The rollout {rollout.id} is {rollout.state.replace('_', ' ')}: it takes no step any more.")
        answers = both_counts(rollout, self._store.counts([rollout.id]))[0].answers
        share = next((step for step in rollout.steps or contract.deploy.shares if step > rollout.share), None)
        event, state = ("passed", FINISHING) if share is None else ("stepped", rollout.state)
        change = Change(event, state, share or rollout.share, f"stepped by {by}", {"step_answers": answers})
        if not self._store.change(rollout, change):
            raise AliasNotMoved(f"The rollout {rollout.id} has changed meanwhile: look at it, and try again.")

    def _latest(self, dataset: str) -> RolloutView:
        return self.history(dataset, 1)[0]
