"""The record of a data set: one raw row as a user knows it, checked value by value.

A record holds every feature. The columns that the contract drops, and the target, may come along, so that a row of the raw file can be
sent as it is; they are checked and then left out.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, create_model

from hearth.contracts.column_types import HIDDEN, CategoryColumn, Column, DateColumn, IdentifierColumn, IntegerColumn, NumberColumn
from hearth.contracts.model import Contract
from hearth.contracts.names import field_name, type_name
from hearth.contracts.rules import InvalidValue, Rule, rule_of, rules_of
from hearth.errors import InvalidRecords, Problem

Record = Mapping[str, object]
MAX_PROBLEMS = 100


@lru_cache(maxsize=64)
def _model(name: str, columns: tuple[tuple[str, Column, bool], ...]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for column_name, column, required in columns:
        type_: Any = Annotated[Any, PlainValidator(_Check(rule_of(column))), WithJsonSchema(_json_schema(column))]
        default: Any = ...
        if column.nullable or not required:
            type_, default = type_ | None, None
        field = Field(
            default,
            alias=column_name,
            title=column_name,
            description=f"{column.description} ({column.expected})",
        )
        fields[field_name(column_name)] = (type_, field)
    return create_model(name, __config__=ConfigDict(extra="forbid", frozen=True), **fields)


def record_model(contract: Contract) -> type[BaseModel]:
    """Derive the pydantic model of one record; fields are found by their column name."""
    features = contract.feature_columns
    columns = tuple((name, column, name in features) for name, column in contract.columns.items())
    return _model(f"{type_name(contract.name)}Record", columns)


@dataclass(frozen=True)
class CheckedRecords:
    """Records that were checked one by one.

    Attributes:
        good: the features of each good record, by its row.
        problems: the first ones, in the order of the records; at most as many as were to be kept.
        count: the number of all problems.
    """

    good: dict[int, dict[str, object]]
    problems: Sequence[Problem]
    count: int


def split_records(contract: Contract, records: Sequence[object], max_problems: int = MAX_PROBLEMS) -> CheckedRecords:
    """Check records one by one, so that a bad one does not affect the others.

    There is one problem for each bad value, missing or unknown column of the others; those after the first `max_problems` are only counted.
    """
    rules, names, personal = rules_of(contract), contract.feature_names, contract.personal_columns
    unknown = f"no such column; {contract.name!r} has: {', '.join(contract.columns)}"
    good: dict[int, dict[str, object]] = {}
    problems: list[Problem] = []
    count = 0
    for row, record in enumerate(records):
        if not isinstance(record, Mapping):
            count += 1
            if len(problems) < max_problems:
                problems.append(Problem(row, "", HIDDEN if personal else record, f"an object with the columns of {contract.name!r}"))
        elif wrong := _count_mistakes(rules, record, names):
            count += wrong
            for name in islice(_mistakes(rules, record, names), max_problems - len(problems)):
                expected = _expected(contract.columns[name], record, name) if name in rules else unknown
                # A column that the contract does not have may be a personal one under another name
                is_hidden = name in personal or (personal and name not in rules)
                problems.append(Problem(row, str(name), HIDDEN if is_hidden else record.get(name), expected))
        else:
            good[row] = {name: record.get(name) for name in names}
    return CheckedRecords(good, problems, count)


def check_records(contract: Contract, records: Sequence[object], max_problems: int = MAX_PROBLEMS) -> list[dict[str, object]]:
    """Return the features of each record, in contract order.

    Raises:
        InvalidRecords: with the first `max_problems` problems and the number of all, if anything is wrong.
    """
    checked = split_records(contract, records, max_problems)
    if checked.count:
        raise InvalidRecords(checked.problems, checked.count)
    return list(checked.good.values())


def _mistakes(rules: Mapping[str, Rule], record: Record, required: Collection[str]) -> Iterator[str]:
    """Yield the columns of a record that are wrong, then its keys that are no columns."""
    for name, rule in rules.items():
        value = record.get(name)
        if value is not None or name in required:
            try:
                rule.value(value)
            except InvalidValue:
                yield name
    yield from (name for name in record if name not in rules)


def _count_mistakes(rules: Mapping[str, Rule], record: Record, required: Collection[str]) -> int:
    return sum(1 for _ in _mistakes(rules, record, required))


def _expected(column: Column, record: Record, name: str) -> str:
    """Return what a value must be, and what it is where its kind is the mistake, which its text alone does not show."""
    value = record.get(name)
    hint = ""
    if name not in record:
        hint = "; it is missing"
    elif isinstance(value, bool):
        hint = "; it is a boolean"
    elif isinstance(value, str) and _holds_numbers(column):
        hint = "; it is a text, not a number"
    elif isinstance(value, int | float) and not _holds_numbers(column):
        hint = "; it is a number, not a text"
    return f"{column.expected}{' or null' if column.nullable else ''}{hint}"


def _holds_numbers(column: Column) -> bool:
    return column.holds_numbers if isinstance(column, CategoryColumn) else isinstance(column, IntegerColumn | NumberColumn)


class _Check:
    """Passes a value that keeps a rule."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule

    def __call__(self, value: object) -> object:
        self._rule.value(value)
        return value


def _json_schema(column: Column) -> dict[str, Any]:
    if isinstance(column, IdentifierColumn):
        return {"type": "string", "minLength": 1}
    if isinstance(column, DateColumn):
        return {"type": "string", "format": "date"}
    if isinstance(column, CategoryColumn):
        return {"type": "integer" if column.holds_numbers else "string", "enum": list(column.categories)}
    if isinstance(column, IntegerColumn):
        return {"type": "integer", "minimum": int(column.minimum), "maximum": int(column.maximum)}
    return {"type": "number", "minimum": column.minimum, "maximum": column.maximum}
