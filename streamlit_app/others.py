"""Services beside REST, asked over HTTP by whoever looks at their health, or at a picture."""

import re
from dataclasses import dataclass

import httpx

from streamlit_app.service import ServiceError, does_not_answer, reason_of

_SECONDS = 3.0
_PICTURE_SECONDS = 15.0
_WAITS = re.compile(r'^hearth_stream_waits\{server="(\w+)"\} 1(?:\.0)?$', re.MULTILINE)
_WAITED_FOR = {"stream": "Valkey", "predictions": "PostgreSQL"}
_FIRST_SERVER_ERROR = 500


@dataclass(frozen=True)
class Health:
    """How a service is: `problem` is empty if nothing is wrong, `note` is what else is to be said. Of some, nobody knows how they are."""

    service: str
    problem: str = ""
    note: str = ""
    is_known: bool = True

    @property
    def state(self) -> str:
        """All of it, in words."""
        if self.problem:
            return self.problem
        word = "ok" if self.is_known else "not known"
        return f"{word}: {self.note}" if self.note else word


def airflow(url: str) -> list[Health]:
    """Return how each part of Airflow is; its health page is a success even when the scheduler is dead."""
    try:
        parts = httpx.get(f"{url}/api/v2/monitor/health", timeout=_SECONDS).raise_for_status().json()
    except httpx.HTTPError as error:
        return [Health("Airflow", does_not_answer("Airflow", url, error))]
    except ValueError:
        return [Health("Airflow", f"What answers at {url} is not Airflow.")]
    states = {name: (part or {}).get("status") for name, part in parts.items()}
    return [
        Health(f"Airflow: {name.replace('_', ' ')}", "" if state == "healthy" else f"it says {state!r}")
        for name, state in states.items()
        if state is not None  # a part that this Airflow does without
    ]


def grpc(url: str) -> list[Health]:
    """Return how the gRPC service is, which answers HTTP with its metrics."""
    try:
        httpx.get(url, timeout=_SECONDS).raise_for_status()
    except httpx.HTTPError as error:
        return [Health("gRPC", does_not_answer("The gRPC service", url, error))]
    return [Health("gRPC")]


def batch_api(url: str) -> list[Health]:
    """Return how the API is that batches of data come from. The real one may know no /health: that it answers is enough."""
    try:
        answer = httpx.get(f"{url.rstrip('/')}/health", timeout=_SECONDS)
        if answer.status_code >= _FIRST_SERVER_ERROR:
            answer.raise_for_status()
    except httpx.HTTPError as error:
        return [Health("batch API", does_not_answer("The batch API", url, error))]
    return [Health("batch API")]


def worker(url: str) -> Health:
    """Return how the stream worker is, by its metrics: it is there, and whether it waits for a server."""
    try:
        metrics = httpx.get(url, timeout=_SECONDS).raise_for_status().text
    except httpx.HTTPError as error:
        return Health("stream worker", does_not_answer("The stream worker", url, error))
    if "hearth_stream_waits" not in metrics:
        return Health("stream worker", f"What answers at {url} is not the stream worker.")
    if waited_for := [_WAITED_FOR.get(server, server) for server in _WAITS.findall(metrics)]:
        return Health("stream worker", f"It waits for {' and '.join(waited_for)}.")
    return Health("stream worker")


def picture(mlflow_url: str, run_id: str, path: str) -> bytes | None:
    """Return a picture of a run, None if the run has none.

    Raises:
        ServiceError: MLflow is away, or refuses.
    """
    try:
        answer = httpx.get(f"{mlflow_url}/get-artifact", params={"run_uuid": run_id, "path": path}, timeout=_PICTURE_SECONDS)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return answer.raise_for_status().content
    except httpx.HTTPError as error:
        raise ServiceError(f"MLflow at {mlflow_url} does not give the picture: {reason_of(error)}.") from error
