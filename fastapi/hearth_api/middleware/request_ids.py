"""Every request has an id, by which its answer, its log lines and what is stored of it are found again."""

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hearth.serving.recording.request_ids import unique_id

HEADER = "X-Request-ID"
_NAME = HEADER.lower().encode()
_SANE = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


class RequestIds:
    """Puts an id into `request.state.request_id` and into the answer: the caller's own, if it is sane, with a mark of ours behind it.

    Callers send the same id again when they try again, and what is stored of the second answer must not be taken for the first.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        request_id = unique_id(_given(scope))
        scope.setdefault("state", {})["request_id"] = request_id
        value = request_id.encode()

        async def send_with_id(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.accept"}:
                message["headers"] = [*message.get("headers", ()), (_NAME, value)]
            await send(message)

        await self._app(scope, receive, send_with_id)


def _given(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == _NAME:
            return value.decode() if _SANE.fullmatch(value) else ""
    return ""
