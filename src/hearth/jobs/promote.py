"""Pass the gate, move the aliases. Trainings of several families may do this at the same time.

A move is made only if the aliases still are as they were decided about, and then everything is decided again, until there is nothing to
move.

Guaranteed: when all promotions that were started have ended, no family's version is better than `champion` by more than noise. An
interrupted promotion does no harm, because after each move every alias is on a version that passed; the next promotion, or the same one
run again, finishes it. Not guaranteed: `previous` can be a version that was champion only for a moment, and an alias that a person moves in
the same instant can be moved back.

Versions are compared on the test set of the candidate's data, unless one of them was trained again on served records: then on the newest
labelled records that one of them had held out. Else an ordinary training would bring back, after the world has changed, what was best
before: on the old test set that is better.
"""

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from hearth.contracts import Contract, load_contract
from hearth.contracts.aliases import CHAMPION
from hearth.contracts.deploy_words import Way
from hearth.data.processed import read_manifest
from hearth.errors import AliasNotMoved, ObjectNotFound, RegistryError
from hearth.jobs import audit_rows
from hearth.jobs.deploy_version import deploy, was_rolled_back
from hearth.jobs.report import update_card
from hearth.jobs.standings import update_standings
from hearth.jobs.version_bench import VersionBench
from hearth.logs import about
from hearth.modelling.approval import Approval
from hearth.modelling.gate import Decision, choose_champion, decide, score
from hearth.registry import RegisteredVersion, Registry, move_aliases, promotion
from hearth.storage import ObjectStore

_LOGGER = logging.getLogger(__name__)
_ATTEMPTS = 10


def judge(  # noqa: PLR0913 - all but four are named
    dataset: str, family: str, version: str, task: str, *, store: ObjectStore | None = None, registry: Registry | None = None
) -> Decision:
    """Decide about a version without moving an alias; one that passes waits for a person, and says so in the registry.

    A version that has the alias already waits for nobody, and neither does one that no task asks for (`task` is empty), unless the contract
    requires the approval of a person. May run again with the same result as long as no alias moves.

    Args:
        dataset: Of the version.
        family: Whose alias it would get.
        version: Its number.
        task: Which task of Airflow waits for the person, as `DAG/RUN/TASK`; empty: none does.
        store: Where the data are.
        registry: Where the version is.

    Raises:
        ModelUnavailable: there is no such version.
        ObjectNotFound: the data that it was trained on are gone.
    """
    contract = load_contract(dataset)
    store, registry = store or ObjectStore.from_settings(), registry or Registry.from_settings()
    candidate = registry.version(dataset, version)
    benches = _Benches(contract, store, registry, candidate)
    aliases = registry.aliases(dataset)
    decision = _decide(contract, benches, family, candidate, aliases)
    is_asked = bool(task) or contract.gate.approval == "required"
    if decision.passed and is_asked and aliases.get(family) != candidate.version:
        waiting = Approval("waiting", task=task)
        decision = replace(decision, passed=False, approval=waiting, reasons=(*decision.reasons, str(waiting)))
    _record(contract, store, registry, candidate, decision)
    return decision


