"""Pass the gate, move the aliases. Trainings of several families may do this at the same time.

A move is made only if the aliases still are as they were decided about, and then everything is decided again, until there is nothing to
move.

Guaranteed: when all promotions that were started have ended, no family's version is better than `champion` by more than noise. An
interrupted promotion does no harm, because after each move every alias is on a version that passed; the next promotion, or the same one
run again, finishes it. Not guaranteed: `previous` can be a version that was champion only for a moment, and an alias that a person moves in
the same instant can be moved back.
"""

import logging
from collections.abc import Mapping
from dataclasses import replace

from hearth.contracts import Contract, load_contract
from hearth.contracts.aliases import CHAMPION
from hearth.errors import AliasNotMoved, RegistryError
from hearth.jobs.report import update_card
from hearth.jobs.standings import update_standings
from hearth.jobs.version_bench import VersionBench
from hearth.modelling.gate import Decision, choose_champion, decide, score
from hearth.registry import RegisteredVersion, Registry, move_aliases, promotion
from hearth.storage import ObjectStore

_LOGGER = logging.getLogger(__name__)
_ATTEMPTS = 10


def promote(dataset: str, family: str, version: str, *, store: ObjectStore | None = None, registry: Registry | None = None) -> Decision:
    """Give a version its family's alias if the gate lets it pass, and make the best family champion.

    All are scored on the test set of the data that this version was trained on. The decision and its reasons are written onto the version,
    and the standing of every version that has none on the present test set.

    Raises:
        ModelUnavailable: there is no such version.
        ObjectNotFound: the data that it was trained on are gone.
    """
    contract = load_contract(dataset)
    store, registry = store or ObjectStore.from_settings(), registry or Registry.from_settings()
    candidate = registry.version(dataset, version)
    bench = VersionBench(contract, store, registry, candidate.digest)
    decision = _pass_gate(contract, registry, bench, family, candidate)
    champion, why = _settle_champion(contract, registry, bench)
    decision = replace(decision, champion=champion, reasons=(*decision.reasons, why))
    for reason in decision.reasons:
        _LOGGER.info("%s: %s", dataset, reason)
    registry.record_decision(candidate, decision)
    update_standings(dataset, store=store, registry=registry)
    update_card(registry, dataset, version)
    return decision


def _pass_gate(contract: Contract, registry: Registry, bench: VersionBench, family: str, candidate: RegisteredVersion) -> Decision:
    """Move the family's alias if the gate lets the candidate pass; the decision names no champion yet."""
    for _ in range(_ATTEMPTS):
        aliases = registry.aliases(contract.name)
        holder = aliases.get(family)
        rows, entrants = bench.entrants(version for version in (candidate.version, holder) if version is not None)
        entrant = entrants[candidate.version]
        verdict = decide(contract, rows, family, entrant, entrants[holder] if holder else None)
        try:
            if verdict.passed:
                move_aliases(registry, contract.name, promotion(family, candidate.version, aliases), aliases)
        except AliasNotMoved:
            continue
        return Decision(
            dataset=contract.name,
            family=family,
            version=candidate.version,
            passed=verdict.passed,
            score=score(contract, rows, entrant),
            champion=None,
            reasons=(verdict.reason,),
            metric=contract.metric,
            digest=candidate.digest,
            rows=len(rows.truth),
            origin=entrant.origin,
            verdict=verdict,
        )
    raise RegistryError(f"The aliases of {contract.name!r} moved {_ATTEMPTS} times while {family!r} was decided about. Run this again.")


def _settle_champion(contract: Contract, registry: Registry, bench: VersionBench) -> tuple[str | None, str]:
    """Move `champion` until there is nothing left to move; return the champion and the reason for it."""
    moved = ""
    for _ in range(_ATTEMPTS):
        aliases = registry.aliases(contract.name)
        families = {family: aliases[family] for family in contract.families if family in aliases}
        champion = aliases.get(CHAMPION)
        chosen, reason = _choose(contract, bench, families, champion)
        try:
            moves = promotion(CHAMPION, chosen, aliases) if chosen else {}
            if not move_aliases(registry, contract.name, moves, aliases):
                return chosen, moved or reason
        except AliasNotMoved:
            continue  # another training moved one meanwhile
        moved = reason
    raise RegistryError(f"The aliases of {contract.name!r} moved {_ATTEMPTS} times while the champion was chosen. Run this again.")


def _choose(contract: Contract, bench: VersionBench, families: Mapping[str, str], champion: str | None) -> tuple[str | None, str]:
    rows, entrants = bench.entrants([*families.values(), *([champion] if champion else [])])
    by_family = {family: entrants[version] for family, version in families.items()}
    return choose_champion(contract, rows, by_family, entrants[champion] if champion else None)
