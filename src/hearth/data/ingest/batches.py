"""Batches: from what a source answers to rows that a table takes. Pure."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from hearth.contracts import Contract, DateColumn, IntegerColumn, NumberColumn
from hearth.contracts.strict_json import InvalidJson, parse_json
from hearth.data import csv_validation
from hearth.errors import InvalidBatch

Texts = tuple[str, ...]
Value = str | int | float | date | None

_REASONS_SHOWN = 3
_LONGEST_SHOWN = 200
_TEXTS = TypeAdapter(list[str])


@dataclass(frozen=True)
class Batch:
    """One batch of a group: rows as texts, values in contract order, "" where one is missing.

    `generated` is what the source says about its rows: that a program made them up.
    """

    group: int
    number: int
    rows: tuple[Texts, ...]
    generated: bool = False

    @cached_property
    def digest(self) -> str:
        """A hash of the rows."""
        return hashlib.sha256(json.dumps(self.rows, ensure_ascii=False).encode()).hexdigest()

    def __str__(self) -> str:
        return f"batch {self.number} of group {self.group}"


@dataclass(frozen=True)
class Row:
    """A row for the table: a cell for each column of the contract, all None if it breaks the contract; then `raw` is the row as it came."""

    cells: tuple[Value, ...]
    raw: str | None


class _Answer(BaseModel):
    model_config = ConfigDict(strict=True)

    group_number: int
    batch_number: int = Field(ge=0, lt=2**31)
    generated: bool = False
    data: list[list[JsonValue] | dict[str, JsonValue]] = Field(min_length=1)


def parse_batch(contract: Contract, content: bytes, source: str) -> Batch:
    """Read an answer; `source` is what errors call it.

    A row may be a list, with a value for each column of the contract in its order, or an object with exactly the contract's columns.

    Raises:
        InvalidBatch: the answer is no JSON of that form; the message says where.
    """
    beginning = content[:_LONGEST_SHOWN].decode("utf-8", "replace")
    try:
        answer = _Answer.model_validate(parse_json(content))
    except InvalidJson as error:
        raise InvalidBatch(f"{source} is no batch: the answer {error}. It begins with: {beginning!r}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InvalidBatch(f"{source} is no batch: {where or 'the answer'}: {first['msg']}. It begins with: {beginning!r}") from error
    names = list(contract.columns)
    rows = tuple(_texts(row, names, f"{source}, row {number}") for number, row in enumerate(answer.data))
    return Batch(answer.group_number, answer.batch_number, rows, answer.generated)


def typed_rows(contract: Contract, batch: Batch) -> list[Row]:
    """Give the values of a batch the types of the contract. Rows that break the contract stay as they came: the ETL judges them.

    Raises:
        InvalidBatch: more of the rows break the contract than it tolerates (cleaning.max_rejected_share).
    """
    raw = csv_validation.RawTable.of(contract, batch.rows)
    validated = csv_validation.validate(contract, raw)
    rejected = set(validated.rejected.iloc[:, 0])
    if len(rejected) > contract.cleaning.max_rejected_share * len(raw):
        pairs = zip(validated.rejected.iloc[:, 0], validated.rejected.iloc[:, 1], strict=True)
        reasons = "; ".join(f"row {line}: {reason}" for line, reason in list(pairs)[:_REASONS_SHOWN])
        raise InvalidBatch(
            f"{batch}: {len(rejected)} of {len(raw)} rows break the contract, which tolerates {contract.cleaning.max_rejected_share:.1%} "
            f"(cleaning.max_rejected_share). Has the source other columns, or another order of them? The first: {reasons}"
        )
    typed = iter(_typed(contract, validated.accepted))
    nothing: tuple[Value, ...] = (None,) * len(contract.columns)
    return [
        Row(nothing, json.dumps(texts, ensure_ascii=False)) if number in rejected else Row(next(typed), None)
        for number, texts in enumerate(batch.rows)
    ]


def texts_of(row: Row) -> list[str]:
    """Return a row of the table as the texts of a CSV file; the inverse of `typed_rows`, up to how numbers are written."""
    if row.raw is not None:
        return _TEXTS.validate_json(row.raw)
    return ["" if value is None else str(value) for value in row.cells]


def _typed(contract: Contract, accepted: pd.DataFrame) -> list[tuple[Value, ...]]:
    columns: list[list[Value]] = []
    for name, column in contract.columns.items():
        missing = accepted[name].isna().tolist()
        values = accepted[name].dt.date.tolist() if isinstance(column, DateColumn) else accepted[name].tolist()
        if isinstance(column, IntegerColumn):
            values = [None if absent else int(value) for value, absent in zip(values, missing, strict=True)]
        elif isinstance(column, NumberColumn):
            values = [None if absent else float(value) for value, absent in zip(values, missing, strict=True)]
        else:
            values = [None if absent else value for value, absent in zip(values, missing, strict=True)]
        columns.append(values)
    return list(zip(*columns, strict=True))


def _texts(row: Sequence[JsonValue] | Mapping[str, JsonValue], names: Sequence[str], where: str) -> Texts:
    if isinstance(row, Mapping):
        absent, unknown = [name for name in names if name not in row], [name for name in row if name not in names]
        if absent or unknown:
            parts = [f"columns are missing: {_listed(absent)}"] if absent else []
            parts += [f"columns are not in the contract: {_listed(unknown)}"] if unknown else []
            raise InvalidBatch(f"{where}: {'; '.join(parts)}.")
        values = [row[name] for name in names]
    elif len(row) != len(names):
        raise InvalidBatch(f"{where}: {len(row)} values, expected {len(names)}: {_listed(names)}.")
    else:
        values = list(row)
    texts = tuple(_text(value) for value in values)
    for name, text in zip(names, texts, strict=True):
        if "\0" in text or any("\ud800" <= sign <= "\udfff" for sign in text):
            raise InvalidBatch(f"{where}, {name}: {text[:_LONGEST_SHOWN]!r} holds a character that is no text.")
    return texts


def _text(value: JsonValue) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(repr(name[:_LONGEST_SHOWN]) for name in names)
