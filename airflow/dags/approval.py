"""The task that waits for a person before an alias moves, where the contract says so (`gate.approval: required`).

Airflow's own operator of the human in the loop: the task waits in the state `awaiting_input`, which holds no worker, and is answered under
"Required Actions" in Airflow, by its REST API, or by `hearth approve` and `hearth refuse`. When the time is over, the answer is "Reject".
"""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param

from hearth.contracts import Contract

if TYPE_CHECKING:
    from hearth.contracts.deploy_words import Way
    from hearth.modelling.approval import Approval

APPROVE, REJECT = "Approve", "Reject"
TASK = "approve"
_WAITING_RUNS = 8


def approval_task(contract: Contract, judged_by: str) -> HITLOperator:
    """Make the task; `judged_by` is the id of the task whose result says what the gate found."""
    return HITLOperator(
        task_id=TASK,
        subject=f"{contract.name}: {{{{ ti.xcom_pull(task_ids='{judged_by}')['subject'] }}}}",
        body=f"{{{{ ti.xcom_pull(task_ids='{judged_by}')['body'] }}}}",
        options=[APPROVE, REJECT],
        defaults=[REJECT],
        response_timeout=timedelta(hours=contract.gate.approval_hours),
        execution_timeout=None,
        retries=0,
        params={"comment": Param("", type="string", maxLength=1_000, title="Comment", description="Why; it is kept with the version.")},
    )


def runs_at_once(contract: Contract) -> int:
    """Return how many runs of a training DAG there may be at once: one that waits for a person must not hold up others."""
    return _WAITING_RUNS if contract.gate.approval == "required" else 1


def as_approval(answer: dict[str, Any], task: str) -> "Approval":
    """Return what the person answered."""
    from hearth.modelling.approval import NOBODY, Approval, written

    user = answer.get("responded_by_user") or {}
    return Approval(
        state="approved" if answer["chosen_options"] == [APPROVE] else "refused",
        by=written(str(user.get("name") or user.get("id") or "")) or NOBODY,
        at=str(answer.get("responded_at") or ""),
        comment=written(str((answer.get("params_input") or {}).get("comment") or "")),
        task=task,
    )


def judge_version(dataset: str, family: str, version: str, task: str) -> dict[str, str]:
    """Let the gate decide about a version without moving an alias; returns what the person is asked, and skips the rest if it refuses."""
    from airflow.sdk.exceptions import AirflowSkipException

    from hearth.jobs.promote import judge

    decision = judge(dataset, family, version, task)
    reasons = "\n".join(f"- {reason}" for reason in decision.reasons)
    if not decision.waits:
        raise AirflowSkipException(f"Nothing waits for a person: {'; '.join(decision.reasons)}")
    return {"subject": f"may version {version} take the alias {family}?", "body": f"The gate lets it pass:\n\n{reasons}"}


def promote_answered(dataset: str, family: str, version: str, answer: "Approval", way: "Way | None") -> None:
    """Promote a version with the answer of a person; skips what follows if it gets no alias."""
    from airflow.sdk.exceptions import AirflowSkipException

    from hearth.jobs.promote import promote

    decision = promote(dataset, family, version, approval=answer, way=way)
    if not decision.passed:
        raise AirflowSkipException(f"No alias moves: {'; '.join(decision.reasons)}")
