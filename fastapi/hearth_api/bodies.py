"""Reading a request for predictions: lenient about nothing, but precise about what is wrong."""

from collections.abc import Sequence

from fastapi import Request
from pydantic_core import from_json

from hearth.contracts import Contract
from hearth_api.errors import BodyTooLarge, InvalidBody


async def read_body(request: Request, limit: int) -> bytes:
    """Return the body, reading no more than the limit; what the header announces is believed if it is too much.

    Raises:
        BodyTooLarge: it has more bytes than the limit.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise BodyTooLarge(limit)
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > limit:
            raise BodyTooLarge(limit)
    return bytes(content)


def parse_records(content: bytes, contract: Contract, max_records: int) -> Sequence[object]:
    """Return the records of a body `{"data": [...]}`, unchecked.

    Raises:
        InvalidBody: it is not JSON, not of that form, empty, or has too many records.
    """
    body = _parse(content)
    if not isinstance(body, dict) or "data" not in body:
        raise InvalidBody('The body must be a JSON object with the key "data": {"data": [{…}, …]}.')
    if unknown := body.keys() - {"data"}:
        raise InvalidBody(f'The body has unknown keys: {", ".join(map(repr, sorted(unknown)))}; expected only "data".')
    records = body["data"]
    if not isinstance(records, list) or not records:
        raise InvalidBody(f'"data" must be a list of at least one record of {contract.name!r}, each an object with its columns.')
    if len(records) > max_records:
        raise InvalidBody(f'"data" has {len(records)} records, more than the {max_records} that one request may have: send several.')
    return records


def _parse(content: bytes) -> object:
    """Parse JSON; NaN and Infinity, which Python writes and JSON does not know, come as floats, so that the record can be named."""
    try:
        return from_json(content, allow_inf_nan=True)
    except ValueError as error:
        raise InvalidBody(f"The body is not JSON: {error}.") from error
