"""Steps rollouts forward, finishes them or rolls them back: a thread in every REST service, of which one acts at a time.

A decision is written into the store first, and the registry follows, at the next look if not at this one, so a controller that is killed
anywhere leaves nothing half done. While the store does not answer nothing steps forward, and what the registry says holds.
"""

import logging
import platform
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Self

from hearth.audit import Action, Actor, NoTrail, Trail, new_entry
from hearth.contracts import Contract
from hearth.contracts.aliases import CHAMPION
from hearth.errors import HearthError, ModelUnavailable, PredictionsUnavailable
from hearth.logs import about
from hearth.periodic import PeriodicThread
from hearth.predictions.rollout_store import (
    CANCELLED,
    FINISHED,
    FINISHING,
    PAUSED,
    ROLLED_BACK,
    ROLLING_BACK,
    Change,
    Rollout,
    RolloutStore,
    VersionCounts,
)
from hearth.registry import RegisteredModel
from hearth.rollouts import moves
from hearth.rollouts.counts import Counts
from hearth.rollouts.decision import Estimates, Evidence, Verdict, decide

_LOGGER = logging.getLogger(__name__)
_ITSELF = Actor("hearth", "rollouts", "process", platform.node())
_POLL_SECONDS = 1.0
_ENDED_PERIOD = timedelta(hours=1)
_JOIN_SECONDS = 1.0  # a database that does not answer holds up no end of the process

EstimateQuality = Callable[[Contract, Rollout], Estimates | None]
QualityAlarm = Callable[[Rollout], str]
OnEnd = Callable[[Rollout], None]


@dataclass(frozen=True)
class RolloutStatus:
    """A running rollout with what both versions did in all processes, and the last verdict about it."""

    rollout: Rollout
    candidate: Counts
    champion: Counts
    verdict: Verdict | None