def promote(  # noqa: PLR0913 - all but three are named
    dataset: str,
    family: str,
    version: str,
    *,
    approval: Approval | None = None,
    way: Way | None = None,
    store: ObjectStore | None = None,
    registry: Registry | None = None,
) -> Decision:
    """Give a version its family's alias if the gate lets it pass, and make the best family champion.

    Where the contract or `way` says shadow or canary, no version becomes champion at once: the one that would is deployed that way, and has
    its family's alias when it becomes champion.

    Where the contract requires the approval of a person, `approval` is the answer. Everything is decided again with it, since aliases may
    have moved while the version waited: one that is approved but has become worse than its rival does not pass.

    All are scored on the same rows, see above. The decision and its reasons are written onto the version,
    and the standing of every version that has none on the present test set.

    Raises:
        AliasNotMoved: the contract requires an approval, and there is none.
        ModelUnavailable: there is no such version.
        ObjectNotFound: the data that it was trained on are gone.
    """
    contract = load_contract(dataset)
    store, registry = store or ObjectStore.from_settings(), registry or Registry.from_settings()
    candidate = registry.version(dataset, version)
    benches = _Benches(contract, store, registry, candidate)
    if approval is not None and approval.state != "waiting":
        audit_rows.record(audit_rows.answered(dataset, family, version, approval))
    if contract.gate.approval == "required":
        if approval is None or approval.state == "waiting":
            raise AliasNotMoved(f"{candidate} needs the approval of a person (gate.approval: required), and there is none.")
        if approval.state == "refused":
            decision = _refuse(contract, registry, benches, family, candidate, approval)
            _record(contract, store, registry, candidate, decision)
            return decision
    way = way or contract.deploy.way
    if way == "direct" or CHAMPION not in registry.aliases(dataset):
        decision = _pass_gate(contract, registry, benches, family, candidate)
        champion, why = _settle_champion(contract, registry, benches, "passed" if decision.passed else "refused")
    else:
        decision, champion, why = _deploy_with_care(contract, registry, benches, family, candidate, way)
    answered = (str(approval),) if approval else ()
    decision = replace(decision, champion=champion, approval=approval, reasons=(*answered, *decision.reasons, why))
    if not decision.passed:
        audit_rows.record(audit_rows.refused(dataset, family, candidate.version, decision.reasons[0]))
    _record(contract, store, registry, candidate, decision)
    return decision


def _move(registry: Registry, dataset: str, moves: Mapping[str, str], aliases: Mapping[str, str], gate: str) -> bool:
    """Move aliases that are as `aliases` says, and record it at once: until the end others move them too, and this task may be killed.

    Raises:
        AliasNotMoved: they are no longer so; nothing was moved.
    """
    if not move_aliases(registry, dataset, moves, aliases):
        return False
    audit_rows.record(*audit_rows.moved(dataset, aliases, {**aliases, **moves}, {"gate": gate}))
    return True


def _record(contract: Contract, store: ObjectStore, registry: Registry, candidate: RegisteredVersion, decision: Decision) -> None:
    """Write down what was decided about a version, whatever it was: onto the version, into its run and into its card."""
    for reason in decision.reasons:
        _LOGGER.info("%s: %s", contract.name, reason, extra=about(contract.name))
    registry.record_decision(candidate, decision)
    update_standings(contract.name, store=store, registry=registry)
    update_card(registry, contract, candidate.version)


def _pass_gate(contract: Contract, registry: Registry, benches: "_Benches", family: str, candidate: RegisteredVersion) -> Decision:
    """Move the family's alias if the gate lets the candidate pass; the decision names no champion yet."""
    for _ in range(_ATTEMPTS):
        aliases = registry.aliases(contract.name)
        decision = _decide(contract, benches, family, candidate, aliases)
        try:
            if decision.passed:
                _move(registry, contract.name, promotion(family, candidate.version, aliases), aliases, "passed")
        except AliasNotMoved:
            continue
        return decision
    raise RegistryError(f"The aliases of {contract.name!r} moved {_ATTEMPTS} times while {family!r} was decided about. Run this again.")


def _deploy_with_care(  # noqa: PLR0913, PLR0917 - what is decided about, and how it is deployed
    contract: Contract, registry: Registry, benches: "_Benches", family: str, candidate: RegisteredVersion, way: Way
) -> tuple[Decision, str | None, str]:
    """Deploy the version that would be champion, if it is not; return the decision about the candidate, the champion, and why it is.

    A candidate that passes and would not be champion gets its family's alias at once: nobody's requests change.
    """
    aliases = registry.aliases(contract.name)
    decision = _decide(contract, benches, family, candidate, aliases)
    families = {name: aliases[name] for name in contract.families if name in aliases} | (
        {family: candidate.version} if decision.passed else {}
    )
    able = {name: number for name, number in families.items() if not was_rolled_back(registry.version(contract.name, number))}
    champion = aliases.get(CHAMPION)
    chosen, reason = _choose(contract, benches, able, champion)
    deployed = None
    if chosen and chosen != champion:
        chosen_family = next(name for name, number in able.items() if number == chosen)
        deployed = deploy(contract.name, chosen_family, chosen, way=way, started_by=f"the training of {family}", registry=registry)
        reason = f"{reason}; {deployed.reason}"
    if decision.passed and not (deployed and deployed.way and chosen == candidate.version) and not was_rolled_back(candidate):
        decision = _pass_gate(contract, registry, benches, family, candidate)
    return decision, champion, reason


