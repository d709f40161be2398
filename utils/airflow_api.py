"""A client for the part of Airflow's REST API that runs and watches DAGs."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

import httpx

FINISHED = ("success", "failed")
_TIMEOUT_SECONDS = 30


class AirflowError(Exception):
    """Airflow refused a call, or a run failed; the message has the reason."""


@dataclass(frozen=True)
class DagRun:
    """One run of one DAG."""

    dag_id: str
    run_id: str
    state: str


@dataclass(frozen=True)
class TaskState:
    """The state of one task of a run; empty until it is scheduled."""

    task_id: str
    state: str
    try_number: int


class AirflowApi:
    """A client that logs in when it is entered as a context."""

    def __init__(self, base_url: str, user: str, password: str) -> None:
        self._client = httpx.Client(base_url=base_url, timeout=_TIMEOUT_SECONDS)
        self._credentials = {"username": user, "password": password}

    def __enter__(self) -> Self:
        answer = self._client.post("/auth/token", json=self._credentials)
        if answer.status_code not in {httpx.codes.OK, httpx.codes.CREATED}:
            raise AirflowError(f"Airflow at {self._client.base_url} refused the user {self._credentials['username']!r}: {answer.text}")
        self._client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def knows(self, dag_id: str) -> bool:
        """Tell whether the DAG file has been parsed and the DAG can run."""
        answer = self._client.get(f"/api/v2/dags/{dag_id}")
        if answer.status_code == httpx.codes.NOT_FOUND:
            return False
        return not self._json(answer)["is_stale"]

    def import_errors(self) -> list[str]:
        """Return the reasons why DAG files cannot be parsed, one text a file."""
        errors = self._json(self._client.get("/api/v2/importErrors"))["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}" for error in errors]

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run."""
        self._json(self._client.patch(f"/api/v2/dags/{dag_id}", json={"is_paused": False}))

    def trigger(self, dag_id: str, conf: Mapping[str, object]) -> DagRun:
        """Start a manual run, also of a paused DAG."""
        self.unpause(dag_id)
        run = self._json(self._client.post(f"/api/v2/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": dict(conf)}))
        return DagRun(dag_id, run["dag_run_id"], run["state"])

    def run(self, dag_id: str, run_id: str) -> DagRun:
        """Return the present state of a run."""
        return DagRun(dag_id, run_id, self._json(self._client.get(f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"))["state"])

    def runs_caused_by(self, cause: DagRun) -> list[DagRun]:
        """Return the runs that the scheduler started because `cause` published an asset."""
        query = {"source_dag_id": cause.dag_id, "source_run_id": cause.run_id}
        events = self._json(self._client.get("/api/v2/assets/events", params=query))["asset_events"]
        return [DagRun(run["dag_id"], run["run_id"], run["state"]) for event in events for run in event["created_dagruns"]]

    def tasks(self, run: DagRun) -> list[TaskState]:
        """Return the state of each task of a run."""
        instances = self._json(self._client.get(f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances"))["task_instances"]
        return [TaskState(task["task_id"], task["state"] or "", task["try_number"]) for task in instances]

    def log_tail(self, run: DagRun, task: TaskState, lines: int = 15) -> str:
        """Return the last lines of a task's log, to show why it failed."""
        return "\n".join(_log_line(entry) for entry in self._log(run, task)[-lines:])

    def error(self, run: DagRun, task: TaskState) -> str:
        """Return the error that ended a try of a task, in one line; empty if its log has none, as after its process was killed."""
        entries = [entry for entry in reversed(self._log(run, task)) if isinstance(entry, Mapping)]
        reported = (str(entry.get("event", "")) for entry in entries if entry.get("logger") == "hearth.task")
        raised = (f"{error['exc_type']}: {error['exc_value']}" for entry in entries for error in entry.get("error_detail") or ())
        return " ".join(next(chain(reported, raised), "").split())

    def _log(self, run: DagRun, task: TaskState) -> list[object]:
        path = f"/api/v2/dags/{run.dag_id}/dagRuns/{run.run_id}/taskInstances/{task.task_id}/logs/{task.try_number}"
        content: list[object] = self._json(self._client.get(path, params={"full_content": True}))["content"]
        return content

    def _json(self, answer: httpx.Response) -> Any:  # noqa: ANN401 - JSON
        if answer.is_error:
            raise AirflowError(f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}")
        return answer.json()


def _log_line(entry: object) -> str:
    if not isinstance(entry, Mapping):
        return str(entry)
    errors = entry.get("error_detail") or []
    return "\n".join([str(entry.get("event", "")), *(f"{error['exc_type']}: {error['exc_value']}" for error in errors)])
