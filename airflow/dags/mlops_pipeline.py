"""Compare all families of a data set, tune the best, deploy it.

**extract_data** puts a raw file into the bucket: the real one if there is one, else generated rows. **preprocess_data** validates, cleans
and splits it. **train_<family>** fits each family on the folds of the train set with the parameters of `airflow/config/model_params.yaml`,
**evaluate_<family>** evaluates its predictions of the rows held out. **select_best_model** selects the best by the gate's rule,
**tune_best_model** multiplies its numbers by the factors and keeps the best variant. **register_model** fits that on the whole train set,
evaluates it on the test set, which is used here for the first time, and registers it; **promote_model** is the gate, **deploy_model** waits
until the REST service serves the version, and **cleanup_old_models** deletes old versions without an alias. Where the contract requires the
approval of a person, **judge_model** decides first without moving anything, **approve** waits for the person, and **promote_model** decides
again with the answer.

The results are also in the Airflow Variables `best_model_type`, `best_model_accuracy` (the contract's metric in cross-validation),
`best_model_tuning_label`, `best_model_tuned_params` and `best_model_tuned_accuracy`; their prefix is that of this DAG.
"""

import json
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Param, Variable, task
from pendulum import datetime

from approval import TASK, approval_task, as_approval, judge_version, promote_answered, runs_at_once
from assets import model_asset
from hearth.contracts import Contract, load_contract
from hearth.contracts.airflow_names import PIPELINE, dag_id, variable_name
from hearth.contracts.deploy_words import WAYS
from hearth.modelling.families import trainable_contracts
from task_defaults import dag_alerts, reporting, task_defaults

MODEL_PARAMS = Path(__file__).parents[1] / "config" / "model_params.yaml"

# Imports are inside the tasks: they are slow, and the file is parsed often.


@task
@reporting
def extract_data(dataset: str) -> str:
    from hearth.jobs.provide_raw import provide

    return provide(dataset)


@task
@reporting
def preprocess_data(dataset: str, raw_key: str) -> str:
    from hearth.jobs import etl
    from hearth.jobs.check_data import check

    digest = etl.process(dataset, check(dataset, etl.validate(dataset, raw_key)))
    etl.log(dataset, digest)
    return digest


@task
@reporting
def train(dataset: str, family: str, digest: str, params: dict[str, Any], run_id: str) -> str:
    from hearth.jobs import compare_families

    return compare_families.cross_validate_family(dataset, family, digest=digest, params_file=MODEL_PARAMS, seed=params["seed"], key=run_id)


@task
@reporting
def evaluate(dataset: str, trained: str) -> str:
    from hearth.jobs import compare_families

    return compare_families.evaluate_candidate(dataset, trained)


@task
@reporting
def select_best_model(dataset: str, judged: list[str]) -> str:
    from hearth.jobs import compare_families

    key = compare_families.select_best(judged)
    best = compare_families.read_candidate(key)
    set_variables(dataset, best_model_type=best.family, best_model_accuracy=f"{best.score:.6f}")
    return key


@task
@reporting
def tune_best_model(dataset: str, judged: str, params: dict[str, Any]) -> str:
    from hearth.jobs import compare_families

    key = compare_families.search_locally(dataset, judged, steps=params["steps"], factors=params["factors"])
    tuned = compare_families.read_candidate(key)
    set_variables(
        dataset,
        best_model_tuning_label=tuned.label,
        best_model_tuned_params=json.dumps(dict(tuned.params)),
        best_model_tuned_accuracy=f"{tuned.score:.6f}",
    )
    return key


@task
@reporting
def register_model(dataset: str, tuned: str) -> str:
    from hearth.jobs import compare_families

    return compare_families.register_candidate(dataset, tuned)


@task
@reporting
def promote_model(dataset: str, version: str, tuned: str, params: dict[str, Any]) -> dict[str, str]:
    from airflow.sdk.exceptions import AirflowSkipException

    from hearth.jobs import compare_families
    from hearth.jobs.deploy_version import carried_alias
    from hearth.jobs.promote import promote

    family = compare_families.read_candidate(tuned).family
    decision = promote(dataset, family, version, way=params["way"])
    if not decision.passed:
        raise AirflowSkipException(f"The gate refuses: {'; '.join(decision.reasons)}")
    return {"alias": carried_alias(dataset, family, version), "version": version}


