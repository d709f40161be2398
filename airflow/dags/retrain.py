"""Train again on records that were served and have got a label, and deploy what is better on the newest of them.

**decide** stores whether to train, and why; it skips the rest if not. The DAG runs when the monitor finds drift, when labels say that
quality has fallen, on a schedule (`HEARTH_RETRAIN_SCHEDULE`), and by hand. **write_data** makes two data sets of the labelled records:
these alone, and with the train set that was published last. **train** tunes and fits a family on each, **register** makes the best a
version, **judge** compares it with the champion on the newest labelled records and on the old test set, **deploy** deploys it if it is
better by more than noise. **end** notes a failure. Where the contract requires the approval of a person, **ask** and **approve** come
before **deploy**. All tasks may run again: a run gives one decision and one version.
"""

from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, Param, task
from pendulum import datetime

from approval import TASK, approval_task, as_approval, judge_version
from assets import MOST_TRIALS, drift_asset, model_asset, quality_asset
from hearth.contracts import Contract
from hearth.contracts.airflow_names import RETRAIN, dag_id
from hearth.contracts.deploy_words import WAYS
from hearth.modelling.families import trainable_contracts
from hearth.settings import RetrainScheduleSettings
from task_defaults import dag_alerts, reporting, task_defaults

if TYPE_CHECKING:
    from airflow.sdk.types import DagRunProtocol

    from hearth.contracts.deploy_words import Way
    from hearth.modelling.approval import Approval

# Imports are inside the tasks: they are slow, and the file is parsed often.


@task
@reporting
def decide(dataset: str, dag_run: "DagRunProtocol", params: dict[str, Any]) -> str:
    from airflow.sdk.exceptions import AirflowSkipException

    from hearth.jobs.retrain import open_retraining

    run, kind = run_name(dag_run), dag_run.run_type
    with open_retraining(dataset) as retraining:
        row = retraining.decide(run, by_person=kind == "manual", force=params["force"], scheduled=kind == "scheduled")
    if row is None or row.id != run or not row.state.trains:
        raise AirflowSkipException(row.why if row else f"{dataset}: another retraining has begun.")
    return run


@task
@reporting
def write_data(dataset: str, run: str, params: dict[str, Any]) -> list[dict[str, str]]:
    from hearth.jobs.retrain import open_retraining

    with open_retraining(dataset) as retraining:
        digests = retraining.write_data(run)
        families = params["families"] or retraining.families()
    return [{"family": family, "digest": digest, "way": way} for family in families for way, digest in digests.items()]


@task(map_index_template="{{ candidate['family'] }} {{ candidate['way'] }}")
@reporting
def train(dataset: str, run: str, candidate: dict[str, str], params: dict[str, Any]) -> str:
    from hearth.jobs.retrain import open_retraining

    with open_retraining(dataset) as retraining:
        return retraining.train(run, candidate["family"], candidate["digest"], trials=params["trials"], seed=params["seed"])


@task
@reporting
def register(dataset: str, run: str, keys: list[str]) -> str:
    from hearth.jobs.retrain import open_retraining

    with open_retraining(dataset) as retraining:
        return retraining.register(run, list(keys))


@task
@reporting
def judge(dataset: str, run: str, version: str) -> str:
    from airflow.sdk.exceptions import AirflowSkipException

    from hearth.jobs.retrain import open_retraining

    with open_retraining(dataset) as retraining:
        verdict = retraining.judge(run, version)
        if not verdict.passed:
            raise AirflowSkipException(retraining.refuse(run, verdict).why)
    return version


@task
@reporting
def ask(dataset: str, version: str, run_id: str, approving: str) -> dict[str, str]:
    from hearth.registry import Registry

    family = Registry.from_settings().version(dataset, version).family
    return judge_version(dataset, family, version, f"{approving}/{run_id}/{TASK}")


@task
@reporting
def deploy(dataset: str, run: str, version: str, params: dict[str, Any]) -> str:
    return deploy_judged(dataset, run, version, None, params["way"])


