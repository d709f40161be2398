"""What all tasks of all DAGs have in common: their configuration, how they report errors, when they are retried, how long they may run."""

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict, TypeVar

from airflow.sdk import RetryDecision, RetryPolicy
from airflow.sdk.exceptions import AirflowException
from pendulum import duration

from hearth.errors import HearthError

if TYPE_CHECKING:
    from airflow.sdk import Context

_LOGGER = logging.getLogger("hearth.task")
_P = ParamSpec("_P")
_R = TypeVar("_R")


def reporting(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Wrap a task's function: it runs in the trace of its DAG run, and the message of an error is a line of the log by itself.

    That line comes before the stack that Airflow adds.
    """

    @functools.wraps(function)
    def reported(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        from hearth.tracing.otel import in_current_span  # slow: when the task runs, not when the file is parsed

        try:
            with in_current_span():
                return function(*args, **kwargs)
        except AirflowException:  # a task that is skipped, say
            raise
        except Exception as error:
            _LOGGER.error("%s", describe(error))  # noqa: TRY400 - the trace comes behind it
            raise

    return reported


def describe(error: BaseException) -> str:
    """Return an error in one line: the code of one of Hearth's, or the class, and the message."""
    return f"{error.code if isinstance(error, HearthError) else type(error).__name__}: {error}"


class RetryByErrorKind(RetryPolicy):
    """Retries errors that can pass by themselves: a server that is away, too busy or too slow, a worker that was killed.

    Any other error of Hearth fails the task at once with its message, because the next try would raise it again.
    """

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: "Context | None" = None) -> RetryDecision:  # noqa: ARG002 - as Airflow calls it
        """Decide by the error's kind; leave errors that are not Hearth's to Airflow, which retries them."""
        if not isinstance(exception, HearthError) or exception.kind.is_temporary:
            return RetryDecision.default()
        return RetryDecision.fail(describe(exception))


_LOG_FIELDS = ("request_id", "dataset", "alias", "version", "message_id")  # hearth.logs.context


def prepare_task(context: "Context") -> None:
    """Before a task: put what it is into each line of its log, and refuse a run with unknown keys.

    Raises:
        AirflowFailException: the message names the keys and the Params.
    """
    say_whose_log_it_is(context)
    refuse_unknown_params(context)


def say_whose_log_it_is(context: "Context") -> None:
    """Give the lines of this task's log, which are JSON whatever the setting, the fields that the logs of all processes have."""
    import structlog

    task_instance = context["ti"]
    structlog.contextvars.bind_contextvars(service="airflow-task", dag_id=task_instance.dag_id, run_id=task_instance.run_id)
    for handler in logging.getLogger().handlers:
        formatter = handler.formatter
        if not isinstance(formatter, structlog.stdlib.ProcessorFormatter):
            continue
        chain = formatter.foreign_pre_chain or ()  # it knows nothing of `extra` by itself
        if not any(isinstance(step, structlog.stdlib.ExtraAdder) for step in chain):
            formatter.foreign_pre_chain = [*chain, structlog.stdlib.ExtraAdder(_LOG_FIELDS)]


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
        message = f"The configuration has unknown keys: {', '.join(unknown)}; the Params of {dag.dag_id} are: {params}."
        _LOGGER.error("%s", message)
        raise AirflowFailException(message)


class DagAlerts(TypedDict):
    """Arguments of a DAG."""

    on_failure_callback: Callable[["Context"], None]
    on_success_callback: Callable[["Context"], None]


def dag_alerts(dataset: str) -> DagAlerts:
    """Return the arguments of a DAG by which a failed run is an alert of a data set, which the next success resolves."""

    def report_failure(context: "Context") -> None:
        from hearth.jobs import dag_alerts as jobs

        task_instance = context.get("ti")  # only if a task has ended the run
        task_id = task_instance.task_id if task_instance else ""
        jobs.report_failure(
            jobs.EndedRun(context["dag"].dag_id, dataset, str(context.get("run_id")), str(context.get("reason") or ""), task_id)
        )

    def report_success(context: "Context") -> None:
        from hearth.jobs import dag_alerts as jobs

        jobs.report_success(jobs.EndedRun(context["dag"].dag_id, dataset, str(context.get("run_id"))))

    return {"on_failure_callback": report_failure, "on_success_callback": report_success}


def task_defaults(*, minutes: float, retries: int = 2, retry_seconds: float = 10) -> dict[str, Any]:
    """Return the `default_args` of a DAG; `minutes` is the time limit of one try of a task."""
    return {
        "retries": retries,
        "retry_delay": duration(seconds=retry_seconds),
        "retry_policy": RetryByErrorKind(),
        "pre_execute": prepare_task,
        "execution_timeout": duration(minutes=minutes),
    }
