"""The task that fetches batches and releases its worker slot between two requests."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from task_defaults import reporting

if TYPE_CHECKING:
    from airflow.sdk import Context


class FetchBatches(BaseOperator):
    """Fetch batches until the run has stored as many as its Param `batches` says, or the source has no more.

    Between two requests the task is deferred: the triggerer waits for `wait_seconds`, and no worker does. A task that is retried or was
    interrupted continues where its run was, because the data database counts the batches of each run.
    """

    def __init__(self, *, dataset: str, **kwargs: Any) -> None:  # noqa: ANN401 - what every operator has
        super().__init__(**kwargs)
        self.dataset = dataset

    @reporting
    def execute(self, context: "Context") -> int:
        """Fetch one batch, then wait for the next; returns the number of batches that the run has stored."""
        from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

        from hearth.jobs.load_batches import load_batch

        params: dict[str, Any] = context["params"]
        progress = load_batch(self.dataset, context["run_id"], params["batches"])
        if not progress.is_done:
            self.defer(trigger=TimeDeltaTrigger(timedelta(seconds=params["wait_seconds"])), method_name=self.go_on.__name__)
        return progress.batches

    def go_on(self, context: "Context", event: object = None) -> int:  # noqa: ARG002 - when it was is of no interest
        """Continue after the wait."""
        return self.execute(context)
