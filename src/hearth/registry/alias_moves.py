"""Aliases that move together: in an order that a crash cannot harm, and only if nobody has moved one meanwhile."""

from collections.abc import Callable, Mapping
from typing import Protocol

from hearth.contracts.aliases import CHAMPION, PREVIOUS
from hearth.errors import AliasNotMoved


class AliasRegistry(Protocol):
    """The part of a registry that reads and moves aliases."""

    def aliases(self, dataset: str) -> dict[str, str]: ...

    def set_alias(self, dataset: str, alias: str, version: str) -> None: ...


def promotion(alias: str, number: str, aliases: Mapping[str, str]) -> dict[str, str]:
    """Return the moves, in their order, that give an alias to a version; a champion that is replaced becomes `previous`.

    `previous` moves first: after a crash between the two moves both are on the champion, and the same promotion can run again.
    """
    champion = aliases.get(CHAMPION)
    if alias == CHAMPION and champion and champion != number:
        return {PREVIOUS: champion, CHAMPION: number}
    return {alias: number}


def rollback(champion: str | None, previous: str) -> dict[str, str]:
    """Return the moves, in their order, by which champion and previous change places.

    `champion` moves first: after a crash between the two moves the previous champion serves again, and has both aliases.
    """
    return {CHAMPION: previous} | ({PREVIOUS: champion} if champion else {})


def move_aliases(
    registry: AliasRegistry,
    dataset: str,
    moves: Mapping[str, str],
    expected: Mapping[str, str],
    before_first: Callable[[], object] = lambda: None,
) -> bool:
    """Move aliases of a data set, in the order of `moves`; an alias that has its version already is left alone.

    MLflow cannot move an alias on a condition, so all aliases are read again right before the first move. `before_first` is called between
    that and the move, for example to write down who moves what.

    Returns:
        Whether an alias was moved.

    Raises:
        AliasNotMoved: the aliases are no longer as `expected`; nothing was moved.
    """
    if registry.aliases(dataset) != expected:
        raise AliasNotMoved(f"An alias of {dataset!r} was moved meanwhile: read the aliases, and try again.")
    pending = {alias: number for alias, number in moves.items() if expected.get(alias) != number}
    if pending:
        before_first()
    for alias, number in pending.items():
        registry.set_alias(dataset, alias, number)
    return bool(pending)
