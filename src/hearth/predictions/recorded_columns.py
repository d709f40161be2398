"""The columns of a record that are stored with its prediction."""

from collections.abc import Mapping

from hearth.contracts import Column, Contract


def recorded_columns(contract: Contract) -> Mapping[str, Column]:
    """Return the features of a contract that are stored: those that are not personal, and those whose hash is stored (`personal_hash`).

    Columns that it drops and the target are not stored either.
    """
    return {name: column for name, column in contract.feature_columns.items() if column.personal is not True}
