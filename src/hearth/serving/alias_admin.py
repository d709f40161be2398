"""A person moves an alias: back to the previous champion, or to a version of their choice.

Before an alias moves, its new version is loaded and scores records of the contract, as services do; a version that cannot be loaded never
gets an alias here. An alias that was moved meanwhile is not moved back unnoticed. Who moves what is written onto the version before the
move, so no move is without its author.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from hearth.audit import Action, Draft, NoTrail, Trail, recorded
from hearth.contracts import Contract
from hearth.contracts.aliases import CHALLENGER, CHAMPION, PREVIOUS
from hearth.contracts.aliases import aliases as possible_aliases
from hearth.errors import AliasNotMoved, ModelUnavailable, UnknownAlias, UnknownVersion
from hearth.logs import about
from hearth.registry import RegisteredVersion, move_aliases, promotion, rollback
from hearth.serving.loaded_model import ModelSource, load_version
from hearth.serving.published_data import ReportSource

_LOGGER = logging.getLogger(__name__)
_GATE, _PASSED, _REFUSED, _NOT_JUDGED = "hearth.gate", "passed", "refused", "not judged"
_WAITING = "waiting"


class AliasRegistry(ModelSource, ReportSource, Protocol):
    """The part of a registry that is used here."""

    def versions(self, dataset: str) -> list[RegisteredVersion]: ...

    def set_alias(self, dataset: str, alias: str, version: str) -> None: ...

    def annotate(self, version: RegisteredVersion, tags: Mapping[str, str], description: str | None = None) -> None: ...


@dataclass(frozen=True)
class VersionState:
    """A version that can be given an alias: the aliases that it has, and the verdict of the gate."""

    registered: RegisteredVersion
    aliases: tuple[str, ...]
    gate: str


@dataclass(frozen=True)
class PromotionRequest:
    """Give `alias` to the version that `source` names by its number or by an alias; with `force` even if it has not passed the gate."""

    source: str
    alias: str = CHAMPION
    force: bool = False


@dataclass(frozen=True)
class Move:
    """The alias is on this version. `before` and `after` hold the versions of all aliases that were concerned, by alias."""

    dataset: str
    alias: str
    version: str
    family: str
    gate: str
    before: Mapping[str, str]
    after: Mapping[str, str]


class AliasAdmin:
    """Moves aliases of a registry, one person at a time, and records that. Threads may share one."""

    def __init__(self, registry: AliasRegistry, trail: Trail | None = None) -> None:
        self._registry, self._trail = registry, trail or NoTrail()
        self._moving = threading.Lock()

    def candidates(self, contract: Contract) -> list[VersionState]:
        """Return all versions of the registry, the latest first.

        Raises:
            RegistryError: the registry does not answer.
        """
        by_alias = self._registry.aliases(contract.name)
        return [
            VersionState(version, tuple(sorted(alias for alias, number in by_alias.items() if number == version.version)), _gate(version))
            for version in self._registry.versions(contract.name)
        ]

    def roll_back(self, contract: Contract, by: str, *, force: bool = False) -> Move:
        """Let champion and previous change places, so that a second time undoes the first.

        The previous champion passed the gate in its day, or was promoted over it. If the gate has refused it, or a person has not approved
        it yet, or if it breaks a bound of the contract on the present test set, or has no claim to an alias any more, it needs `force`,
        which is recorded.

        Raises:
            AliasNotMoved: the gate speaks against it, it breaks a bound, there is no previous champion, or an alias was moved meanwhile.
            RefusedModel: it must not be loaded.
            RegistryError: the registry does not answer.
        """
        with recorded(self._trail, Action.ROLLED_BACK, Draft(contract.name, CHAMPION)) as draft:
            return _filled(draft, self._roll_back(contract, by, force=force), force=force)

    def _roll_back(self, contract: Contract, by: str, *, force: bool) -> Move:
        aliases = self._registry.aliases(contract.name)
        champion, previous = aliases.get(CHAMPION), aliases.get(PREVIOUS)
        if previous is None:
            raise AliasNotMoved(f"{contract.name!r} has no previous champion to go back to: it has had one champion at most.")
        if previous == champion:
            raise AliasNotMoved(f"The previous champion of {contract.name!r} is the champion: version {previous} carries both aliases.")
        version = self._load(contract, CHAMPION, previous)
        gate = _gate(version)
        held = gate in {_WAITING, _REFUSED}
        problem = _why_not(version, gate) if held else _standing_problem(version)
        if problem and not force:
            raise AliasNotMoved(f"{version} {problem}. To go back to it nevertheless, ask with over_gate.")
        over = f", over the gate ({gate if held else problem})" if problem else ""
        record = f"champion by {by}{over}, rolled back from version {champion or 'none'}"
        return self._move(CHAMPION, version, rollback(champion, previous), aliases, record)

    def promote(self, contract: Contract, request: PromotionRequest, by: str) -> Move:
        """Move an alias; a champion that is replaced becomes previous.

        Every alias but the challenger's needs a version that has passed the gate and breaks no bound on the present test set, or `force`,
        which is recorded.

        Raises:
            UnknownAlias: the data set cannot have this alias.
            UnknownVersion: the registry has no such version, or no version carries the alias that names it.
            AliasNotMoved: the alias is not for this version, or an alias was moved meanwhile.
            RefusedModel: the version must not be loaded.
            RegistryError: the registry does not answer.
        """
        draft = Draft(contract.name, request.alias, detail={"asked_for": request.source})
        with recorded(self._trail, Action.PROMOTED, draft):
            return _filled(draft, self._promote(contract, request, by), force=request.force)

    def _promote(self, contract: Contract, request: PromotionRequest, by: str) -> Move:
        alias = request.alias
        _require_alias(contract, alias)
        aliases = self._registry.aliases(contract.name)
        version = self._load(contract, alias, _number(contract, request.source, aliases))
        _require_fit(contract, version, alias)
        gate = _gate(version)
        problem = "" if alias == CHALLENGER else _why_not(version, gate) if gate != _PASSED else _standing_problem(version)
        if problem and not request.force:
            raise AliasNotMoved(f"{version} {problem}. To give it {alias!r} nevertheless, ask with over_gate.")
        over = f", over the gate ({gate if gate != _PASSED else problem})" if problem else ""
        record = f"{alias} by {by}{over}, before it version {aliases.get(alias, 'none')}"
        return self._move(alias, version, promotion(alias, version.version, aliases), aliases, record)

    def require_promotable(self, contract: Contract, number: str, *, force: bool = False) -> tuple[RegisteredVersion, str]:
        """Load a version as services do, and return it if it may become champion; with it, what `force` has overridden, empty if nothing.

        Raises:
            UnknownVersion: the registry has no such version.
            AliasNotMoved: the gate speaks against it.
            RefusedModel: the version must not be loaded.
            RegistryError: the registry does not answer.
        """
        version = self._load(contract, CHAMPION, number)
        gate = _gate(version)
        problem = _why_not(version, gate) if gate != _PASSED else _standing_problem(version)
        if problem and not force:
            raise AliasNotMoved(f"{version} {problem}. To try it nevertheless, ask with over_gate.")
        return version, f", over the gate ({gate if gate != _PASSED else problem})" if problem else ""

    def _load(self, contract: Contract, alias: str, number: str) -> RegisteredVersion:
        """Return a version that services can load."""
        try:
            return load_version(self._registry, contract, alias, number).registered
        except ModelUnavailable as error:
            raise UnknownVersion(f"The registry has no version {number} of {contract.name!r}.") from error

    def _move(self, alias: str, version: RegisteredVersion, moves: Mapping[str, str], expected: Mapping[str, str], record: str) -> Move:
        def annotate() -> None:
            self._registry.annotate(version, {f"hearth.moved.{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}": record})

        with self._moving:
            if move_aliases(self._registry, version.dataset, moves, expected, annotate):
                _LOGGER.info("%s is %s", version, record, extra=about(version.dataset, alias=alias, version=version.version))
        before = {name: expected[name] for name in moves if name in expected}
        return Move(version.dataset, alias, version.version, version.family, _gate(version), before, dict(moves))


def _filled(draft: Draft, move: Move, *, force: bool) -> Move:
    draft.version, draft.alias = move.version, move.alias
    draft.detail = {"before": dict(move.before), "after": dict(move.after), "gate": move.gate, "over_gate": force}
    return move


def _number(contract: Contract, source: str, aliases: Mapping[str, str]) -> str:
    if source.isascii() and source.isdecimal():
        return source
    _require_alias(contract, source)
    if source not in aliases:
        raise UnknownVersion(f"No version of {contract.name!r} carries the alias {source!r}.")
    return aliases[source]


def _require_alias(contract: Contract, alias: str) -> None:
    possible = possible_aliases(contract)
    if alias not in possible:
        raise UnknownAlias(contract.name, alias, possible)


def _require_fit(contract: Contract, version: RegisteredVersion, alias: str) -> None:
    if alias == PREVIOUS:
        raise AliasNotMoved(f"{PREVIOUS!r} follows the champion and is not moved by itself.")
    if alias in contract.families and alias != version.family:
        raise AliasNotMoved(f"The alias {alias!r} is for versions of that family; {version} is of {version.family!r}.")


def _why_not(version: RegisteredVersion, gate: str) -> str:
    if gate == _WAITING:
        name = f"{version.dataset} {version.version}"
        return f"has passed the gate and waits for the approval of a person: `hearth approve {name}`, or `hearth refuse {name}`"
    why = f": {version.standing.problem}" if version.standing and not version.standing.has_claim else ""
    return f"is {gate} by the gate{why}"


def _standing_problem(version: RegisteredVersion) -> str:
    """Return what speaks against a version on the present test set: a bound that it breaks, or that it has no claim; empty if nothing."""
    standing = version.standing
    if standing is None:
        return ""
    if not standing.has_claim:
        return f"has no claim to an alias: {standing.problem}"
    broken = [str(result) for result in standing.bounds if result.answer == "broken"]
    return f"breaks {'bounds' if len(broken) > 1 else 'a bound'} on the present test set: {'; '.join(broken)}" if broken else ""


def _gate(version: RegisteredVersion) -> str:
    """Return the verdict of the gate; one that has passed is refused when its standing says that it has no claim any more."""
    verdict = version.tags.get(_GATE, _NOT_JUDGED)
    return _REFUSED if verdict == _PASSED and version.standing and not version.standing.has_claim else verdict
