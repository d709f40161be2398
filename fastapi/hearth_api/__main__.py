"""The REST service: `python -m hearth_api --host 127.0.0.1 --port 8800`."""

import argparse
import sys

import uvicorn

from hearth.errors import InvalidSettings
from hearth.logs import configure_logging
from hearth.settings import ApiSettings
from hearth_api.http_protocol import BoundedHttp

_MAX_WEBSOCKET_BYTES = 1_000_000  # of one message; a subscription has a few hundred


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m hearth_api", description="The REST service.")
    parser.add_argument("--host", default="127.0.0.1", help="the address that it listens on")
    parser.add_argument("--port", type=int, default=8800, help="its port")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the port")
    parser.add_argument(
        "--reload", metavar="DIR", action="append", help="start again when a file in it changes; may be given more than once"
    )
    parser.add_argument("--log-level", default="info", help="of uvicorn")
    arguments = parser.parse_args()
    configure_logging("fastapi")
    uvicorn.run(
        "hearth_api.process:create_service",
        factory=True,
        host=arguments.host,
        port=arguments.port,
        workers=arguments.workers,
        reload=bool(arguments.reload),
        reload_dirs=arguments.reload,
        log_level=arguments.log_level,
        log_config=None,  # its lines are written as all others are
        http=BoundedHttp,
        ws_max_size=_MAX_WEBSOCKET_BYTES,
        access_log=False,
        timeout_graceful_shutdown=_grace_seconds(),
        proxy_headers=False,  # the service itself reads the headers of proxies, those that HEARTH_API_TRUSTED_PROXIES lists
    )


def _grace_seconds() -> int:
    """Return the seconds in which open requests end at SIGTERM.

    uvicorn would wait without an end, for an upload that drips in, for example; a supervisor kills the process then, with all predictions
    that wait to be stored.
    """
    try:
        return ApiSettings().api_grace_seconds
    except InvalidSettings as error:
        sys.exit(f"fastapi: {error}")


if __name__ == "__main__":
    main()
