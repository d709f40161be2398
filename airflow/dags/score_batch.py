"""Score the CSV and Parquet objects below a prefix of the object store by a version, chunk by chunk; docs/batch.md says how.

**plan** finds the objects and the version, which stays the same for the whole run. **score** scores them, in as many tasks as the Param
says; a task that is retried goes on after the last chunk that it has finished. **finish** stores a sample of the records for drift, logs
the batch in MLflow, and writes its summary; it fails if objects could not be read. A run with the same objects and version does nothing.
"""

from typing import Any

from airflow.sdk import DAG, Param, task
from pendulum import datetime

from hearth.contracts import Contract, usable_contracts
from hearth.contracts.airflow_names import SCORE_BATCH, dag_id
from hearth.contracts.aliases import CHAMPION
from hearth.settings import StorageSettings
from task_defaults import dag_alerts, reporting, task_defaults

_ADDRESS = "^s3://[^/]+/.+"


def score_dag(contract: Contract, settings: StorageSettings) -> DAG:
    dataset = contract.name
    with DAG(
        dag_id=dag_id(contract, SCORE_BATCH),
        description=f"{contract.title}: score objects of the store",
        schedule=None,
        start_date=datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        max_active_runs=1,
        default_args=task_defaults(minutes=12 * 60, retries=5),
        **dag_alerts(dataset),
        params={
            "source": Param(
                f"s3://{settings.data_bucket}/{dataset}/score",
                type="string",
                pattern=_ADDRESS,
                title="Source",
                description="An object, or the prefix of objects: CSV or Parquet, packed or not.",
            ),
            "output": Param(
                f"s3://{settings.data_bucket}/{dataset}/scored",
                type="string",
                pattern=_ADDRESS,
                title="Output",
                description="The prefix of the results; not inside the source.",
            ),
            "model": Param(CHAMPION, type="string", title="Version", description="An alias, or the number of a version."),
            "include": Param(
                [],
                type="array",
                items={"type": "string", "enum": ["set", "unusual"]},
                examples=["set", "unusual"],
                title="Include",
                description="set: the classes that a row may have; unusual: how unlike the train set it is.",
            ),
            "keep": Param([], type="array", items={"type": "string"}, title="Keep", description="Columns that go along, such as an id."),
            "chunk_rows": Param(
                50_000,
                type="integer",
                minimum=1,
                maximum=1_000_000,
                title="Rows of a chunk",
                description="Scored and written at once.",
            ),
            "tasks": Param(
                1,
                type="integer",
                minimum=1,
                maximum=32,
                title="Tasks",
                description="Tasks that share the objects. One costs some seconds more than its work.",
            ),
        },
        tags=["scoring", dataset],
        doc_md=__doc__,
    ) as dag:

        @task
        @reporting
        def plan(params: dict[str, Any]) -> list[dict[str, Any]]:
            from hearth.jobs.score_batch import plan as plan_shares

            return plan_shares(dataset, params)

        @task(map_index_template="{{ share['number'] + 1 }} of {{ share['of'] }}")
        @reporting
        def score(share: dict[str, Any], params: dict[str, Any]) -> dict[str, Any]:
            from hearth.jobs.score_batch import score as score_share

            score_share(dataset, params, share)
            return share

        @task
        @reporting
        def finish(shares: list[dict[str, Any]], params: dict[str, Any]) -> str:
            from hearth.jobs.score_batch import finish_batch

            return finish_batch(dataset, params, next(iter(shares)))

        finish(score.expand(share=plan()))  # type: ignore[call-arg, arg-type]  # Airflow adds params, and makes a list of what is mapped
    return dag


for _contract in usable_contracts():
    globals()[f"{_contract.name}_score_batch"] = score_dag(_contract, StorageSettings())
