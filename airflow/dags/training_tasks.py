"""The tasks of a training until its version is registered: `train` alone, or `plan_search`, some `search` and `train`."""

from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, task

from assets import requested_trials
from hearth.contracts import Contract
from task_defaults import reporting

if TYPE_CHECKING:
    from airflow.sdk import XComArg
    from airflow.sdk.execution_time.context import TriggeringAssetEventsAccessor


def trained_version(contract: Contract, family: str, processed: Asset, search_workers: int) -> "XComArg":
    """Make the tasks, and return the number of the version that they register; with 1 worker there is one task."""
    dataset = contract.name

    @task
    @reporting
    def train(params: dict[str, Any], run_id: str, triggering_asset_events: "TriggeringAssetEventsAccessor") -> str:
        from hearth.jobs.train import train as train_version

        return train_version(dataset, family, key=run_id, **_requested(dataset, processed, params, triggering_asset_events))

    return train() if search_workers == 1 else _searched_version(dataset, family, processed)


def _searched_version(dataset: str, family: str, processed: Asset) -> "XComArg":
    @task
    @reporting
    def plan_search(params: dict[str, Any], run_id: str, triggering_asset_events: "TriggeringAssetEventsAccessor") -> list[int]:
        from hearth.jobs.shared_search import plan

        return plan(dataset, family, key=run_id, **_requested(dataset, processed, params, triggering_asset_events))

    @task
    @reporting
    def search(worker: int, run_id: str) -> int:
        from hearth.jobs.shared_search import work

        return work(dataset, family, worker, key=run_id)

    @task(trigger_rule="all_done")  # it takes over what workers have left, whatever became of them
    @reporting
    def train(
        workers: list[int] | None, params: dict[str, Any], run_id: str, triggering_asset_events: "TriggeringAssetEventsAccessor"
    ) -> str:
        from airflow.sdk.exceptions import AirflowFailException

        from hearth.jobs.train import finish_training
        from hearth.jobs.train import train as train_version

        if workers is None:
            raise AirflowFailException("The search was not planned: the log of plan_search says why.")
        version = finish_training(dataset, family, key=run_id) if workers else None
        return version or train_version(dataset, family, key=run_id, **_requested(dataset, processed, params, triggering_asset_events))

    workers = plan_search()
    trained = train(workers)
    search.expand(worker=workers) >> trained
    return trained


def _requested(
    dataset: str, processed: Asset, params: dict[str, Any], triggering_asset_events: "TriggeringAssetEventsAccessor"
) -> dict[str, Any]:
    """Return what the run is to train: the arguments that planning and training have in common."""
    from hearth.data.processed import latest_digest
    from hearth.storage import ObjectStore

    store = ObjectStore.from_settings()
    events = list(triggering_asset_events.get(processed, ()))  # several publications can become one run: the last counts
    published = events[-1].extra.get("digest") if events else None
    digest = params["digest"] or published or latest_digest(store, dataset)
    return {"digest": digest, "trials": requested_trials(events) or params["trials"], "seed": params["seed"], "store": store}
