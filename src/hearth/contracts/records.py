"""The record of a data set: one raw row as a user knows it, checked by a pydantic model that is derived from the contract.

A record holds every feature. The columns that the contract drops, and the target, may come along, so that a row of the raw file can be
sent as it is; they are checked and then left out.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictFloat,
    StrictStr,
    ValidationError,
    WithJsonSchema,
    create_model,
)

from hearth.contracts.column_types import CategoryColumn, Column, DateColumn, IdentifierColumn, IntegerColumn, field_name
from hearth.contracts.model import Contract
from hearth.errors import InvalidRecords, Problem

Record = Mapping[str, object]
ISO_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@lru_cache(maxsize=64)
def _model(name: str, columns: tuple[tuple[str, Column, bool], ...]) -> type[BaseModel]:
    fields: dict[str, Any] = {}
    for column_name, column, required in columns:
        type_ = _annotation(column)
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
    return create_model(name, __config__=ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False), **fields)


def record_model(contract: Contract) -> type[BaseModel]:
    """Derive the pydantic model of one record; fields are found by their column name."""
    features = contract.feature_columns
    columns = tuple((name, column, name in features) for name, column in contract.columns.items())
    title = "".join(part.capitalize() for part in contract.name.split("_"))
    return _model(f"{title}Record", columns)


def split_records(contract: Contract, records: Sequence[object]) -> tuple[dict[int, dict[str, object]], list[Problem]]:
    """Check records one by one, so that a bad one costs none beside it.

    Returns:
        The features of each good record, by its row number, and one problem for each thing that is wrong with the others.
    """
    model = record_model(contract)
    names = contract.feature_names
    good: dict[int, dict[str, object]] = {}
    problems: list[Problem] = []
    for row, record in enumerate(records):
        try:
            checked = model.model_validate(record).model_dump(by_alias=True)
        except ValidationError as error:
            problems.extend(_problems(contract, row, record, error))
        else:
            good[row] = {name: checked[name] for name in names}
    return good, problems


def check_records(contract: Contract, records: Sequence[object]) -> list[dict[str, object]]:
    """Return the features of each record, in contract order.

    Raises:
        InvalidRecords: with all that is wrong, if anything is.
    """
    good, problems = split_records(contract, records)
    if problems:
        raise InvalidRecords(problems)
    return list(good.values())


def _annotation(column: Column) -> Any:  # noqa: ANN401 - a typing construct has no better type
    if isinstance(column, IdentifierColumn):
        return Annotated[StrictStr, Field(min_length=1)]
    if isinstance(column, DateColumn):
        bounds: dict[str, Any] = {"ge": column.minimum, "le": column.maximum}
        given = {name: bound for name, bound in bounds.items() if bound is not None}
        return Annotated[date, BeforeValidator(_iso_date), Field(**given)]
    if isinstance(column, CategoryColumn):
        return Annotated[Literal[column.categories], BeforeValidator(_no_boolean)]
    bounded = Annotated[StrictFloat, Field(ge=column.minimum, le=column.maximum)]
    if isinstance(column, IntegerColumn):
        schema = {"type": "integer", "minimum": int(column.minimum), "maximum": int(column.maximum)}
        return Annotated[bounded, AfterValidator(_whole), WithJsonSchema(schema)]
    return bounded


def _iso_date(value: object) -> object:
    if isinstance(value, date):
        return value
    if isinstance(value, str) and ISO_DAY.fullmatch(value):
        return value
    raise ValueError("not a date")


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):  # which Python takes for 0 or 1
        raise ValueError("not a category")  # noqa: TRY004 - pydantic wants it
    return value


def _whole(value: float) -> float:
    if not value.is_integer():
        raise ValueError("not a whole number")
    return value


def _problems(contract: Contract, row: int, record: object, error: ValidationError) -> list[Problem]:
    if not isinstance(record, Mapping):
        return [Problem(row, "", record, f"an object with the columns of {contract.name!r}")]
    found: dict[str, Problem] = {}
    for detail in error.errors(include_url=False, include_context=False):
        name = str(detail["loc"][0])
        if name not in contract.columns:
            found[name] = Problem(row, name, record.get(name), f"no such column; {contract.name!r} has: {', '.join(contract.columns)}")
        else:
            column = contract.columns[name]
            expected = column.expected + (" or null" if column.nullable else "")
            missing = detail["type"] == "missing"
            found[name] = Problem(row, name, None if missing else record.get(name), f"{expected}{'; it is missing' if missing else ''}")
    return list(found.values())