@task
@reporting
def judge_model(dataset: str, version: str, tuned: str, run_id: str) -> dict[str, str]:
    from hearth.jobs import compare_families

    return judge_version(dataset, compare_families.read_candidate(tuned).family, version, _approval_task(dataset, run_id))


@task(task_id="promote_model")
@reporting
def promote_approved(  # noqa: PLR0913, PLR0917 - what is promoted, and how
    dataset: str, version: str, tuned: str, answer: dict[str, Any], run_id: str, params: dict[str, Any]
) -> dict[str, str]:
    from hearth.jobs import compare_families
    from hearth.jobs.deploy_version import carried_alias

    family = compare_families.read_candidate(tuned).family
    promote_answered(dataset, family, version, as_approval(answer, _approval_task(dataset, run_id)), params["way"])
    return {"alias": carried_alias(dataset, family, version), "version": version}


def _approval_task(dataset: str, run_id: str) -> str:
    return f"{dag_id(load_contract(dataset), PIPELINE)}/{run_id}/{TASK}"


@task.sensor(poke_interval=2, timeout=300, mode="poke")
@reporting
def deploy_model(dataset: str, promoted: dict[str, str]) -> bool:
    from airflow.sdk.exceptions import AirflowSkipException

    from hearth.jobs.deployment import has_service, is_served

    if not has_service():
        raise AirflowSkipException("HEARTH_API_URL is empty: there is no service to wait for.")
    return is_served(dataset, promoted["alias"], promoted["version"])


@task(trigger_rule="none_failed")  # also when the gate has refused
@reporting
def cleanup_old_models(dataset: str, params: dict[str, Any]) -> list[str]:
    from hearth.jobs.cleanup import remove_old_versions

    return remove_old_versions(dataset, params["keep"])


def set_variables(dataset: str, **values: str) -> None:
    """Set Airflow Variables of a data set."""
    for name, value in values.items():
        Variable.set(variable_name(load_contract(dataset), name), value)


def pipeline_dag(contract: Contract) -> DAG:
    dataset = contract.name
    with DAG(
        dag_id=dag_id(contract, PIPELINE),
        description=f"{contract.title}: compare the families, tune the best, deploy it",
        schedule=None,
        start_date=datetime(2026, 1, 1, tz="UTC"),
        catchup=False,
        max_active_runs=runs_at_once(contract),
        default_args=task_defaults(minutes=30),
        **dag_alerts(dataset),
        params={
            "steps": Param(2, type="integer", minimum=0, maximum=20, title="Steps", description="Rounds of variation, at most."),
            "factors": Param(
                [0.9, 1.1],
                type="array",
                items={"type": "number", "exclusiveMinimum": 0},
                minItems=1,
                title="Factors",
                description="What each numeric parameter is multiplied by. Booleans and seeds are left alone.",
            ),
            "seed": Param(
                42, type="integer", minimum=0, maximum=2**31 - 1, title="Seed", description="The same seed gives the same models."
            ),
            "way": Param(
                None,
                type=["null", "string"],
                enum=[None, *WAYS],
                title="Deployment",
                description="How a version that would be champion is deployed; empty: as the contract says.",
            ),
            "keep": Param(10, type="integer", minimum=1, maximum=10_000, title="Keep", description="How many of the latest versions stay."),
        },
        tags=["training", "pipeline", dataset],
        doc_md=__doc__,
    ) as dag:
        digest = preprocess_data(dataset, extract_data(dataset))
        judged = []
        for family in contract.families:
            trained = train.override(task_id=f"train_{family}")(dataset, family, digest)
            judged.append(evaluate.override(task_id=f"evaluate_{family}")(dataset, trained))
        tuned = tune_best_model(dataset, select_best_model(dataset, judged))
        version = register_model(dataset, tuned)
        if contract.gate.approval == "required":
            approve = approval_task(contract, "judge_model")
            judge_model(dataset, version, tuned) >> approve
            promoted = promote_approved.override(outlets=[model_asset(dataset)])(dataset, version, tuned, approve.output)
        else:
            promoted = promote_model.override(outlets=[model_asset(dataset)])(dataset, version, tuned)
        deploy_model(dataset, promoted) >> cleanup_old_models(dataset)
    return dag


for _contract in trainable_contracts():
    if "best_family" in _contract.trainings:
        globals()[f"{_contract.name}_pipeline"] = pipeline_dag(_contract)
