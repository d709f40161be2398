"""Requests of MLflow's scoring protocol: a JSON object that holds a table in one of four forms, or a CSV file."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hearth.contracts import Contract
from hearth.contracts.aliases import CHAMPION
from hearth.contracts.rules import rules_of
from hearth.serving.include import NOTHING, Include, parse_include
from hearth.serving.text_values import text_value
from hearth_api.errors import InvalidBody
from hearth_api.requests.bodies import parse_body_json

PREDICT, PREDICT_PROBA = "predict", "predict_proba"

_PARAMS = "params"
_PARAM_NAMES = ("dataset", "model", "method", "include")
_SPLIT_KEYS = {"columns", "index", "data"}


@dataclass(frozen=True)
class Invocation:
    """A request that was read but not checked: its records, and the model, method and parts of the answer that `params` name."""

    contract: Contract
    alias: str
    method: str
    records: Sequence[object]
    include: Include = NOTHING


def parse_invocation(content: bytes, content_type: str, contract_of: Callable[[str | None], Contract], max_records: int) -> Invocation:
    """Read a body; `contract_of` returns the contract of a data set, of the default one for None.

    Raises:
        InvalidBody: it is not of a form that is read, or has no records or more than the limit.
        InvalidInclude: it asks to include what no answer has.
    """
    media_type, _, charset = (part.strip().lower() for part in content_type.partition(";"))
    if charset not in {"", "charset=utf-8"}:
        raise InvalidBody(f"The content type has {charset!r}; only charset=utf-8 is read.")
    if media_type == "text/csv":
        contract = contract_of(None)
        return Invocation(contract, CHAMPION, PREDICT, _csv_records(content, contract, max_records))
    if media_type != "application/json":
        raise InvalidBody(f"The content type is {media_type!r}; expected application/json or text/csv.")
    body = _parse(content)
    form = _form(body)
    params = _read_params(body.get(_PARAMS))
    contract = contract_of(params.get("dataset"))
    records = _FORMS[form](body[form], contract)
    _require_count(len(records), max_records)
    if b"NaN" in content:
        records = [_without_nan(record) for record in records]
    include = parse_include(params.get("include", ""))
    return Invocation(contract, params.get("model", CHAMPION), params.get("method", PREDICT), records, include)


def _parse(content: bytes) -> Mapping[str, object]:
    body = parse_body_json(content)
    if not isinstance(body, dict):
        raise InvalidBody(f"The body must be a JSON object with one of: {', '.join(_FORMS)}.")
    return body


def _form(body: Mapping[str, object]) -> str:
    """Return the key that holds the table."""
    names = ", ".join(_FORMS)
    if unknown := body.keys() - _FORMS.keys() - {_PARAMS}:
        raise InvalidBody(f"The body has unknown keys: {', '.join(sorted(map(repr, unknown)))}; expected one of: {names}; and {_PARAMS}.")
    forms = [name for name in _FORMS if name in body]
    if len(forms) != 1:
        raise InvalidBody(f"The body must have exactly one of: {names}; it has {', '.join(forms) or 'none'}.")
    return forms[0]


def _read_params(value: object) -> Mapping[str, str]:
    params = {} if value is None else value
    if not isinstance(params, dict):
        raise InvalidBody(f'"{_PARAMS}" must be an object.')
    for name, item in params.items():
        if name not in _PARAM_NAMES:
            raise InvalidBody(f'"{_PARAMS}" has {name!r}, which is not read; expected only: {", ".join(_PARAM_NAMES)}.')
        if not isinstance(item, str):
            raise InvalidBody(f'"{_PARAMS}" has a {name!r} that is not a text.')
    if params.get("method", PREDICT) not in {PREDICT, PREDICT_PROBA}:
        raise InvalidBody(f'"{_PARAMS}" has the method {params["method"]!r}; expected {PREDICT!r} or {PREDICT_PROBA!r}.')
    return params


def _split_records(value: object, contract: Contract) -> list[object]:
    if not isinstance(value, dict) or "data" not in value or value.keys() - _SPLIT_KEYS:
        raise InvalidBody('"dataframe_split" must be an object with "data", and optionally "columns" and "index".')
    rows, columns, index = value["data"], value.get("columns"), value.get("index")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise InvalidBody('"data" of "dataframe_split" must be a list of lists of values.')
    if columns is not None and not (isinstance(columns, list) and all(isinstance(name, str) for name in columns)):
        raise InvalidBody('"columns" of "dataframe_split" must be a list of names.')
    if index is not None and (not isinstance(index, list) or len(index) != len(rows)):
        raise InvalidBody('"index" of "dataframe_split" must be a list with an item for each row.')
    return _named(rows, contract.feature_names if columns is None else columns)


def _object_records(value: object, _: Contract) -> list[object]:
    if not isinstance(value, list) or not all(isinstance(record, dict) for record in value):
        raise InvalidBody('"dataframe_records" must be a list of objects.')
    return value


def _row_records(value: object, contract: Contract) -> list[object]:
    """Return records that are objects, or lists of values in contract order."""
    if isinstance(value, list) and all(isinstance(record, dict) for record in value):
        return value
    if isinstance(value, list) and all(isinstance(record, list) for record in value):
        return _named(value, contract.feature_names)
    raise InvalidBody(f"Rows must be a list of objects, or a list of lists of values ({', '.join(contract.feature_names)}).")


def _input_records(value: object, contract: Contract) -> list[object]:
    """Return records of an object that has a list of values for each column, or of rows."""
    if not isinstance(value, dict):
        return _row_records(value, contract)
    if not value or not all(isinstance(column, list) for column in value.values()):
        raise InvalidBody('"inputs" must be an object with a list of values for each column, or a list of rows.')
    lengths = {name: len(column) for name, column in value.items()}
    if len(set(lengths.values())) > 1:
        raise InvalidBody(
            f'"inputs" has columns of different lengths: {", ".join(f"{name!r} {length}" for name, length in lengths.items())}.'
        )
    return _named([list(row) for row in zip(*value.values(), strict=True)], list(value))


_FORMS: Mapping[str, Callable[[object, Contract], list[object]]] = {
    "dataframe_split": _split_records,
    "dataframe_records": _object_records,
    "instances": _row_records,
    "inputs": _input_records,
}


def _named(rows: Sequence[list[object]], names: Sequence[str]) -> list[object]:
    if len(set(names)) != len(names):
        raise InvalidBody("A column is named twice.")
    for position, row in enumerate(rows):
        if len(row) != len(names):
            raise InvalidBody(f"Row {position} has {len(row)} values; expected {len(names)}: {', '.join(names)}.")
    return [dict(zip(names, row, strict=True)) for row in rows]


def _csv_records(content: bytes, contract: Contract, limit: int) -> list[object]:
    try:
        return _table_records(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True), contract, limit)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidBody(f"The body is not CSV in UTF-8: {error}.") from error


def _table_records(lines: Iterator[list[str]], contract: Contract, limit: int) -> list[object]:
    names = next(lines, [])
    if unknown := [name for name in names if name not in contract.columns]:
        first = ", ".join(map(repr, unknown[:3]))
        raise InvalidBody(f"The first line names {first}, which {contract.name!r} does not have; it has: {', '.join(contract.columns)}.")
    rules = rules_of(contract)
    columns = [(contract.columns[name], rules[name]) for name in names]
    rows: list[list[object]] = []
    for cells in lines:
        if not cells:
            continue
        if len(cells) != len(names):
            raise InvalidBody(f"Row {len(rows)} has {len(cells)} cells, the first line has {len(names)}.")
        rows.append([text_value(column, rule, cell) for (column, rule), cell in zip(columns, cells, strict=True)])
        if len(rows) > limit:
            break
    _require_count(len(rows), limit)
    return _named(rows, names)


def _require_count(records: int, limit: int) -> None:
    if not records:
        raise InvalidBody("The body has no records.")
    if records > limit:
        raise InvalidBody(f"The body has more than {limit} records: send several.")


def _without_nan(record: object) -> object:
    """Return a record in which NaN, as pandas writes a missing value, is null."""
    if not isinstance(record, dict):
        return record
    return {name: None if value != value else value for name, value in record.items()}  # noqa: PLR0124 - NaN
