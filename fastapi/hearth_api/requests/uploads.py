"""Files that come as the body of a request, or as the part `file` of a form.

A file is kept on disk until it is answered: tables are read twice, Parquet from its end, and most clients read no answer before all of
their request is sent, so that answering a file while it still comes would leave both sides waiting for each other. The folder is the
system's for temporary files; `TMPDIR` names another.
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
_IN_MEMORY = 1_000_000
_WRITTEN_AT_ONCE = 1_000_000


class FileTooLarge(HearthError):
    """A file has more bytes than are taken."""

    code = "file_too_large"
    kind = ErrorKind.TOO_LARGE

    def __init__(self, limit: int) -> None:
        super().__init__(f"The file has more than {limit} bytes: send it in parts.")


class FilePlaces:
    """How many files may be on disk at once. For one event loop."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0

    @contextmanager
    def place(self) -> Iterator[None]:
        """Take a place.

        Raises:
            TooBusy: there is none.
        """
        if self._taken >= self._limit:
            raise TooBusy(f"{self._limit} files are being scored already, and no more are taken at once: try again when one is done.")
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1


async def receive_file(request: Request, limit: int, seconds: float, stack: ExitStack) -> BinaryIO:
    """Return the file that a request brings; the stack closes it.

    Raises:
        FileTooLarge: it has more bytes than the limit.
        InvalidBody: a form has no part `file`, or nothing came for so many seconds.
    """
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdecimal() and (len(announced) > len(str(limit)) + 6 or int(announced) > limit + _IN_MEMORY):
        raise FileTooLarge(limit)
    chunks = _chunks(request, limit, seconds)
    if request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return await _from_form(request, chunks, stack)
    return await _from_body(chunks, stack)


async def _from_body(chunks: AsyncGenerator[bytes, None], stack: ExitStack) -> BinaryIO:
    file: BinaryIO = stack.enter_context(SpooledTemporaryFile(max_size=_IN_MEMORY))  # type: ignore[assignment]  # noqa: SIM115 - the stack closes it
    waiting = bytearray()
    async for chunk in chunks:
        waiting += chunk
        if len(waiting) >= _WRITTEN_AT_ONCE:
            await to_thread.run_sync(file.write, bytes(waiting))
            waiting.clear()
    await to_thread.run_sync(file.write, bytes(waiting))
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
    found = form.get(_PART)
    if not isinstance(found, UploadFile):
        raise InvalidBody(f"The form has no file {_PART!r}. Expected {expected}.")
    return found.file


async def _chunks(request: Request, limit: int, seconds: float) -> AsyncGenerator[bytes, None]:
    """Give the body as it comes, no more of it than the limit."""
    size = 0
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(seconds):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise InvalidBody(f"Nothing of the file came for {seconds:g} s.") from None
        except ClientDisconnect:
            raise InvalidBody("The file broke off.") from None
        if chunk is None:
            return
        size += len(chunk)
        if size > limit:
            raise FileTooLarge(limit)
        yield chunk
