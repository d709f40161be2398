"""What all tasks of all DAGs have in common: which configuration they accept, when they are retried, and how long they may run."""

from typing import TYPE_CHECKING, Any

from airflow.sdk import RetryDecision, RetryPolicy
from pendulum import duration

from hearth.errors import HearthError

if TYPE_CHECKING:
    from airflow.sdk import Context


class RetryByErrorKind(RetryPolicy):
    """Retries errors that can pass by themselves: a server that is away, too busy or too slow, a worker that was killed.

    Any other error of Hearth fails the task at once with its message, because the next try would raise it again.
    """

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: "Context | None" = None) -> RetryDecision:  # noqa: ARG002 - as Airflow calls it
        """Decide by the error's kind; leave errors that are not Hearth's to Airflow, which retries them."""
        if not isinstance(exception, HearthError) or exception.kind.is_temporary:
            return RetryDecision.default()
        return RetryDecision.fail(f"{exception.code}: {exception}")


def refuse_unknown_params(context: "Context") -> None:
    """Fail the task at once if the run's configuration has a key that is no Param of its DAG: Airflow would ignore it.

    Raises:
        AirflowFailException: the message names the keys and the Params.
    """
    from airflow.sdk.exceptions import AirflowFailException

    dag = context["dag"]
    unknown = [repr(name) for name in sorted(context["dag_run"].conf or {}) if name not in dag.params]
    if unknown:
        params = ", ".join(dag.params) or "none"
        raise AirflowFailException(f"The configuration has unknown keys: {', '.join(unknown)}; the Params of {dag.dag_id} are: {params}.")


def task_defaults(*, minutes: float, retries: int = 2, retry_seconds: float = 10) -> dict[str, Any]:
    """Return the `default_args` of a DAG; `minutes` is the time limit of one try of a task."""
    return {
        "retries": retries,
        "retry_delay": duration(seconds=retry_seconds),
        "retry_policy": RetryByErrorKind(),
        "pre_execute": refuse_unknown_params,
        "execution_timeout": duration(minutes=minutes),
    }
