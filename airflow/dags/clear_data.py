"""Remove the rows that `load_data` has stored for a data set, and the records of its batches, in one transaction.

Fails unless its Param `confirm` is the name of the data set. The raw file, processed data and models stay. The next `load_data` starts from
the beginning; a source that has handed out all of its batches must be reset too.
"""

from typing import Any

from airflow.sdk import DAG, Param, task
from pendulum import datetime

from hearth.contracts import Contract, usable_contracts
from hearth.contracts.airflow_names import CLEAR, dag_id
from hearth.contracts.model import BatchSource
from task_defaults import dag_alerts, reporting, task_defaults


def clear_dag(contract: Contract, source: BatchSource) -> DAG:
    dataset = contract.name
    with DAG(
        dag_id=dag_id(contract, CLEAR),
        description=f"{contract.title}: empty the table {source.table}",
        schedule=None,  # by hand only
        start_date=datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        max_active_runs=1,
        default_args=task_defaults(minutes=15),
        **dag_alerts(dataset),
        params={
            "confirm": Param(
                "",
                type="string",
                title="Confirm",
                description=f"Type {dataset} to remove all rows of the table {source.table}. This cannot be undone.",
            )
        },
        tags=["load", dataset],
        doc_md=__doc__,
    ) as dag:

        @task
        @reporting
        def confirm(params: dict[str, Any]) -> None:
            from airflow.sdk.exceptions import AirflowFailException

            if params["confirm"] != dataset:
                raise AirflowFailException(f"Nothing was removed: the Param `confirm` has to be {dataset!r}, got {params['confirm']!r}.")

        @task
        @reporting
        def clear() -> None:
            from hearth.jobs.load_batches import clear as clear_table

            clear_table(dataset)

        confirm() >> clear()
    return dag


for _contract in usable_contracts():
    if isinstance(_contract.source, BatchSource):
        globals()[f"{_contract.name}_clear"] = clear_dag(_contract, _contract.source)
