"""Bodies of requests for predictions.

A body has one of two forms. `{"data": [{…}, …]}` holds records. `{"features": [v1, v2, …]}` holds the values of one record in contract
order, or, as a list of lists, of several. In both, `columns` names and orders values in lists, and selects among the columns of records.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from anyio import to_thread
from starlette.requests import Request
from starlette.types import Receive, Scope

from hearth.contracts import Contract
from hearth.contracts.records import MAX_PROBLEMS
from hearth.contracts.strict_json import InvalidJson, RepeatedKey, parse_json
from hearth.errors import InvalidRecords, Problem
from hearth_api.errors import BodyTooLarge, BodyTooSlow, InvalidBody
from hearth_api.requests.encodings import UnsupportedEncoding, unzip

_GZIP = (b"gzip", b"x-gzip")
_KEYS = {"data", "features", "columns"}
_MAX_DIGITS = 15  # Python refuses to read numbers of thousands of digits


class Limit(NamedTuple):
    """The bytes that a body may have, and the setting that says so."""

    size: int
    setting: str = "HEARTH_API_MAX_BODY_BYTES"


async def receive_body(scope: Scope, receive: Receive, limit: Limit, seconds: float) -> bytes:
    """Return the body, unzipped if it is gzip. A Content-Length above the limit is refused before anything is read.

    Raises:
        BodyTooLarge: if it has more bytes than the limit, as sent or unzipped.
        BodyTooSlow: if it is not complete after that many seconds.
        InvalidBody: if it is not the gzip that its header says.
        UnsupportedEncoding: if it has another encoding.
    """
    encoding = b""
    for name, value in scope["headers"]:
        if name == b"content-encoding":
            encoding = value.lower()
        if name == b"content-length" and value.isdigit() and (len(value) > _MAX_DIGITS or int(value) > limit.size):
            raise BodyTooLarge(*limit)
    try:
        async with asyncio.timeout(seconds):
            message = await receive()
            content: bytes = message.get("body", b"")
            if message.get("more_body", False):
                parts = bytearray(content)
                while message.get("more_body", False) and len(parts) <= limit.size:
                    message = await receive()
                    parts += message.get("body", b"")
                content = bytes(parts)
    except TimeoutError:
        raise BodyTooSlow(seconds) from None
    if encoding and encoding != b"identity":
        content = await _decoded(content, encoding, limit.size)
    if len(content) > limit.size:
        raise BodyTooLarge(*limit)
    return content


async def _decoded(content: bytes, encoding: bytes, limit: int) -> bytes:
    if encoding not in _GZIP:
        raise UnsupportedEncoding(encoding.decode("latin-1"), "gzip, or none")
    try:
        return await to_thread.run_sync(unzip, content, limit)
    except ValueError as error:
        raise InvalidBody(str(error)) from error


def parse_records(content: bytes, contract: Contract, max_records: int) -> Sequence[object]:
    """Return the records of a body, unchecked; lists of values become objects.

    Raises:
        InvalidBody: if it is not JSON, has another form, is empty, or has too many records.
        InvalidRecords: if a list of values does not have a value for each column.
    """
    body = parse_body_json(content)
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
    """Return `features` as a list of lists of values."""
    names = ", ".join(contract.feature_names)
    if not isinstance(values, list) or not values:
        raise InvalidBody(f'"features" must be a list of values ({names}), or a list of such lists.')
    if not any(isinstance(value, list) for value in values):
        return [values]
    if not all(isinstance(value, list) for value in values):
        raise InvalidBody(f'"features" must be a list of values ({names}), or a list of such lists, not a mixture.')
    return values


def _columns(columns: object, contract: Contract) -> tuple[str, ...]:
    if not isinstance(columns, list) or not columns or not all(isinstance(name, str) for name in columns):
        raise InvalidBody('"columns" must be a list of names of columns.')
    if unknown := [name for name in columns if name not in contract.columns]:
        names = ", ".join(map(repr, unknown[:3]))
        raise InvalidBody(f'"columns" names {names}, which {contract.name!r} does not have; it has: {", ".join(contract.columns)}.')
    if len(set(columns)) != len(columns):
        raise InvalidBody('"columns" names a column twice.')
    return tuple(columns)


def _named(records: Sequence[object], names: Sequence[str], *, select: bool) -> list[object]:
    """Return the records as objects: lists get these names, and with `select` objects keep only these columns."""
    named: list[object] = []
    problems: list[Problem] = []
    wrong = 0
    for row, record in enumerate(records):
        if type(record) is list:
            if len(record) != len(names):
                wrong += 1
                if len(problems) < MAX_PROBLEMS:
                    problems.append(Problem(row, "", record, f"{len(names)} values: {', '.join(names)}"))
            named.append(dict(zip(names, record, strict=False)))
        elif select and isinstance(record, Mapping):
            named.append({name: record[name] for name in names if name in record})
        else:
            named.append(record)
    if problems:
        raise InvalidRecords(problems, wrong)
    return named


def parse_body_json(content: bytes) -> object:
    """Return the value of a body that is JSON, with each key of an object once; raises InvalidBody if it is something else."""
    try:
        return parse_json(content)
    except InvalidJson as error:
        raise InvalidBody(f"The body {error}.") from error


async def refuse_repeated_keys(request: Request) -> None:
    """Refuse a JSON body that has a key twice: a dependency of routes whose body FastAPI reads. What is no JSON is left to FastAPI.

    Raises:
        InvalidBody: naming the key.
    """
    try:
        parse_json(await request.body())
    except RepeatedKey as error:
        raise InvalidBody(f"The body {error}.") from error
    except InvalidJson:
        return
