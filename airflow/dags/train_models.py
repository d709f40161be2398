"""Train one family of models on a processed data set.

**train** tunes the family by cross-validation on the train set, fits the best parameters, evaluates the model once on the test set and
registers it as a version. **promote** gives it the family's alias if it passes the gate (by default: better than the version that has it by
more than noise, or equal and better in log loss or size), and makes the best family champion. Where the contract requires the approval of
a person, **judge** decides first without moving anything, **approve** waits for the person, and **promote** decides again with the answer.
Runs when the ETL publishes data, and by hand. All tasks may run again: a training whose version is registered is not repeated.

With `HEARTH_SEARCH_WORKERS` above 1, **plan_search** begins the search, that many **search** tasks run its trials, and **train** ends it
before it fits. For small data the plan has no such task, and **train** searches alone, as it does without the setting.
"""

from typing import Any

from airflow.sdk import DAG, Param, task
from pendulum import datetime

from approval import TASK, approval_task, as_approval, judge_version, promote_answered, runs_at_once
from assets import MOST_TRIALS, model_asset, processed_asset
from hearth.contracts import Contract
from hearth.contracts.airflow_names import TRAIN, dag_id
from hearth.contracts.deploy_words import WAYS
from hearth.modelling.families import trainable_contracts
from hearth.settings import SearchWorkersSettings
from task_defaults import dag_alerts, reporting, task_defaults
from training_tasks import trained_version


def training_dag(contract: Contract, family: str, search_workers: int) -> DAG:
    dataset = contract.name
    processed = processed_asset(dataset)
    with DAG(
        dag_id=dag_id(contract, TRAIN, family),
        description=f"{contract.title}: tune, fit, evaluate and register {family}",
        schedule=[processed],
        start_date=datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        max_active_runs=runs_at_once(contract),
        default_args=task_defaults(minutes=30),
        **dag_alerts(dataset),
        params={
            "trials": Param(10, type="integer", minimum=1, maximum=MOST_TRIALS, title="Trials", description="Sets of parameters to try."),
            "seed": Param(
                42, type="integer", minimum=0, maximum=2**31 - 1, title="Seed", description="The same seed gives the same model."
            ),
            "digest": Param(
                None,
                type=["null", "string"],
                pattern="^[0-9a-f]+$",
                title="Data",
                description="Digest of the processed data; empty for the data whose publication started the run, or the latest.",
            ),
            "way": Param(
                None,
                type=["null", "string"],
                enum=[None, *WAYS],
                title="Deployment",
                description="How a version that would be champion is deployed; empty: as the contract says.",
            ),
        },
        tags=["training", dataset, family],
        doc_md=__doc__,
    ) as dag:

        @task(outlets=[model_asset(dataset)])
        @reporting
        def promote(version: str, params: dict[str, Any]) -> None:
            from hearth.jobs.promote import promote as promote_version

            promote_version(dataset, family, version, way=params["way"])

        @task
        @reporting
        def judge(version: str, run_id: str) -> dict[str, str]:
            return judge_version(dataset, family, version, f"{dag_id(contract, TRAIN, family)}/{run_id}/{TASK}")

        @task(task_id="promote", outlets=[model_asset(dataset)])
        @reporting
        def promote_approved(version: str, answer: dict[str, Any], run_id: str, params: dict[str, Any]) -> None:
            approval = as_approval(answer, f"{dag_id(contract, TRAIN, family)}/{run_id}/{TASK}")
            promote_answered(dataset, family, version, approval, params["way"])

        if contract.gate.approval == "required":
            trained = trained_version(contract, family, processed, search_workers)
            approve = approval_task(contract, "judge")
            judge(trained) >> approve
            promote_approved(trained, approve.output)
        else:
            promote(trained_version(contract, family, processed, search_workers))
    return dag


_settings = SearchWorkersSettings()
for _contract in trainable_contracts():
    for _family in _contract.families if "each_family" in _contract.trainings else ():
        globals()[f"{_contract.name}_{_family}"] = training_dag(_contract, _family, _settings.search_workers)
