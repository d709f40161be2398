"""A person moves an alias: back to the champion before, or to a version of their choice.

Before an alias moves, the version that it shall carry is loaded and scores records of the contract, as services load it; one that must not
be loaded never gets an alias here. The registry cannot move an alias on a condition, so the aliases are read again right before the
move: what another has moved meanwhile is not moved back unseen. Who moved what is written onto the version before the move, so no move is
without its author.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from hearth.contracts import Contract
from hearth.contracts.aliases import CHALLENGER, CHAMPION, PREVIOUS, aliases
from hearth.errors import AliasNotMoved, ModelUnavailable, UnknownAlias, UnknownVersion
from hearth.registry import RegisteredVersion
from hearth.serving.model_follower import ModelSource, load_version

_LOGGER = logging.getLogger(__name__)
_GATE, _PASSED, _NOT_JUDGED = "hearth.gate", "passed", "not judged"


class AliasRegistry(ModelSource, Protocol):
    """What is needed of a registry."""

    def versions(self, dataset: str) -> list[RegisteredVersion]: ...

    def set_alias(self, dataset: str, alias: str, version: str) -> None: ...

    def annotate(self, version: RegisteredVersion, tags: Mapping[str, str], description: str | None = None) -> None: ...


@dataclass(frozen=True)
class VersionState:
    """A version that could be given an alias: what it carries now, and what the gate has said of it."""

    registered: RegisteredVersion
    aliases: tuple[str, ...]
    gate: str


@dataclass(frozen=True)
class PromotionRequest:
    """What a person asks for: `source`, a number or an alias, names the version that shall carry the alias, if need be over the gate."""

    source: str
    alias: str = CHAMPION
    force: bool = False


@dataclass(frozen=True)
class Move:
    """What was asked for is so: the alias carries this version. `before` and `after` are all aliases that it took, by name."""

    dataset: str
    alias: str
    version: str
    family: str
    gate: str
    before: Mapping[str, str]
    after: Mapping[str, str]


@dataclass(frozen=True)
class _Order:
    alias: str
    version: RegisteredVersion
    wanted: Mapping[str, str]  # in the order in which they are moved
    seen: Mapping[str, str]
    record: str


class AliasAdmin:
    """Moves aliases of a registry, one person at a time. Threads may share one."""

    def __init__(self, registry: AliasRegistry) -> None:
        self._registry = registry
        self._moving = threading.Lock()

    def candidates(self, contract: Contract) -> list[VersionState]:
        """Return every version that the registry has, the latest first.

        Raises:
            RegistryError: the registry does not answer.
        """
        carried = self._registry.aliases(contract.name)
        return [
            VersionState(found, tuple(sorted(alias for alias, number in carried.items() if number == found.version)), _gate(found))
            for found in self._registry.versions(contract.name)
        ]

    def roll_back(self, contract: Contract, by: str) -> Move:
        """Make the champion before champion again; what was champion becomes previous, so a second time undoes the first.

        After a crash between the two moves the old champion serves again, and carries both aliases.

        Raises:
            AliasNotMoved: there is no champion before, or another has moved an alias meanwhile.
            RefusedModel: it must not be loaded.
            RegistryError: the registry does not answer.
        """
        seen = self._registry.aliases(contract.name)
        champion, previous = seen.get(CHAMPION), seen.get(PREVIOUS)
        if previous is None:
            raise AliasNotMoved(f"{contract.name!r} has no previous champion to go back to: no second version has become champion yet.")
        if previous == champion:
            raise AliasNotMoved(f"The previous champion of {contract.name!r} is the champion: version {previous} carries both aliases.")
        version = self._sound(contract, CHAMPION, previous)
        wanted = {CHAMPION: previous} | ({PREVIOUS: champion} if champion else {})
        return self._move(_Order(CHAMPION, version, wanted, seen, f"champion by {by}, rolled back from version {champion or 'none'}"))

    def promote(self, contract: Contract, asked: PromotionRequest, by: str) -> Move:
        """Move an alias; a champion that is replaced becomes previous.

        Every alias but the challenger's needs a version that has passed the gate, or a person who says that it shall go over the gate,
        which is written down.

        Raises:
            UnknownAlias: the data set cannot have such an alias.
            UnknownVersion: the registry has no such version, or no version carries the alias that it is named by.
            AliasNotMoved: the alias is not for this version, or another has moved an alias meanwhile.
            RefusedModel: it must not be loaded.
            RegistryError: the registry does not answer.
        """
        alias = asked.alias
        _require_known(contract, alias)
        seen = self._registry.aliases(contract.name)
        version = self._sound(contract, alias, _number(contract, asked.source, seen))
        _require_fit(contract, version, alias)
        gate = _gate(version)
        judged = gate == _PASSED or alias == CHALLENGER
        if not judged and not asked.force:
            raise AliasNotMoved(f"{version} is {gate} by the gate. To give it {alias!r} nevertheless, ask with over_gate.")
        champion = seen.get(CHAMPION)
        wanted = {alias: version.version}
        if alias == CHAMPION and champion and champion != version.version:
            wanted = {PREVIOUS: champion, **wanted}  # previous first: after a crash here it is the champion itself
        over = "" if judged else f", over the gate ({gate})"
        return self._move(_Order(alias, version, wanted, seen, f"{alias} by {by}{over}, before it version {seen.get(alias, 'none')}"))

    def _sound(self, contract: Contract, alias: str, number: str) -> RegisteredVersion:
        """Return a version that can be served."""
        try:
            return load_version(self._registry, contract, alias, number).registered
        except ModelUnavailable as error:
            raise UnknownVersion(f"The registry has no version {number} of {contract.name!r}.") from error

    def _move(self, order: _Order) -> Move:
        version, seen = order.version, order.seen
        to_move = {alias: number for alias, number in order.wanted.items() if seen.get(alias) != number}
        if to_move:
            with self._moving:
                if self._registry.aliases(version.dataset) != seen:
                    raise AliasNotMoved(f"Another has moved an alias of {version.dataset!r} meanwhile: look at them, and ask again.")
                self._registry.annotate(version, {f"hearth.moved.{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}": order.record})
                for alias, number in to_move.items():
                    self._registry.set_alias(version.dataset, alias, number)
            _LOGGER.info("%s is %s", version, order.record)
        before = {alias: seen[alias] for alias in order.wanted if alias in seen}
        return Move(version.dataset, order.alias, version.version, version.family, _gate(version), before, dict(order.wanted))


def _number(contract: Contract, source: str, seen: Mapping[str, str]) -> str:
    if source.isascii() and source.isdecimal():
        return source
    _require_known(contract, source)
    if source not in seen:
        raise UnknownVersion(f"No version of {contract.name!r} carries the alias {source!r}.")
    return seen[source]


def _require_known(contract: Contract, alias: str) -> None:
    known = aliases(contract)
    if alias not in known:
        raise UnknownAlias(contract.name, alias, known)


def _require_fit(contract: Contract, version: RegisteredVersion, alias: str) -> None:
    if alias == PREVIOUS:
        raise AliasNotMoved(f"{PREVIOUS!r} follows the champion and is not moved by itself.")
    if alias in contract.families and alias != version.family:
        raise AliasNotMoved(f"The alias {alias!r} is for versions of that family; {version} is of {version.family!r}.")


def _gate(version: RegisteredVersion) -> str:
    return version.tags.get(_GATE, _NOT_JUDGED)
