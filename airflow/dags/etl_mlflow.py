"""From the raw file in the bucket `data` to a processed data set for training.

**extract** finds the raw file, **validate** reads it and sets aside rows that break the contract, **check** looks for what is suspicious
in the others, **process** cleans, splits and writes the data set under the digest of its contents, **log** logs it in MLflow, **publish**
makes it the data of the trainings, writes its report for the services and updates the asset `<data set>/processed`, **compare_versions**
scores every registered version on the new test set, for the lists of versions. Keys and digests go between the tasks; a rerun on the same
raw bytes gives the same digest and writes nothing new.
"""

from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param, task
from pendulum import datetime

from assets import later_trials, processed_asset, raw_asset, requested_trials
from hearth.contracts import Contract, usable_contracts
from hearth.contracts.airflow_names import ETL, dag_id
from hearth.contracts.model import BatchSource
from task_defaults import dag_alerts, reporting, task_defaults

if TYPE_CHECKING:
    from airflow.sdk.execution_time.context import OutletEventAccessors, TriggeringAssetEventsAccessor


def etl_dag(contract: Contract) -> DAG:
    dataset = contract.name
    raw, published = raw_asset(dataset), processed_asset(dataset)
    with DAG(
        dag_id=dag_id(contract, ETL),
        description=f"{contract.title}: validate, clean, split, log, publish",
        schedule=[raw] if isinstance(contract.source, BatchSource) else None,  # else by hand, after an upload
        start_date=datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        max_active_runs=1,
        default_args=task_defaults(minutes=15),
        **dag_alerts(dataset),
        params={
            "file": Param(
                None,
                type=["null", "string"],
                pattern=r"^[A-Za-z0-9._-]+$",
                title="Raw file",
                description=f"A file under {dataset}/raw/ in the bucket `data`; empty for {contract.source.file}.",
            ),
            "trials": later_trials(),
        },
        tags=["etl", dataset],
        doc_md=__doc__,
    ) as dag:
        # Imports are inside the tasks: they are slow, and the file is parsed often.

        @task
        @reporting
        def extract(params: dict[str, Any]) -> str:
            from hearth.jobs import etl

            return etl.find_raw(dataset, params["file"])

        @task
        @reporting
        def validate(raw_key: str) -> str:
            from hearth.jobs import etl

            return etl.validate(dataset, raw_key)

        @task
        @reporting
        def check(validated_key: str) -> str:
            from hearth.jobs.check_data import check as check_rows

            return check_rows(dataset, validated_key)

        @task
        @reporting
        def process(validated_key: str) -> str:
            from hearth.jobs import etl

            return etl.process(dataset, validated_key)

        @task
        @reporting
        def log(digest: str) -> str:
            from hearth.jobs import etl

            return etl.log(dataset, digest)

        @task(outlets=[published])
        @reporting
        def publish(
            digest: str,
            params: dict[str, Any],
            triggering_asset_events: "TriggeringAssetEventsAccessor",
            outlet_events: "OutletEventAccessors",
        ) -> None:
            from hearth.jobs import etl
            from hearth.jobs.announce import announce

            result = etl.publish(dataset, digest)
            announce(dataset, digest)
            trials = params["trials"] or requested_trials(triggering_asset_events.get(raw, ()))
            outlet_events[published].extra = {"digest": result.digest, "rows": result.rows, "trials": trials}

        @task
        @reporting
        def compare_versions() -> list[str]:
            from hearth.jobs.standings import update_standings

            return update_standings(dataset)

        digest = process(check(validate(extract())))
        log(digest) >> publish(digest) >> compare_versions()
    return dag


for _contract in usable_contracts():
    globals()[f"{_contract.name}_etl"] = etl_dag(_contract)