def _decide(contract: Contract, benches: "_Benches", family: str, candidate: RegisteredVersion, aliases: Mapping[str, str]) -> Decision:
    """Compare the candidate with the version that has the family's alias; nothing moves, and the decision names no champion."""
    holder = aliases.get(family)
    bench = benches.newest([holder] if holder else [])
    rows, entrants = bench.entrants(version for version in (candidate.version, holder) if version is not None)
    entrant = entrants[candidate.version]
    verdict = decide(contract, rows, family, entrant, entrants[holder] if holder else None)
    return Decision(
        dataset=contract.name,
        family=family,
        version=candidate.version,
        passed=verdict.passed,
        score=score(contract, rows, entrant),
        champion=None,
        reasons=(verdict.reason,),
        metric=contract.metric,
        digest=bench.digest,
        rows=len(rows.truth),
        origin=entrant.origin,
        verdict=verdict,
    )


def _refuse(  # noqa: PLR0913, PLR0917 - what is decided about, by whom
    contract: Contract, registry: Registry, benches: "_Benches", family: str, candidate: RegisteredVersion, approval: Approval
) -> Decision:
    """Decide that the version does not pass, as a person refuses it; no alias moves."""
    decision = _decide(contract, benches, family, candidate, registry.aliases(contract.name))
    champion = registry.aliases(contract.name).get(CHAMPION)
    return replace(decision, passed=False, champion=champion, approval=approval, reasons=(str(approval), *decision.reasons))


def _settle_champion(contract: Contract, registry: Registry, benches: "_Benches", gate: str) -> tuple[str | None, str]:
    """Move `champion` until there is nothing left to move; return the champion and the reason for it.

    `gate` is what it said about the candidate, for the audit trail.
    """
    moved = ""
    for _ in range(_ATTEMPTS):
        aliases = registry.aliases(contract.name)
        families = {family: aliases[family] for family in contract.families if family in aliases}
        champion = aliases.get(CHAMPION)
        chosen, reason = _choose(contract, benches, families, champion)
        try:
            moves = promotion(CHAMPION, chosen, aliases) if chosen else {}
            if not _move(registry, contract.name, moves, aliases, gate):
                return chosen, moved or reason
        except AliasNotMoved:
            continue  # another training moved one meanwhile
        moved = reason
    raise RegistryError(f"The aliases of {contract.name!r} moved {_ATTEMPTS} times while the champion was chosen. Run this again.")


def _choose(contract: Contract, benches: "_Benches", families: Mapping[str, str], champion: str | None) -> tuple[str | None, str]:
    versions = [*families.values(), *([champion] if champion else [])]
    bench = benches.newest(versions)
    rows, entrants = bench.entrants(versions)
    by_family = {family: entrants[version] for family, version in families.items()}
    chosen, why = choose_champion(contract, rows, by_family, entrants[champion] if champion else None)
    if bench.digest != benches.own:
        why = f"compared on {len(rows.truth)} labelled records that were served, which are newer than its own test rows: {why}"
    return chosen, why


class _Benches:
    """The test rows that a candidate is compared on with other versions: the newest that one of them has."""

    def __init__(self, contract: Contract, store: ObjectStore, registry: Registry, candidate: RegisteredVersion) -> None:
        self._contract, self._store, self._registry = contract, store, registry
        self.own = candidate.digest
        self._benches: dict[str, VersionBench] = {}

    def newest(self, versions: Iterable[str]) -> VersionBench:
        """Return the bench of the newest labelled records that one of all had held out, else the candidate's own."""
        digests = dict.fromkeys([self.own, *(self._registry.version(self._contract.name, version).digest for version in versions)])
        served = {digest: until for digest in digests if (until := self._served_until(digest))}
        digest = max(served, key=lambda name: served[name], default=self.own)
        if digest not in self._benches:
            self._benches[digest] = VersionBench(self._contract, self._store, self._registry, digest)
        return self._benches[digest]

    def _served_until(self, digest: str) -> datetime | None:
        try:
            served = read_manifest(self._store, self._contract.name, digest).served
        except ObjectNotFound:
            return None
        return served.until if served else None
