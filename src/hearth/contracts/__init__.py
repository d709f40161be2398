"""The contract of a data set: the one description from which everything typed is derived.

`frames` (pandera, for the ETL) and `records` (pydantic, for everything that serves) are imported by those who need them.
"""

from hearth.contracts.column_types import CategoryColumn, Column, DateColumn, IdentifierColumn, IntegerColumn, NumberColumn
from hearth.contracts.loading import list_contracts, load_contract
from hearth.contracts.model import Contract

__all__ = [
    "CategoryColumn",
    "Column",
    "Contract",
    "DateColumn",
    "IdentifierColumn",
    "IntegerColumn",
    "NumberColumn",
    "list_contracts",
    "load_contract",
]
