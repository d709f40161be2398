"""The columns of a record that are stored with its prediction."""

from collections.abc import Mapping

from hearth.contracts import Column, Contract


def recorded_columns(contract: Contract) -> Mapping[str, Column]:
    """Return the features of a contract. Columns that it drops, which may be personal, and the target are not stored."""
    return contract.feature_columns
