"""Remove what nothing refers to: old versions, runs and trials in MLflow, files of runs that are gone, processed data that nobody names.

`hearth housekeeping` as a DAG: HEARTH_HOUSEKEEPING_SCHEDULE says when, and is `none` by default. The Param `apply` says whether anything is
removed; its default is HEARTH_HOUSEKEEPING_APPLY, which is off, so that the first runs only say what they would remove: the table is in the
log of the task and its return value. docs/mlflow.md says what stays.
"""

from typing import Any

from airflow.sdk import DAG, Param, task
from pendulum import datetime

from hearth.settings import HousekeepingScheduleSettings
from task_defaults import dag_alerts, reporting, task_defaults

_settings = HousekeepingScheduleSettings()

with DAG(
    dag_id="hearth_housekeeping",
    description="Remove what nothing refers to",
    schedule=None if _settings.housekeeping_schedule == "none" else _settings.housekeeping_schedule,
    start_date=datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args=task_defaults(minutes=120, retries=2, retry_seconds=60),
    **dag_alerts(""),
    params={
        "apply": Param(
            _settings.housekeeping_apply,
            type="boolean",
            title="Remove",
            description="Off: only say what would be removed.",
        )
    },
    tags=["operations"],
    doc_md=__doc__,
) as dag:

    @task
    @reporting
    def keep_house(params: dict[str, Any]) -> dict[str, Any]:
        from hearth.jobs.housekeeping import housekeeping

        return housekeeping(applies=params["apply"])

    keep_house()  # type: ignore[call-arg]  # Airflow fills in the params
