"""The contract of a data set: the one description from which everything typed is derived.

`rules`, `records` and `record_parser` need numpy, which DAG files must not import: import them where they are used.
"""

from hearth.contracts.column_types import CategoryColumn, Column, DateColumn, IdentifierColumn, IntegerColumn, NumberColumn
from hearth.contracts.loading import list_contracts, load_contract, usable_contracts
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
    "usable_contracts",
]
