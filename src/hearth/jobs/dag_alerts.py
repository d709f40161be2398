"""The alert of a DAG whose run has failed: opened by the run, resolved by the next one that succeeds."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from hearth.alerts import AlertStore, Severity
from hearth.errors import HearthError
from hearth.settings import MonitorSettings

_LOGGER = logging.getLogger(__name__)
KIND = "dag_failed"
_CONNECT_SECONDS = 2  # Airflow's processor of DAG files waits


@dataclass(frozen=True)
class EndedRun:
    """A run of a DAG of a data set; `reason` is Airflow's word, `task_id` the task that ended the run, where one did."""

    dag_id: str
    dataset: str
    run_id: str
    reason: str = ""
    task_id: str = ""

    @property
    def kind(self) -> str:
        """That of the alert: each DAG of a data set has its own."""
        return f"{KIND}/{self.dag_id}"


def report_failure(run: EndedRun) -> None:
    """Open the alert of a DAG. A store that does not answer is a line of the log; an empty HEARTH_MONITOR_URL is no store."""
    where = f" in the task {run.task_id}" if run.task_id else ""
    summary = f"The DAG {run.dag_id} has failed{where} (run {run.run_id}); Airflow has its log."
    detail = {"dag": run.dag_id, "run": run.run_id, "task": run.task_id or None, "reason": run.reason}
    _report(run, lambda alerts: alerts.open(run.kind, run.dataset, Severity.WARNING, summary, detail, by="airflow"))


def report_success(run: EndedRun) -> None:
    """Resolve the alert of a DAG, if there is one; of a store the same holds."""
    why = f"The run {run.run_id} of {run.dag_id} has succeeded."
    _report(run, lambda alerts: alerts.resolve(run.kind, run.dataset, why, by="airflow"))


def _report(run: EndedRun, report: Callable[[AlertStore], object]) -> None:
    try:
        url = MonitorSettings().monitor_url.get_secret_value()
        if url:
            with AlertStore(url, max_connections=1, connect_seconds=_CONNECT_SECONDS) as alerts:
                report(alerts)
    except HearthError as error:
        _LOGGER.warning("%s: the end of its run %s is not reported to the alerts: %s", run.dag_id, run.run_id, error)
