"""The aliases that versions of a data set's registered model can carry: its families, and four roles."""

from hearth.contracts.model import Contract

CHAMPION = "champion"  # the best of all families
CHALLENGER = "challenger"  # a candidate in shadow
CANARY = "canary"  # a candidate that answers a share of the champion's requests
PREVIOUS = "previous"  # the champion before


def aliases(contract: Contract) -> tuple[str, ...]:
    """Return every alias that the data set can have; whether a version carries it is for the registry to say."""
    return (*contract.families, CHAMPION, CHALLENGER, CANARY, PREVIOUS)
