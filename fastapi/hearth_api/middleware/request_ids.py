"""Every request has an id, which connects its response, its log lines and its stored predictions."""

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hearth.logs.context import REQUEST_ID
from hearth.serving.recording.request_ids import unique_id

HEADER = "X-Request-ID"
_NAME = HEADER.lower().encode()
_VALID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


class RequestIds:
    """Puts an id into `request.state.request_id` and into the response: the caller's own, if it is valid, with a unique suffix.

    Callers repeat an id when they retry, and the stored predictions of both requests must stay apart.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        request_id = unique_id(_callers_id(scope))
        scope.setdefault("state", {})["request_id"] = request_id
        value = request_id.encode()

        async def send_with_id(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.accept"}:
                message["headers"] = [*message.get("headers", ()), (_NAME, value)]
            await send(message)

        token = REQUEST_ID.set(request_id)
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            REQUEST_ID.reset(token)


def _callers_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == _NAME:
            return value.decode() if _VALID.fullmatch(value) else ""
    return ""