@task(task_id="deploy")
@reporting
def deploy_approved(  # noqa: PLR0913, PLR0917 - what is deployed, and who lets it
    dataset: str, run: str, version: str, answer: dict[str, Any], run_id: str, approving: str, params: dict[str, Any]
) -> str:
    return deploy_judged(dataset, run, version, as_approval(answer, f"{approving}/{run_id}/{TASK}"), params["way"])


@task(trigger_rule="all_done")
@reporting
def end(dataset: str, dag_run: "DagRunProtocol") -> str:
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

    from hearth.jobs.retrain import open_retraining

    with open_retraining(dataset) as retraining:
        row = retraining.end(run_name(dag_run))
    if row is None or not row.state.trains:
        raise AirflowSkipException(row.why if row else "Nothing was trained.")
    if row.state == "failed":  # else the run would be a success: this task is its last
        raise AirflowFailException(row.why)
    return row.why


def run_name(dag_run: "DagRunProtocol") -> str:
    """Return the key of a run in the table `retrains`."""
    return f"{dag_run.dag_id}/{dag_run.run_id}"


def deploy_judged(dataset: str, run: str, version: str, approval: "Approval | None", way: "Way | None") -> str:
    """Deploy a version that was judged, and skip what follows if the gate or the person refuses it."""
    from airflow.sdk.exceptions import AirflowSkipException

    from hearth.jobs.retrain import open_retraining

    with open_retraining(dataset) as retraining:
        row = retraining.deploy(run, retraining.judge(run, version), approval, way)
    if row.state != "deployed":
        raise AirflowSkipException(row.why)
    return row.why


def retrain_dag(contract: Contract, settings: RetrainScheduleSettings) -> DAG:
    dataset, alarms = contract.name, drift_asset(contract.name) | quality_asset(contract.name)
    cron = settings.retrain_schedule
    name = dag_id(contract, RETRAIN)
    with DAG(
        dag_id=name,
        description=f"{contract.title}: train again on served records with labels",
        schedule=alarms if cron == "none" else AssetOrTimeSchedule(timetable=CronTriggerTimetable(cron, timezone="UTC"), assets=alarms),
        start_date=datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        max_active_runs=1,
        default_args=task_defaults(minutes=60),
        **dag_alerts(dataset),
        params={
            "families": Param(
                None,
                type=["null", "array"],
                items={"type": "string", "enum": list(contract.families)},
                minItems=1,
                title="Families",
                description="Which are trained; empty: that of the champion.",
            ),
            "trials": Param(
                5,
                type="integer",
                minimum=1,
                maximum=MOST_TRIALS,
                title="Trials",
                description="Sets of parameters to try for each candidate.",
            ),
            "seed": Param(
                42, type="integer", minimum=0, maximum=2**31 - 1, title="Seed", description="The same seed gives the same models."
            ),
            "way": Param(
                None,
                type=["null", "string"],
                enum=[None, *WAYS],
                title="Deployment",
                description="How a version that is better is deployed; empty: as the contract says.",
            ),
            "force": Param(default=False, type="boolean", title="Force", description="By hand: train also if the labels are not new."),
        },
        tags=["training", "monitoring", dataset],
        doc_md=__doc__,
    ) as dag:
        run = decide(dataset)
        keys = train.partial(dataset=dataset, run=run).expand(candidate=write_data(dataset, run))
        judged = judge(dataset, run, register(dataset, run, keys))
        if contract.gate.approval == "required":
            approve = approval_task(contract, "ask")
            ask(dataset, judged, approving=name) >> approve
            deployed = deploy_approved.override(outlets=[model_asset(dataset)])(dataset, run, judged, approve.output, approving=name)
        else:
            deployed = deploy.override(outlets=[model_asset(dataset)])(dataset, run, judged)
        deployed >> end(dataset)
    return dag


for _contract in trainable_contracts():
    globals()[f"{_contract.name}_retrain"] = retrain_dag(_contract, RetrainScheduleSettings())
