"""Records as GraphQL types, derived from the contracts."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import new_class
from typing import Any

import strawberry

from hearth.contracts import CategoryColumn, Contract, IntegerColumn, NumberColumn
from hearth.contracts.column_types import Column
from hearth.contracts.names import graphql_names, type_name
from hearth.fakes.typical import typical_record
from hearth_api.graphql_schema.errors import InvalidQuery


@dataclass(frozen=True)
class RecordInputs:
    """`type_` is the input type `Records`, which holds records of exactly one data set."""

    type_: type
    contracts: Mapping[str, Contract]

    def read(self, records: object, max_records: int) -> tuple[Contract, list[object]]:
        """Return the contract of the records, and the records, of which only the types are checked.

        Raises:
            InvalidQuery: if there are no records, or too many.
        """
        name, rows = next((name, rows) for name in self.contracts if isinstance(rows := getattr(records, _attribute(name)), list))
        if not rows:
            raise InvalidQuery(f"{name!r} must be a list of at least one record.")
        if len(rows) > max_records:
            raise InvalidQuery(
                f"{name!r} has {len(rows)} records, more than the {max_records} that one query may have: send several queries."
            )
        contract = self.contracts[name]
        names = graphql_names(contract.columns)
        attributes = {column: _attribute(names[column]) for column in contract.feature_columns}
        return contract, [{column: getattr(row, attribute) for column, attribute in attributes.items()} for row in rows]


def record_inputs(contracts: Mapping[str, Contract]) -> RecordInputs:
    """Make a type for the records of each data set, and `Records`, which takes a list of one of them."""
    annotations: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    for name, contract in contracts.items():
        attribute = _attribute(name)
        annotations[attribute] = list[_record_input(contract)] | None  # type: ignore[misc]  # the type is made here
        fields[attribute] = strawberry.field(default=strawberry.UNSET, name=name, description=contract.title)
    return RecordInputs(_input("Records", annotations, fields, "Records of exactly one data set.", one_of=True), dict(contracts))


def _record_input(contract: Contract) -> type:
    annotations: dict[str, Any] = {}
    fields: dict[str, Any] = {}
    names = graphql_names(contract.columns)
    columns = sorted(contract.feature_columns.items(), key=lambda item: item[1].nullable)  # optional fields come last in Python
    for column_name, column in columns:
        name, attribute = names[column_name], _attribute(names[column_name])
        description = f"{column_name}: {column.description} ({column.expected})"
        if column.nullable:
            annotations[attribute] = _scalar(column) | None
            fields[attribute] = strawberry.field(default=None, name=name, description=description)
        else:
            annotations[attribute] = _scalar(column)
            fields[attribute] = strawberry.field(name=name, description=description)
    example = ", ".join(f"{column} {value!r}" for column, value in typical_record(contract).items())
    return _input(f"{type_name(contract.name)}Record", annotations, fields, f"{contract.title} For example: {example}.")


def _input(name: str, annotations: dict[str, Any], fields: dict[str, Any], description: str, *, one_of: bool = False) -> type:
    type_ = new_class(name, (), {}, lambda namespace: namespace.update({"__annotations__": annotations, **fields}))
    return strawberry.input(type_, one_of=one_of, description=description)


def _attribute(name: str) -> str:
    """Return the Python attribute of a field, which may have a name such as `class` that Python does not allow."""
    return f"{name}_"


def _scalar(column: Column) -> type:
    if isinstance(column, IntegerColumn) or (isinstance(column, CategoryColumn) and column.holds_numbers):
        return int
    return float if isinstance(column, NumberColumn) else str