class RolloutController:
    """Looks at the running rollouts while its context is open. `look` does so once.

    Args:
        store: Where rollouts are; needs two connections.
        registry: What the serving processes follow.
        contracts: By data set; rollouts of others are left alone.
        estimate: Estimates the metric of both versions without labels.
        alarm: What a test on labelled answers says about the candidate; empty: nothing.
        trail: Where steps and ends are recorded.
        on_end: Called with a rollout that ends; more than once, if a process is killed meanwhile.
    """

    def __init__(  # noqa: PLR0913 - its collaborators, all but three named
        self,
        store: RolloutStore,
        registry: moves.RolloutRegistry,
        contracts: Mapping[str, Contract],
        *,
        estimate: EstimateQuality = lambda _contract, _rollout: None,
        alarm: QualityAlarm = lambda _rollout: "",
        on_end: OnEnd = lambda _rollout: None,
        trail: Trail | None = None,
        poll_seconds: float = _POLL_SECONDS,
    ) -> None:
        self._store, self._registry, self._contracts = store, registry, contracts
        self._estimate, self._alarm, self._on_end = estimate, alarm, on_end
        self._trail = trail or NoTrail()
        self._statuses: tuple[RolloutStatus, ...] = ()
        self._ended: tuple[Rollout, ...] = ()
        self._verdicts: dict[str, Verdict] = {}
        self._problem = ""
        self._thread = PeriodicThread(self.look, "rollouts", poll_seconds, trouble="rollouts wait", join_seconds=_JOIN_SECONDS)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.close()

    def statuses(self) -> tuple[RolloutStatus, ...]:
        """Return the running rollouts as of the last look, for metrics: a scrape waits for no database."""
        return self._statuses

    def ended(self) -> tuple[Rollout, ...]:
        """Return the rollouts that ended within the last hour, as of the last look: how one ends takes no time that a scrape could see."""
        return self._ended

    def look(self, now: datetime | None = None) -> None:
        """Look at every running rollout, and act on it unless another process does.

        Raises:
            PredictionsUnavailable: the store does not answer; what was decided before holds.
        """
        running = self._store.all_running()
        counts = self._store.counts([rollout.id for rollout in running]) if running else []
        self._verdicts = {rollout.id: self._verdicts[rollout.id] for rollout in running if rollout.id in self._verdicts}
        if running:
            with self._store.alone() as alone:
                for rollout in running if alone else ():
                    self._follow(rollout, [each for each in counts if each.rollout_id == rollout.id], now or datetime.now(UTC))
        self._statuses = tuple(RolloutStatus(rollout, *both_counts(rollout, counts), self._verdicts.get(rollout.id)) for rollout in running)
        self._ended = tuple(self._store.ended_within(_ENDED_PERIOD))

    def _follow(self, rollout: Rollout, counts: list[VersionCounts], now: datetime) -> None:
        contract = self._contracts.get(rollout.dataset)
        if contract is None:
            return
        try:
            self._act(contract, rollout, counts, now)
            self._problem = ""
        except PredictionsUnavailable:
            raise
        except HearthError as error:  # of the registry: the next look repeats it
            self._log(rollout.dataset, error)
        except Exception:  # one rollout must not keep this process from rolling back others
            _LOGGER.exception(
                "%s: the look at rollout %s failed; it is repeated", rollout.dataset, rollout.id, extra=about(rollout.dataset)
            )

    def _log(self, where: str, error: HearthError) -> None:
        if self._problem != type(error).__name__:  # once for each outage
            self._problem = type(error).__name__
            _LOGGER.warning("%s: rollouts wait: %s", where, error)

    def _act(self, contract: Contract, rollout: Rollout, counts: list[VersionCounts], now: datetime) -> None:
        model = self._registry.registered_model(rollout.dataset)
        champion = model.aliases.get(CHAMPION)
        if rollout.state == ROLLING_BACK and champion != rollout.version:  # else a person has promoted it meanwhile
            self._end(rollout, model, ROLLED_BACK, rollout.reason)
        elif champion not in {rollout.champion, rollout.version}:
            self._end(rollout, model, CANCELLED, f"version {champion or 'none'} became champion meanwhile")
        elif rollout.version not in model.aliases.values() and self._is_gone(rollout):
            self._end(rollout, model, CANCELLED, f"version {rollout.version} was deleted meanwhile")
        elif rollout.state == FINISHING or champion == rollout.version:
            reason = rollout.reason if rollout.state == FINISHING else "it became champion meanwhile"
            moves.finish(self._registry, rollout, model)
            self._end(rollout, self._registry.registered_model(rollout.dataset), FINISHED, reason)
        else:
            moves.show(self._registry, rollout, model)
            self._decide(contract, rollout, counts, now)

    def _decide(self, contract: Contract, rollout: Rollout, counts: list[VersionCounts], now: datetime) -> None:
        candidate, champion = both_counts(rollout, counts)
        known = self._verdicts.get(rollout.id)
        evidence = Evidence(
            share=rollout.share,
            step_since=rollout.changed_at,
            step_answers=rollout.step_answers,
            candidate=candidate,
            champion=champion,
            refusal=next((each.problem for each in counts if each.version == rollout.version and each.problem), ""),
            alarm=self._alarm(rollout),
            estimates=self._estimate(contract, rollout),
            slow_since=known.slow_since if known else None,
        )
        words = contract.deploy.model_copy(update={"steps": rollout.steps}) if rollout.steps else contract.deploy
        verdict = decide(words, evidence, now, may_step=rollout.state != PAUSED)
        self._verdicts[rollout.id] = verdict
        detail = {"step_answers": candidate.answers, **_figures(candidate, champion)}
        if verdict.action == "step":
            change = Change("stepped", rollout.state, verdict.share, verdict.reason, detail)
        elif verdict.action == "finish":
            change = Change("passed", FINISHING, rollout.share, verdict.reason, detail)
        elif verdict.action == "roll_back":
            change = Change("failed", ROLLING_BACK, rollout.share, verdict.reason, detail)
        else:
            return
        if not self._store.change(rollout, change):
            return  # a person was faster: the next look sees what is
        self._record(Action.ROLLOUT_CHANGED, rollout, {"change": change.event, "share": change.share, "reason": change.reason})
        _LOGGER.log(
            logging.WARNING if verdict.action == "roll_back" else logging.INFO,
            "%s: rollout %s of version %s %s at %.1f %%: %s",
            rollout.dataset,
            rollout.id,
            rollout.version,
            change.event,
            100 * change.share,
            change.reason,
            extra=about(rollout.dataset, version=rollout.version),
        )
        changed = replace(rollout, state=change.state, share=change.share, reason=change.reason)
        model = self._registry.registered_model(rollout.dataset)
        if verdict.action == "step":
            moves.show(self._registry, changed, model)
        elif verdict.action == "finish":
            moves.finish(self._registry, changed, model)
            self._end(changed, self._registry.registered_model(rollout.dataset), FINISHED, change.reason)
        else:
            self._end(changed, model, ROLLED_BACK, change.reason)

    def _record(self, action: Action, rollout: Rollout, detail: dict[str, object]) -> None:
        alias = CHAMPION if action is Action.PROMOTED else ""
        entry = new_entry(
            action, dataset=rollout.dataset, alias=alias, version=rollout.version, subject=rollout.id, detail=detail, actor=_ITSELF
        )
        self._trail.record(entry)

    def _is_gone(self, rollout: Rollout) -> bool:
        """Whether the candidate was deleted; its aliases go with it, and none could be set on it again."""
        try:
            self._registry.version(rollout.dataset, rollout.version)
        except ModelUnavailable:
            return True
        return False

    def _end(self, rollout: Rollout, model: RegisteredModel, state: str, reason: str) -> None:
        """Take from the candidate what the rollout gave it, write the outcome onto it, and end the rollout.

        Who is told of it is told before, and again if this process is killed in between: what has ended nobody looks at again.
        """
        moves.release(self._registry, rollout, model)
        try:
            moves.record(self._registry, rollout, state, reason)
        except ModelUnavailable:
            _LOGGER.info("%s: version %s is gone", rollout.dataset, rollout.version, extra=about(rollout.dataset, version=rollout.version))
        self._on_end(replace(rollout, state=state, reason=reason))
        if self._store.change(rollout, Change(state, state, rollout.share, reason)):
            action = Action.PROMOTED if state == FINISHED else Action.ROLLOUT_CHANGED
            self._record(action, rollout, {"change": state, "reason": reason, "before": rollout.champion})
            _LOGGER.info(
                "%s: rollout %s of version %s %s: %s",
                rollout.dataset,
                rollout.id,
                rollout.version,
                state,
                reason,
                extra=about(rollout.dataset, version=rollout.version),
            )


def both_counts(rollout: Rollout, counts: list[VersionCounts]) -> tuple[Counts, Counts]:
    """Return what candidate and champion did in all processes."""
    candidate, champion = (
        Counts.total(
            Counts.of(each.answers, each.errors, each.latencies)
            for each in counts
            if (each.rollout_id, each.version) == (rollout.id, version)
        )
        for version in (rollout.version, rollout.champion)
    )
    return candidate, champion


def _figures(candidate: Counts, champion: Counts) -> dict[str, object]:
    """Return the counts for the history."""
    return {
        name: {"answers": counts.answers, "errors": counts.errors, "p99_seconds": counts.quantile(0.99)}
        for name, counts in (("candidate", candidate), ("champion", champion))
    }
