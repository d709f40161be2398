"""Cards of versions, from MLflow: what a training has written, with what the registry says of the version now.

The page is written here from the card's figures and texts, so that nothing which somebody else has put into MLflow is sent to a browser.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from hearth.cards import Card, to_html, to_markdown
from hearth.cards.card import JSON_FILE, UNWRITABLE, approval_text
from hearth.cards.html import MOST_PICTURE_BYTES
from hearth.contracts import Contract
from hearth.contracts.aliases import aliases as possible_aliases
from hearth.errors import ModelUnavailable, NoCard, UnknownAlias, UnknownVersion
from hearth.registry import RegisteredVersion

MOST_CARD_BYTES = 4_000_000
_MOST_PICTURES = 20
_LONGEST_NUMBER = 18


class CardRegistry(Protocol):
    """The part of a registry that is used here."""

    def aliases(self, dataset: str) -> dict[str, str]: ...

    def version(self, dataset: str, name: str) -> RegisteredVersion: ...

    def run_files(self, version: RegisteredVersion, names: Iterable[str], most_bytes: int) -> dict[str, bytes]: ...


class ModelCards:
    """Reads cards. Threads may share one; every method asks MLflow, and so may take as long as it does."""

    def __init__(self, registry: CardRegistry) -> None:
        self._registry = registry

    def json(self, contract: Contract, name: str) -> bytes:
        """Return a card as JSON; `name` is the number of a version or an alias.

        Raises:
            UnknownAlias: the data set cannot have this alias.
            UnknownVersion: the registry has no such version, or no version carries the alias.
            NoCard: the version has none.
            RegistryError: the registry does not answer.
        """
        card, version = self._card(contract, name)
        return _written(version, card.to_json)

    def markdown(self, contract: Contract, name: str) -> bytes:
        """Return a card as Markdown; raises what `json` raises. Its pictures are named as the run has them."""
        card, version = self._card(contract, name)
        return _written(version, lambda: to_markdown(card).encode())

    def html(self, contract: Contract, name: str) -> bytes:
        """Return a card as a page that holds its pictures; raises what `json` raises."""
        card, version = self._card(contract, name)
        paths = {f"figures/{picture}": picture for picture in card.pictures[:_MOST_PICTURES]}
        found: Mapping[str, bytes] = self._registry.run_files(version, paths, MOST_PICTURE_BYTES)
        return _written(version, lambda: to_html(card, {paths[path]: content for path, content in found.items()}))

    def _card(self, contract: Contract, name: str) -> tuple[Card, RegisteredVersion]:
        aliases = self._registry.aliases(contract.name)
        version = self._version(contract, name, aliases)
        content = self._registry.run_files(version, [JSON_FILE], MOST_CARD_BYTES).get(JSON_FILE)
        if content is None:
            raise NoCard(
                f"{version} has no card: an earlier release has registered it, or its run was deleted. Versions of new trainings have one."
            )
        card = Card.from_json(content)
        if card is None or (card.dataset, card.family) != (version.dataset, version.family):
            raise _foreign(version)
        carried = tuple(sorted(alias for alias, number in aliases.items() if number == version.version))
        decided = card.as_registered(
            version.version,
            carried,
            tags=version.tags,
            decision=version.decision,
            standing=version.standing,
            approval=approval_text(version.approval, required=contract.gate.approval == "required", judged=version.decision is not None),
        )
        return decided, version

    def _version(self, contract: Contract, name: str, aliases: Mapping[str, str]) -> RegisteredVersion:
        number = name if name.isascii() and name.isdecimal() and len(name) <= _LONGEST_NUMBER else aliases.get(name)
        possible = possible_aliases(contract)
        if number is None and name not in possible:
            raise UnknownAlias(contract.name, name, possible)
        if number is None:
            raise UnknownVersion(f"No version of {contract.name!r} carries the alias {name!r}.")
        try:
            return self._registry.version(contract.name, number)
        except ModelUnavailable as error:
            raise UnknownVersion(f"The registry has no version {number} of {contract.name!r}.") from error


def _written(version: RegisteredVersion, write: Callable[[], bytes]) -> bytes:
    try:
        return write()
    except UNWRITABLE as error:
        raise _foreign(version) from error


def _foreign(version: RegisteredVersion) -> NoCard:
    return NoCard(f"{version} has a {JSON_FILE} that is not its card: something else has written it. Train again.")


def card_path(dataset: str, version: str) -> str:
    """Return the path of a version's card below the address of REST."""
    return f"/models/{dataset}/{version}/card"
