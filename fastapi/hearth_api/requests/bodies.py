"""Reading a request for predictions: lenient about nothing, but precise about what is wrong.

Two forms are read. `{"data": [{…}, …]}` holds records. `{"features": [v1, v2, …]}` holds the values of one record in contract order, or, as
a list of lists, of several. `columns` beside either names and orders the values of lists, and chooses among the columns of records.
"""

import asyncio
from collections.abc import Mapping, Sequence

from fastapi import Request
from pydantic_core import from_json
from starlette.types import Receive, Scope

from hearth.contracts import Contract
from hearth.errors import InvalidRecords, Problem
from hearth_api.errors import BodyTooLarge, BodyTooSlow, InvalidBody

_KEYS = {"data", "features", "columns"}
_MOST_DIGITS = 15  # Python refuses to read numbers of thousands


async def read_body(request: Request, limit: int, seconds: float = 30) -> bytes:
    """Return the body of a request; see `receive_body`."""
    return await receive_body(request.scope, request.receive, limit, seconds)


async def receive_body(scope: Scope, receive: Receive, limit: int, seconds: float) -> bytes:
    """Return the body, reading no more than the limit; what the header announces is believed if it is too much.

    Raises:
        BodyTooLarge: it has more bytes than the limit.
        BodyTooSlow: it was not there after so many seconds.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and (len(value) > _MOST_DIGITS or int(value) > limit):
            raise BodyTooLarge(limit)
    try:
        async with asyncio.timeout(seconds):
            message = await receive()
            content: bytes = message.get("body", b"")
            if message.get("more_body", False):
                parts = bytearray(content)
                while message.get("more_body", False) and len(parts) <= limit:
                    message = await receive()
                    parts += message.get("body", b"")
                content = bytes(parts)
    except TimeoutError:
        raise BodyTooSlow(seconds) from None
    if len(content) > limit:
        raise BodyTooLarge(limit)
    return content


def parse_records(content: bytes, contract: Contract, max_records: int) -> Sequence[object]:
    """Return the records of a body, unchecked; those that came as lists of values as objects.

    Raises:
        InvalidBody: it is not JSON, not of a form that is read, empty, or has too many records.
        InvalidRecords: lists of values do not have a value for each column.
    """
    body = _parse(content)
    if not isinstance(body, dict) or ("data" in body) is ("features" in body):
        raise InvalidBody('The body must be a JSON object with the key "data": {"data": [{…}, …]}, or "features": {"features": [v1, …]}.')
    if unknown := body.keys() - _KEYS:
        raise InvalidBody(
            f'The body has unknown keys: {", ".join(map(repr, sorted(unknown)))}; expected only "data" or "features", and "columns".'
        )
    columns = _columns(body["columns"], contract) if "columns" in body else None
    key = "data" if "data" in body else "features"
    records = _records(body["data"], contract) if key == "data" else _rows(body["features"], contract)
    if len(records) > max_records:
        raise InvalidBody(f'"{key}" has {len(records)} records, more than the {max_records} that one request may have: send several.')
    if columns is None and not any(type(record) is list for record in records):
        return records
    return _named(records, columns or contract.feature_names, select=columns is not None)


def _records(values: object, contract: Contract) -> list[object]:
    if not isinstance(values, list) or not values:
        raise InvalidBody(f'"data" must be a list of at least one record of {contract.name!r}, each an object with its columns.')
    return values


def _rows(values: object, contract: Contract) -> list[object]:
    """Return what stands under `features` as a list of lists of values."""
    names = ", ".join(contract.feature_names)
    if not isinstance(values, list) or not values:
        raise InvalidBody(f'"features" must be a list of values ({names}), or a list of such lists.')
    if not any(isinstance(value, list) for value in values):
        return [values]
    if not all(isinstance(value, list) for value in values):
        raise InvalidBody(f'"features" must be a list of values ({names}), or a list of such lists, not a mixture.')
    return values


def _columns(given: object, contract: Contract) -> tuple[str, ...]:
    if not isinstance(given, list) or not given or not all(isinstance(name, str) for name in given):
        raise InvalidBody('"columns" must be a list of names of columns.')
    if unknown := [name for name in given if name not in contract.columns]:
        names = ", ".join(map(repr, unknown[:3]))
        raise InvalidBody(f'"columns" names {names}, which {contract.name!r} does not have; it has: {", ".join(contract.columns)}.')
    if len(set(given)) != len(given):
        raise InvalidBody('"columns" names a column twice.')
    return tuple(given)


def _named(records: Sequence[object], names: Sequence[str], *, select: bool) -> list[object]:
    """Return records of which those that are lists are objects with these names, and of the others, if asked, only these columns."""
    named: list[object] = []
    problems: list[Problem] = []
    for row, record in enumerate(records):
        if type(record) is list:
            if len(record) != len(names):
                problems.append(Problem(row, "", record, f"{len(names)} values: {', '.join(names)}"))
            named.append(dict(zip(names, record, strict=False)))
        elif select and isinstance(record, Mapping):
            named.append({name: record[name] for name in names if name in record})
        else:
            named.append(record)
    if problems:
        raise InvalidRecords(problems)
    return named


def _parse(content: bytes) -> object:
    """Parse JSON; NaN and Infinity, which Python writes and JSON does not know, come as floats, so that the record can be named."""
    try:
        return from_json(content, allow_inf_nan=True)
    except ValueError as error:
        raise InvalidBody(f"The body is not JSON: {error}.") from error
