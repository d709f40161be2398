"""Behind a reverse proxy: the address of the caller, and the path under which the proxy publishes the service."""

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from hearth.settings import ApiSettings


def trust_proxies(app: FastAPI, settings: ApiSettings) -> None:
    """Take the caller from the headers of trusted proxies; call it last, so that limits, logs and metrics see the caller."""
    if settings.api_root_path:
        app.add_middleware(RootPath, root_path=settings.api_root_path)
    if settings.api_trusted_proxies:
        app.add_middleware(ProxyHeadersMiddleware, trusted_hosts=list(settings.api_trusted_proxies))


class RootPath:
    """Puts the root path before the path of a request, whether or not the proxy has removed it."""

    def __init__(self, app: ASGIApp, root_path: str) -> None:
        self._app, self._root_path = app, root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            path = scope["path"]
            is_prefixed = path == self._root_path or path.startswith(f"{self._root_path}/")
            scope["root_path"], scope["path"] = self._root_path, path if is_prefixed else self._root_path + path
        await self._app(scope, receive, send)
