"""The health of services other than REST, and pictures from MLflow, over HTTP."""

import re
from dataclasses import dataclass

import httpx

from hearth.settings import RegistrySettings
from streamlit_app.service import ServiceError, does_not_answer, reason_of

_TIMEOUT_SECONDS = 3.0
_PICTURE_TIMEOUT_SECONDS = 15.0
_WAITS = re.compile(r'^hearth_stream_waits\{server="(\w+)"\} 1(?:\.0)?$', re.MULTILINE)
_SERVER_NAMES = {"stream": "Valkey", "predictions": "PostgreSQL"}
_FIRST_SERVER_ERROR = 500


@dataclass(frozen=True)
class Health:
    """The health of a service: `problem` is empty if there is none, `note` is further information.

    `milliseconds` is how long it took to answer; None if it did not, or was not asked itself.
    """

    service: str
    problem: str = ""
    note: str = ""
    is_known: bool = True
    milliseconds: float | None = None

    @property
    def state(self) -> str:
        """Problem, note or "ok"."""
        if self.problem:
            return self.problem
        word = "ok" if self.is_known else "unknown"
        return f"{word}: {self.note}" if self.note else word


def airflow(url: str) -> list[Health]:
    """Return the health of each part of Airflow, whose health page is a 200 even when the scheduler is dead."""
    try:
        answer = httpx.get(f"{url}/api/v2/monitor/health", timeout=_TIMEOUT_SECONDS).raise_for_status()
        parts = answer.json()
    except httpx.HTTPError as error:
        return [Health("Airflow", does_not_answer("Airflow", url, error))]
    except ValueError:
        return [Health("Airflow", f"What answers at {url} is not Airflow.")]
    states = {name: (part or {}).get("status") for name, part in parts.items()}
    return [
        Health(
            f"Airflow: {name.replace('_', ' ')}", "" if state == "healthy" else f"Airflow reports {state!r}", milliseconds=_taken(answer)
        )
        for name, state in states.items()
        if state is not None  # a part that this Airflow does not run
    ]


def grpc(url: str) -> list[Health]:
    """Return the health of the gRPC service, which serves its metrics over HTTP."""
    try:
        answer = httpx.get(url, timeout=_TIMEOUT_SECONDS).raise_for_status()
    except httpx.HTTPError as error:
        return [Health("gRPC", does_not_answer("The gRPC service", url, error))]
    return [Health("gRPC", milliseconds=_taken(answer))]


def batch_api(url: str) -> list[Health]:
    """Return the health of the API that batches come from. A real one may have no /health: any answer below 500 is enough."""
    try:
        answer = httpx.get(f"{url.rstrip('/')}/health", timeout=_TIMEOUT_SECONDS)
        if answer.status_code >= _FIRST_SERVER_ERROR:
            answer.raise_for_status()
    except httpx.HTTPError as error:
        return [Health("batch API", does_not_answer("The batch API", url, error))]
    return [Health("batch API", milliseconds=_taken(answer))]


def worker(url: str) -> Health:
    """Return the health of the stream worker from its metrics: it runs, and whether it waits for a server."""
    try:
        answer = httpx.get(url, timeout=_TIMEOUT_SECONDS).raise_for_status()
    except httpx.HTTPError as error:
        return Health("stream worker", does_not_answer("The stream worker", url, error))
    metrics, taken = answer.text, _taken(answer)
    if "hearth_stream_waits" not in metrics:
        return Health("stream worker", f"What answers at {url} is not the stream worker.")
    if servers := [_SERVER_NAMES.get(server, server) for server in _WAITS.findall(metrics)]:
        return Health("stream worker", f"It waits for {' and '.join(servers)}.", milliseconds=taken)
    return Health("stream worker", milliseconds=taken)


def _taken(answer: httpx.Response) -> float:
    return answer.elapsed.total_seconds() * 1_000


def picture(mlflow: RegistrySettings, run_id: str, path: str) -> bytes | None:
    """Return a picture of a run, or None if the run has none.

    Raises:
        ServiceError: if MLflow does not answer, or refuses.
    """
    mlflow_url, password = mlflow.mlflow_tracking_uri, mlflow.mlflow_password.get_secret_value()
    login = (mlflow.mlflow_user, password) if password else None
    address = f"{mlflow_url}/get-artifact"
    try:
        answer = httpx.get(address, params={"run_uuid": run_id, "path": path}, auth=login, timeout=_PICTURE_TIMEOUT_SECONDS)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        return answer.raise_for_status().content
    except httpx.HTTPError as error:
        raise ServiceError(f"MLflow at {mlflow_url} does not return the picture: {reason_of(error)}.") from error
