"""The real application in a real uvicorn, for tests."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI

from deploy.embedded.temporary_servers import free_port
from hearth.settings import ApiSettings
from hearth_api.http_protocol import BoundedHttp
from hearth_api.state import ServiceState
from tests.support.waiting import LIMIT_SECONDS, wait_until

ADMIN_KEY = "operators-long-secret"
PAGE_KEY = "readers-long-secret"
SCORER_KEY, READER_KEY = "scorers-long-secret", "auditors-long-secret"
AS_ADMIN, AS_PAGE = {"X-API-Key": ADMIN_KEY}, {"Authorization": f"Bearer {PAGE_KEY}"}


def service_settings(**changes: object) -> ApiSettings:
    """Settings of a service all of whose servers are away; what is not given here is as in `.env`."""
    given: Mapping[str, Any] = {
        "environment": "laptop",
        "data_dir": Path(__file__).parents[2] / "data",
        "mlflow_tracking_uri": "http://127.0.0.1:9",
        "redis_url": "redis://127.0.0.1:9/0",
        "predictions_url": "postgresql://nobody:nothing@127.0.0.1:9/predictions",
        "alias_poll_seconds": 60,
        "api_default_dataset": "employees",
        "api_max_records": 50,
        "explain_seconds": 300,  # a busy machine takes long
        "api_max_body_bytes": 1_000_000,
        "api_failed_keys_limit": "1000/year",
        "api_admin_key": ADMIN_KEY,
        "api_keys": f"page:predict+read:{PAGE_KEY} scorer:predict:{SCORER_KEY} reader:read:{READER_KEY}",
        "record_predictions": "none",
    }
    return ApiSettings(**{**given, **changes})


@contextmanager
def running(app: object, port: int | None = None, *, waits: bool = True) -> Iterator[httpx.Client]:
    """Serve an application until the block ends; if it `waits`, all models are loaded when the block begins."""
    port = port or free_port()
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, proxy_headers=False, http=BoundedHttp)  # type: ignore[arg-type]  # any ASGI
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_until(lambda: server.started or not thread.is_alive())
    assert server.started, "the service ended instead of starting"
    if waits and isinstance(app, FastAPI) and isinstance(service := getattr(app.state, "service", None), ServiceState):
        service.models.wait_until_polled(LIMIT_SECONDS)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join()


def refused(answer: httpx.Response, status: int, error: str) -> str:
    """Check that an answer is an error with the common body, and return its detail."""
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["error"]) == (status, error), body
    assert set(body) - {"more_errors"} == {"error", "detail", "errors"}
    return str(body["detail"])
