"""Uploaded files: the body of a request, or the part `file` of a form.

A file is kept on disk until the response is complete: tables are read twice, Parquet from its end, and most clients read no response before
their request is sent, so that a response to a part of it would leave both sides waiting. It lies in the system's folder for temporary
files; `TMPDIR` names another.
"""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import BinaryIO

from anyio import CancelScope, to_thread
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from hearth.errors import ErrorKind, HearthError, TooBusy
from hearth_api.errors import InvalidBody
from hearth_api.requests.encodings import UnsupportedEncoding

_PART = "file"
_MAX_IN_MEMORY = 1_000_000
_WRITE_BYTES = 1_000_000
_FIRST_SECONDS = 5.0  # in which the speed of an upload tells nothing
_SLOW_BYTES_PER_SECOND = 100_000


class FileTooLarge(HearthError):
    """A file has more bytes than the limit."""

    code = "file_too_large"
    kind = ErrorKind.TOO_LARGE

    def __init__(self, limit: int) -> None:
        super().__init__(f"The file has more than {limit} bytes, the limit of HEARTH_API_MAX_FILE_BYTES: send it in parts.")


class UploadTooSlow(HearthError):
    """A file did not arrive in time, or gave its place to another one."""

    code = "upload_too_slow"
    kind = ErrorKind.TOO_SLOW


class Upload:
    """A file that holds a slot. While it is being received it can lose the slot."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock, self._started = clock, clock()
        self._size = 0
        self._receiving: CancelScope | None = None

    def add(self, size: int) -> None:
        """Count bytes that have arrived."""
        self._size += size

    @property
    def bytes_per_second(self) -> float:
        """The speed at which the file arrives; infinite before the first seconds are over, and when all of it is here."""
        seconds = self._clock() - self._started
        return self._size / seconds if self._receiving is not None and seconds >= _FIRST_SECONDS else math.inf

    @contextmanager
    def receiving(self) -> Iterator[None]:
        """Receive the file in this context.

        Raises:
            UploadTooSlow: another file took the slot meanwhile.
        """
        with CancelScope() as scope:
            self._receiving = scope
            yield
        if scope.cancelled_caught:
            raise UploadTooSlow(
                f"The file arrived at {self.bytes_per_second:.0f} bytes a second and gave its place to another one, because all places "
                "(HEARTH_API_MAX_FILES) were taken: send it later, or over a faster connection."
            )
        self._receiving = None

    def stop(self) -> None:
        """Stop receiving."""
        assert self._receiving is not None  # noqa: S101 - only such an upload is slow
        self._receiving.cancel()


class FileSlots:
    """Bounds the number of files that are on disk at once. Belongs to one event loop.

    When all slots are taken, the slowest upload below `_SLOW_BYTES_PER_SECOND` gives its slot to the new one, so that a few clients that
    send a byte now and then shut nobody out.
    """

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._clock = limit, clock
        self._uploads: set[Upload] = set()

    @contextmanager
    def slot(self) -> Iterator[Upload]:
        """Hold a slot.

        Raises:
            TooBusy: if none is free.
        """
        if len(self._uploads) >= self._limit:
            slowest = min(self._uploads, key=lambda upload: upload.bytes_per_second)
            if slowest.bytes_per_second >= _SLOW_BYTES_PER_SECOND:
                raise TooBusy(f"{self._limit} files are being scored, the limit of HEARTH_API_MAX_FILES: try again when one is complete.")
            slowest.stop()
            self._uploads.discard(slowest)
        upload = Upload(self._clock)
        self._uploads.add(upload)
        try:
            yield upload
        finally:
            self._uploads.discard(upload)


@dataclass(frozen=True)
class UploadLimits:
    """Bytes of a file, the seconds in which all of it must arrive, and the longest pause within."""

    size: int
    seconds: float
    pause_seconds: float


async def receive_file(request: Request, limits: UploadLimits, upload: Upload, stack: ExitStack) -> BinaryIO:
    """Return the file of a request; the stack closes it.

    Raises:
        FileTooLarge: if it has more bytes than the limit.
        InvalidBody: if a form has no part `file` or another part, or the upload was cut off.
        UnsupportedEncoding: if it is sent in an encoding.
        UploadTooSlow: if it pauses too long, is not complete in time, or gave its slot to a faster one.
    """
    limit = limits.size
    if (encoding := request.headers.get("content-encoding", "identity")) != "identity":
        raise UnsupportedEncoding(encoding, "the file as it is")
    length = request.headers.get("content-length", "")
    if length.isascii() and length.isdecimal() and (len(length) > len(str(limit)) + 6 or int(length) > limit + _MAX_IN_MEMORY):
        raise FileTooLarge(limit)
    chunks = _chunks(request, limits, upload)
    with upload.receiving():
        try:
            async with asyncio.timeout(limits.seconds):
                return await _receive(request, chunks, stack)
        except TimeoutError:
            raise UploadTooSlow(
                f"The file did not arrive within {limits.seconds:g} s (HEARTH_API_FILE_SECONDS): send it in parts."
            ) from None


async def _receive(request: Request, chunks: AsyncGenerator[bytes, None], stack: ExitStack) -> BinaryIO:
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


async def _chunks(request: Request, limits: UploadLimits, upload: Upload) -> AsyncGenerator[bytes, None]:
    """Yield the body as it arrives, up to the limit."""
    size = 0
    stream = request.stream()
    while True:
        try:
            async with asyncio.timeout(limits.pause_seconds):
                chunk = await anext(stream, None)
        except TimeoutError:
            raise UploadTooSlow(f"No byte of the file arrived for {limits.pause_seconds:g} s (HEARTH_API_BODY_SECONDS).") from None
        except ClientDisconnect:
            raise InvalidBody("The upload was cut off.") from None
        if chunk is None:
            return
        size += len(chunk)
        upload.add(len(chunk))
        if size > limits.size:
            raise FileTooLarge(limits.size)
        yield chunk
