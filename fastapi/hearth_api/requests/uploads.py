"""Uploaded files: the body of a request, or the part `file` of a form.

A file is kept on disk until the response is complete: tables are read twice, Parquet from its end, and most clients read no response before
their request is sent, so that a response to a part of it would leave both sides waiting. It lies in the system's folder for temporary
files; `TMPDIR` names another.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, contextmanager
from tempfile import SpooledTemporaryFile
from typing import BinaryIO

from anyio import to_thread
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from hearth.errors import ErrorKind, HearthError, TooBusy
from hearth_api.errors import InvalidBody

_PART = "file"
_MAX_IN_MEMORY = 1_000_000
_WRITE_BYTES = 1_000_000


class FileTooLarge(HearthError):
    """A file has more bytes than the limit."""

    code = "file_too_large"
    kind = ErrorKind.TOO_LARGE

    def __init__(self, limit: int) -> None:
        super().__init__(f"The file has more than {limit} bytes: send it in parts.")


class FileSlots:
    """Bounds the number of files that are on disk at once. Belongs to one event loop."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Hold a slot.

        Raises:
            TooBusy: if none is free.
        """
        if self._used >= self._limit:
            raise TooBusy(f"{self._limit} files are being scored, which is the limit: try again when one is complete.")
        self._used += 1
        try:
            yield
        finally:
            self._used -= 1


async def receive_file(request: Request, limit: int, seconds: float, stack: ExitStack) -> BinaryIO:
    """Return the file of a request; the stack closes it.

    Raises:
        FileTooLarge: if it has more bytes than the limit.
        InvalidBody: if a form has no part `file` or another part, or if nothing arrives for that many seconds.
    """
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdecimal() and (len(length) > len(str(limit)) + 6 or int(length) > limit + _MAX_IN_MEMORY):
        raise FileTooLarge(limit)
    chunks = _chunks(request, limit, seconds)
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return await _from_form(request, chunks, stack)
    return await _from_body(chunks, stack)


async def _from_body(chunks: AsyncGenerator[bytes, None], stack: ExitStack) -> BinaryIO:
    file: BinaryIO = stack.enter_context(SpooledTemporaryFile(max_size=_MAX_IN_MEMORY))  # type: ignore[assignment]  # noqa: SIM115 - the stack closes it
    buffer = bytearray()
    async for chunk in chunks:
        buffer += chunk
        if len(buffer) >= _WRITE_BYTES:
            await to_thread.run_sync(file.write, bytes(buffer))
            buffer.clear()
    await to_thread.run_sync(file.write, bytes(buffer))
    return file


async def _from_form(request: Request, chunks: AsyncGenerator[bytes, None], stack: ExitStack) -> BinaryIO:
    expected = f'a form with one part "{_PART}" that holds the file, as `curl -F {_PART}=@name` sends it'
    try:
        form = await MultiPartParser(request.headers, chunks, max_files=1, max_fields=10).parse()
    except MultiPartException as error:
        raise InvalidBody(f"The form cannot be read: {error.message} Expected {expected}.") from error
    for part in form.values():
        if isinstance(part, UploadFile):
            stack.callback(part.file.close)
    if unknown := sorted(set(form) - {_PART}):
        raise InvalidBody(
            f"The form has unknown parts: {', '.join(map(repr, unknown))}. Expected {expected}; parameters go into the query."
        )
    upload = form.get(_PART)
    if not isinstance(upload, UploadFile):
        raise InvalidBody(f"The form has no file {_PART!r}. Expected {expected}.")
    return upload.file


async def _chunks(request: Request, limit: int, seconds: float) -> AsyncGenerator[bytes, None]:
    """Yield the body as it arrives, up to the limit."""
    size = 0
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(seconds):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise InvalidBody(f"No byte of the file arrived for {seconds:g} s.") from None
        except ClientDisconnect:
            raise InvalidBody("The upload was cut off.") from None
        if chunk is None:
            return
        size += len(chunk)
        if size > limit:
            raise FileTooLarge(limit)
        yield chunk
