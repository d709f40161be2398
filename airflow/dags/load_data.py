"""From an HTTP API that hands out batches to a SQL table, and from there to the raw file of the ETL.

**fetch** requests a batch and stores it in the data set's table, each batch once and complete, releases its worker slot while it waits, and
repeats, until it has stored as many as its Param says or the source has no more. **export** writes the table as the raw file. If that has
other rows than at the last update of the asset `<data set>/raw`, the asset is updated, which starts the ETL; else the task is skipped.
"""

from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param, task
from pendulum import datetime, duration

from assets import later_trials, raw_asset
from batches import FetchBatches
from hearth.contracts import Contract, usable_contracts
from hearth.contracts.airflow_names import LOAD, dag_id
from hearth.contracts.model import BatchSource
from hearth.settings import LoadSettings
from task_defaults import dag_alerts, reporting, task_defaults

if TYPE_CHECKING:
    from airflow.sdk.execution_time.context import InletEventsAccessors, OutletEventAccessors


def load_dag(contract: Contract, settings: LoadSettings) -> DAG:
    dataset = contract.name
    raw = raw_asset(dataset)
    with DAG(
        dag_id=dag_id(contract, LOAD),
        description=f"{contract.title}: fetch batches, store them, export the table",
        schedule=None if settings.load_data_schedule == "none" else settings.load_data_schedule,
        start_date=datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=duration(days=1),  # for a source that hands out the same batch forever
        # On a busy machine Airflow 3.3 takes a resumed task for a killed one (apache/airflow#67287, #72716), which costs a try but no
        # batch: hence many tries, soon after one another. The time limit is that of one call; waiting does not count.
        default_args=task_defaults(minutes=15, retries=20, retry_seconds=15),
        **dag_alerts(dataset),
        params={
            "batches": Param(10, type="integer", minimum=1, maximum=100_000, title="Batches", description="New batches to store, at most."),
            "wait_seconds": Param(
                settings.load_data_wait_seconds,
                type="number",
                minimum=1,
                maximum=86_400,
                title="Wait",
                description="Seconds between two calls (HEARTH_LOAD_DATA_WAIT_SECONDS).",
            ),
            "trials": later_trials(),
        },
        tags=["load", dataset],
        doc_md=__doc__,
    ) as dag:

        @task(inlets=[raw], outlets=[raw])
        @reporting
        def export(params: dict[str, Any], inlet_events: "InletEventsAccessors", outlet_events: "OutletEventAccessors") -> None:
            from airflow.sdk.exceptions import AirflowSkipException

            from hearth.jobs.load_batches import export_table

            exported = export_table(dataset)
            last = list(inlet_events[raw].ascending(False).limit(1))  # noqa: FBT003 - Airflow's
            if last and (last[-1].extra or {}).get("digest") == exported.digest:
                raise AirflowSkipException(f"The {exported.rows} rows were there at the last update of {raw.name} already.")
            outlet_events[raw].extra = {
                "digest": exported.digest,
                "rows": exported.rows,
                "batches": exported.batches,
                "trials": params["trials"],
            }

        FetchBatches(task_id="fetch", dataset=dataset) >> export()
    return dag


for _contract in usable_contracts():
    if isinstance(_contract.source, BatchSource):
        globals()[f"{_contract.name}_load"] = load_dag(_contract, LoadSettings())
