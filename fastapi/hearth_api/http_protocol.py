"""HTTP connections with bounds of bytes and time for headers, which uvicorn's faster parser does not have.

Everything that is no body counts as header here: the request line, headers, the framing of chunks, trailers.
"""

import json
from asyncio import BaseTransport, TimerHandle, Transport
from functools import cache
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hearth.settings import ApiSettings

_TOO_LARGE = "431 Request Header Fields Too Large"
_TOO_SLOW = "408 Request Timeout"


@cache
def _limits() -> tuple[int, float]:
    settings = ApiSettings()
    return settings.api_max_header_bytes, settings.api_header_seconds


class BoundedHttp(HttpToolsProtocol):
    """Closes a connection whose headers are too large, or not complete in time."""

    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401 - those of uvicorn
        super().__init__(*arguments, **options)
        self._max_bytes, self._seconds = _limits()
        self._silent_bytes = 0  # received since the parser has found anything
        self._has_progress = self._has_headers = self._has_request = False
        self._timer: TimerHandle | None = None

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(cast("Transport", transport))
        self._timer = self.loop.call_later(self._seconds, self._end_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._has_progress = False
        super().data_received(data)
        if self._has_progress:
            self._silent_bytes = 0
        else:
            self._silent_bytes += len(data)
            if self._silent_bytes > self._max_bytes:
                self._refuse(_TOO_LARGE, f"The headers have more than {self._max_bytes} bytes, the limit of HEARTH_API_MAX_HEADER_BYTES.")
        if self._has_headers:
            self._cancel_timer()
        elif self._timer is None:
            self._timer = self.loop.call_later(self._seconds, self._end_slow)

    def on_message_begin(self) -> None:
        self._has_progress, self._has_headers = True, False
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._has_progress = self._has_headers = self._has_request = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._has_progress = True
        super().on_body(body)

    def _end_slow(self) -> None:
        self._timer = None
        self._refuse(_TOO_SLOW, f"The headers were not complete within {self._seconds:g} seconds (HEARTH_API_HEADER_SECONDS).")

    def _refuse(self, status: str, detail: str) -> None:
        """Answer in the form of all errors, unless an answer has begun, and close the connection."""
        if self.transport.is_closing():
            return
        if not self._has_request or self.cycle.response_complete:
            word = status.partition(" ")[2].lower().replace(" ", "_")
            content = json.dumps({"error": word, "detail": detail, "errors": []})
            head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\nconnection: close\r\n\r\n"
            self.transport.write((head + content).encode())
        self.transport.close()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
