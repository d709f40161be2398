"""Train again on served records that got a label, judge on the newest of them, deploy what is better: what the DAG `retrain` calls.

Each step may run again for the same run with the same result: the decision is the row of the run in the table `retrains`, data are named
by their digest, candidates and the version by the run.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hearth.alerts.alert_store import AlertStore
from hearth.audit import Action, new_entry
from hearth.contracts import load_contract
from hearth.contracts.aliases import CHAMPION, PREVIOUS
from hearth.contracts.deploy_words import Way as DeployWay
from hearth.contracts.origins import Origin
from hearth.data.processed import latest_digest, read_manifest, split_source
from hearth.errors import ModelUnavailable, ObjectNotFound
from hearth.jobs import audit_rows, etl, retrain_candidates
from hearth.jobs.promote import promote
from hearth.jobs.report import update_card
from hearth.jobs.retrain_candidates import RetrainCandidate
from hearth.jobs.retrain_data import Way, write_retrain_data
from hearth.jobs.train import Selection, fit_and_register
from hearth.jobs.training_data import open_split, open_test_set
from hearth.jobs.version_bench import VersionBench
from hearth.logs import about
from hearth.modelling.approval import Approval
from hearth.modelling.comparison import Comparison, compare
from hearth.modelling.gate import ComparedRows, Decision, Entrant, choose_leader, claim_problem
from hearth.modelling.retrain_gate import RetrainVerdict, judge_retrained, recent_level
from hearth.monitoring.retraining import Choice, State, decide
from hearth.predictions.label_store import LabelStore
from hearth.predictions.retrain_store import Retrain, RetrainStore
from hearth.registry import Registry
from hearth.registry.tracking import RETRAIN
from hearth.settings import MonitorSettings
from hearth.storage import ObjectStore

_LOGGER = logging.getLogger(__name__)
_MOST_RECORDS = 200_000
LABELS_NEEDED, PAUSED = "labels_needed", "retrain_paused"
"""Kinds of alerts."""


class Retraining:
    """The steps of retrainings of one data set. Servers are those of the environment unless they are given."""

    def __init__(  # noqa: PLR0913, PLR0917 - the servers
        self,
        dataset: str,
        retrains: RetrainStore,
        labels: LabelStore,
        alerts: AlertStore,
        store: ObjectStore | None = None,
        registry: Registry | None = None,
    ) -> None:
        self._contract = load_contract(dataset)
        self._retrains, self._labels, self._alerts = retrains, labels, alerts
        self._store, self._registry = store or ObjectStore.from_settings(), registry or Registry.from_settings()

    def decide(
        self, run: str, *, by_person: bool = False, force: bool = False, scheduled: bool = False, now: datetime | None = None
    ) -> Retrain | None:
        """Decide whether to train and store the decision; a run that has decided to train before stays with that.

        A lack of labels and a pause are alerts, which end when the decision is another one. None if another retraining began meanwhile.

        Raises:
            PredictionsUnavailable: the store does not answer.
        """
        name, now = self._contract.name, now or datetime.now(UTC)
        earlier = self._retrains.retrain(run)
        if earlier and earlier.state.trains:
            return earlier
        champion = self._champion()
        situation = self._retrains.situation(self._contract, champion, now)
        choice = decide(self._contract, situation, now=now, by_person=by_person, force=force, scheduled=scheduled, own_id=run)
        if champion is None and choice.trains:
            choice = Choice(State.WAITING, choice.trigger, f"{choice.why}, but there is no champion yet: run a training first")
        _LOGGER.info("%s: %s: %s", name, choice.state, choice.why, extra=about(name))
        row = self._retrains.record(run, name, choice, now)
        if choice.trains or by_person:
            detail = {"state": choice.state, "trigger": choice.trigger, "by_person": by_person, "force": force}
            audit_rows.record(new_entry(Action.RETRAIN_DECIDED, dataset=name, subject=run, detail=detail))
        self._alert(choice)
        return row

    def write_data(self, run: str) -> dict[Way, str]:
        """Write the data of the run, and which served records are in them; returns the digest of each way.

        Records count that had a label when it was decided, with that label, though another may have come since. Those that were erased
        since are not there any more.

        Raises:
            UntrainableData: a class has too few rows.
            LookupError: there is no such run.
        """
        row = self._row(run)
        since = row.decided_at - timedelta(days=self._contract.retrain.window_days)
        records = self._labels.labelled(self._contract.name, since=since, limit=_MOST_RECORDS, known_at=row.decided_at)
        written = write_retrain_data(self._contract, self._store, records)
        self._retrains.add_records(run, written.keys)
        for digest in written.digests.values():
            etl.log(self._contract.name, digest, store=self._store, registry=self._registry)
        self._retrains.note(run, {"data": dict(written.digests), "problems": dict(written.problems), "records": len(written.keys)})
        return dict(written.digests)

    def families(self) -> tuple[str, ...]:
        """Return the family that is trained where nobody names one: that of the champion."""
        return (self._registry.version(self._contract.name, CHAMPION).family,)

    def train(self, run: str, family: str, digest: str, *, trials: int, seed: int) -> str:
        """Tune and fit a family on the data of a run, and store its predictions of the records held out; returns the candidate's key."""
        return retrain_candidates.train(self._contract, self._store, self._registry, run, family, digest, trials=trials, seed=seed)

    def register(self, run: str, keys: Sequence[str]) -> str:
        """Register the best candidate: by the gate's rule, on the records that all of them had held out.

        Returns:
            The number of the version; that of the earlier one if this run has registered one before.
        """
        training_key = f"{self._contract.name}/retrain/{run}"
        version = self._registry.find(self._contract.name, training_key)
        if version is None:
            best, why = self._best([retrain_candidates.read(self._store, key) for key in keys])
            _LOGGER.info("%s: %s", self._contract.name, why, extra=about(self._contract.name))
            search: dict[str, str | float] = {"trials": best.trials, "seed": best.seed, "retrain": run, "candidates": len(keys)}
            source, origin = split_source(self._store, self._contract.name, best.digest), self._origin(best.digest)
            selection = Selection(best.family, best.params, best.digest, best.seed, best.score, search, source, origin)
            with open_split(self._store, self._contract, best.digest) as split:
                version = fit_and_register(self._contract, split, selection, training_key, self._registry)
        self._retrains.note(run, {"candidates": len(keys), "family": version.family}, digest=version.digest, version=version.version)
        return version.version

    def judge(self, run: str, version: str) -> RetrainVerdict:
        """Compare the version with the champion on the newest labelled records and on the test set that was published last.

        The verdict is written onto the version and into the row of the run. A run that was judged before keeps its verdict: the champion
        may be this version by now.
        """
        row = self._row(run)
        known = row.detail.get("verdict")
        if isinstance(known, str) and (verdict := RetrainVerdict.from_json(known)):
            return verdict
        registered, candidates = self._registry.version(self._contract.name, version), int(str(row.detail.get("candidates", 1)))
        champion = self._champion() or ""
        recent = self._compare(registered.digest, version, champion, recent_level(self._contract, candidates))
        old: Comparison | str
        try:
            old = self._compare(latest_digest(self._store, self._contract.name), version, champion, self._contract.gate.level)
        except ObjectNotFound:
            old = "nothing is published, so there is no old test set to lose on"
        verdict = judge_retrained(self._contract, version, champion, candidates, recent, old)
        self._registry.annotate(registered, {RETRAIN: verdict.to_json().decode()})
        self._retrains.note(run, {"verdict": verdict.to_json().decode()})
        return verdict

    def refuse(self, run: str, verdict: RetrainVerdict) -> Retrain:
        """Write onto the version and its card that it is refused, and end the run; no alias moves."""
        version = self._registry.version(self._contract.name, verdict.version)
        self._record(version.version, self._refusal(version.version, version.family, verdict))
        return self._end(run, State.REFUSED, f"version {version.version} is refused: {'; '.join(verdict.reasons)}")

    def deploy(self, run: str, verdict: RetrainVerdict, approval: Approval | None = None, way: DeployWay | None = None) -> Retrain:
        """Deploy a version whose verdict lets it pass, if the gate of the contract does too; write both down and end the run.

        `approval` is the answer of a person, where the contract asks for one; `way` takes the place of the contract's `deploy.way`.

        Raises:
            AliasNotMoved: the contract requires an approval, and there is none.
        """
        row, version = self._row(run), self._registry.version(self._contract.name, verdict.version)
        decision = promote(
            self._contract.name,
            version.family,
            version.version,
            way=way or self._contract.retrain.way,
            approval=approval,
            store=self._store,
            registry=self._registry,
        )
        self._record(version.version, replace(decision, reasons=(*verdict.reasons, *decision.reasons)))
        carried = {alias for alias, number in self._registry.aliases(self._contract.name).items() if number == version.version}
        if not decision.passed or not carried - {version.family, PREVIOUS}:
            return self._end(run, State.REFUSED, f"version {version.version} is refused by the gate: {'; '.join(decision.reasons)}")
        why = f"version {version.version} is deployed as {', '.join(sorted(carried))}: {'; '.join(verdict.reasons)}"
        return self._end(run, State.DEPLOYED, f"{row.why}; {why}" if row.state is State.RUNNING else why)

    def end(self, run: str) -> Retrain | None:
        """Note that a run has failed, if it has not ended; returns its row, None without one."""
        row = self._retrains.retrain(run)
        if row and row.state is State.RUNNING:
            self._end(run, State.FAILED, f"{row.why}; a step failed")
        return self._retrains.retrain(run)

    def _champion(self) -> str | None:
        return self._registry.aliases(self._contract.name).get(CHAMPION)

    def _row(self, run: str) -> Retrain:
        row = self._retrains.retrain(run)
        if row is None:
            message = f"{self._contract.name}: there is no retraining {run!r}: it is decided first"
            raise LookupError(message)
        return row

    def _end(self, run: str, state: State, why: str) -> Retrain:
        self._retrains.end(run, state, why, datetime.now(UTC))
        return self._row(run)

    def _origin(self, digest: str) -> Origin:
        return read_manifest(self._store, self._contract.name, digest).origin

    def _best(self, candidates: Sequence[RetrainCandidate]) -> tuple[RetrainCandidate, str]:
        """Choose by the records held out, which all candidates share."""
        with open_test_set(self._store, self._contract, candidates[0].digest) as split:
            rows = ComparedRows(split.X_test, split.y_test.to_numpy())
        by_name = {candidate.name: candidate for candidate in candidates}
        entrants = {name: Entrant(name, retrain_candidates.probabilities(self._store, each)) for name, each in by_name.items()}
        name, why = choose_leader(self._contract, rows, entrants)
        return by_name[name], f"{name} {why}"

    def _compare(self, digest: str, version: str, champion: str, level: float) -> Comparison | str:
        """Compare on the test set of a digest; a text says why that cannot be done."""
        if not champion:
            return "there is no champion to compare with"
        bench = VersionBench(self._contract, self._store, self._registry, digest)
        try:
            rows, entrants = bench.entrants([version, champion])
        except ModelUnavailable as error:
            return str(error)
        if problem := claim_problem(rows, entrants[champion]):
            return f"champion version {champion} could not be compared: {problem}"
        ours, theirs = entrants[version].probabilities, entrants[champion].probabilities
        if ours is None or theirs is None:
            return f"version {version} could not be compared: {entrants[version].refused}"
        return compare(self._contract.metric, rows.truth, ours, theirs, level=level)

    def _refusal(self, version: str, family: str, verdict: RetrainVerdict) -> Decision:
        registered = self._registry.version(self._contract.name, version)
        return Decision(
            dataset=self._contract.name,
            family=family,
            version=version,
            passed=False,
            score=None,
            champion=verdict.champion or None,
            reasons=verdict.reasons,
            metric=self._contract.metric,
            digest=registered.digest,
            rows=verdict.recent.rows if verdict.recent else 0,
            origin=self._origin(registered.digest),
        )

    def _record(self, version: str, decision: Decision) -> None:
        self._registry.record_decision(self._registry.version(self._contract.name, version), decision)
        update_card(self._registry, self._contract, version)

    def _alert(self, choice: Choice) -> None:
        name = self._contract.name
        detail = {"trigger": choice.trigger, "needed": self._contract.retrain.needed}
        if choice.state is State.LABELS_NEEDED:
            self._alerts.open(LABELS_NEEDED, name, "warning", f"Labels are needed: {choice.why}", detail)
        else:
            self._alerts.resolve(LABELS_NEEDED, name, choice.why)
        if choice.state is State.PAUSED:
            self._alerts.open(PAUSED, name, "critical", f"Retraining is paused: {choice.why}", detail)
        elif choice.trains:
            self._alerts.resolve(PAUSED, name, choice.why)


@contextmanager
def open_retraining(dataset: str) -> Iterator[Retraining]:
    """Give the steps on the servers of the environment."""
    url = MonitorSettings().monitor_url.get_secret_value()
    with (
        RetrainStore(url, max_connections=1) as retrains,
        LabelStore(url, max_connections=1) as labels,
        AlertStore(url, max_connections=1) as alerts,
    ):
        yield Retraining(dataset, retrains, labels, alerts)
