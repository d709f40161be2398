"""Services beside REST, asked over HTTP by whoever looks at their health, or at a picture."""

from dataclasses import dataclass

import httpx

from streamlit_app.service import ServiceError

_SECONDS = 3.0
_PICTURE_SECONDS = 15.0


@dataclass(frozen=True)
class Health:
    """How a service is: `problem` is empty if nothing is wrong."""

    service: str
    problem: str


def airflow(url: str) -> list[Health]:
    """Return how each part of Airflow is; its health page is a success even when the scheduler is dead."""
    try:
        parts = httpx.get(f"{url}/api/v2/monitor/health", timeout=_SECONDS).raise_for_status().json()
    except (httpx.HTTPError, ValueError) as error:
        return [Health("Airflow", _reason(error))]
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
        return [Health("gRPC", _reason(error))]
    return [Health("gRPC", "")]


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
        raise ServiceError(f"MLflow does not give the picture: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
