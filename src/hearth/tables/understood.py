"""Sentences about how a file was read, the same for the ETL and for uploads."""

from collections import Counter
from collections.abc import Mapping, Sequence

from hearth.contracts import Contract
from hearth.contracts.texts import listed, normalized


def missing_words(name: str, words: Sequence[str], counts: Mapping[str, int]) -> list[str]:
    """Return how often the contract's own words for a missing value are in a column; `counts` are those of its stripped cells."""
    found = [f"{word!r} {counts[word]} times" for word in words if counts.get(word)]
    return [f"{name}: missing values are written as {', '.join(found)}"] if found else []


def other_columns(contract: Contract, header: Sequence[str]) -> list[str]:
    """Return which columns of an upload are not read: those that are no feature."""
    features = {normalized(name) for name in contract.feature_names}
    others = [name.strip() for name in header if normalized(name.strip()) not in features]
    return [f"columns that are no feature are returned unread: {listed(others)}"] if others else []


class MissingWords:
    """Counts the contract's own words for missing values while batches of a file are read."""

    def __init__(self, contract: Contract) -> None:
        self._words = {name: contract.columns[name].missing for name in contract.feature_names if contract.columns[name].missing}
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in self._words}

    @property
    def columns(self) -> Sequence[str]:
        """The columns that have words of their own."""
        return tuple(self._words)

    def count(self, name: str, cells: Sequence[str]) -> None:
        """Count the cells of a column; only words are kept, so that a column of many values takes no memory."""
        words = self._words[name]
        self._counts[name].update(text for cell in cells if (text := cell.strip()) in words)

    def sentences(self) -> list[str]:
        """Return a sentence for each column in which there were any."""
        return [sentence for name, words in self._words.items() for sentence in missing_words(name, words, self._counts[name])]
