"""Compare what is served with what the champion was trained on.

**check** compares the newest answers of the champion with the profile of its train set and with its answers on the test set, and stores the
result; docs/drift.md has the levels. An MLflow run with a report is logged when the level changes, and by hand. The asset
`<data set>/drift` is updated when the level changes and while it is `act`. With no new answer, and without a champion, the task is skipped.
Before that it loads files of labels that were put into `s3://data/<data set>/labels/` (docs/feedback.md): both need the same servers.

**measure** computes the quality of what was served from the labels that have come, and tests whether it has fallen; docs/loop.md has how.
The asset `<data set>/quality` is updated while it is `fallen`. With no new label the task is skipped, but for once an hour.
"""

from typing import TYPE_CHECKING

from airflow.sdk import DAG, AssetAlias, task
from pendulum import datetime

from assets import drift_asset, quality_asset
from hearth.contracts import Contract, usable_contracts
from hearth.contracts.airflow_names import MONITOR, dag_id
from hearth.settings import MonitorScheduleSettings
from task_defaults import dag_alerts, reporting, task_defaults

if TYPE_CHECKING:
    from airflow.sdk.execution_time.context import OutletEventAccessors
    from airflow.sdk.types import DagRunProtocol


def monitor_dag(contract: Contract, settings: MonitorScheduleSettings) -> DAG:
    dataset = contract.name
    changes = AssetAlias(f"{dataset}/drift changes")  # an alias updates its assets only when the task says so
    quality_changes = AssetAlias(f"{dataset}/quality changes")
    with DAG(
        dag_id=dag_id(contract, MONITOR),
        description=f"{contract.title}: look for drift in what is served",
        schedule=None if settings.monitor_schedule == "none" else settings.monitor_schedule,
        start_date=datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        max_active_runs=1,
        default_args=task_defaults(minutes=5, retries=1),
        **dag_alerts(dataset),
        tags=["monitoring", dataset],
        doc_md=__doc__,
    ) as dag:

        @task(outlets=[changes])
        @reporting
        def check(dag_run: "DagRunProtocol", outlet_events: "OutletEventAccessors") -> str:
            from airflow.sdk.exceptions import AirflowSkipException

            from hearth.jobs.load_labels import load_labels
            from hearth.jobs.monitor import monitor

            load_labels(dataset)
            result = monitor(dataset, by_hand=dag_run.run_type == "manual")
            if result.check is None:
                raise AirflowSkipException(f"{dataset}: there is no champion yet.")
            if not result.is_new:
                raise AirflowSkipException(f"{dataset}: no answer is new since the last check.")
            found = result.check
            if result.changed or found.level == "act":
                columns = [column.name for column in found.alarming]
                extra = {"level": str(found.level), "version": found.version, "columns": columns, "run_id": result.run_id}
                outlet_events[changes].add(drift_asset(dataset), extra=extra)
            return found.summary

        @task(outlets=[quality_changes], trigger_rule="none_failed")  # after the files of labels are loaded, also if the check is skipped
        @reporting
        def measure(dag_run: "DagRunProtocol", outlet_events: "OutletEventAccessors") -> str:
            from airflow.sdk.exceptions import AirflowSkipException

            from hearth.jobs.live_quality import measure_quality

            result = measure_quality(dataset, by_hand=dag_run.run_type == "manual")
            if result.check is None:
                raise AirflowSkipException(f"{dataset}: there is no champion yet.")
            if not result.is_new:
                raise AirflowSkipException(f"{dataset}: no label is new since the last check.")
            found = result.check
            if found.level == "fallen":
                extra = {"level": str(found.level), "version": found.version, "labels": found.labels}
                outlet_events[quality_changes].add(quality_asset(dataset), extra=extra)
            return found.summary

        check() >> measure()
    return dag


for _contract in usable_contracts():
    globals()[f"{_contract.name}_monitor"] = monitor_dag(_contract, MonitorScheduleSettings())
