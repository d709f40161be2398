"""The assets that join the DAGs: what one publishes and another waits for, and what it says of it.

A run that an event started takes no Params of its own, so what somebody asks of the trainings when they start the ETL goes along with
the events, as `trials`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from airflow.sdk import Asset, Param

MOST_TRIALS = 1_000


class AssetEvent(Protocol):
    """What an update of an asset says."""

    @property
    def extra(self) -> Mapping[str, Any]: ...


def raw_asset(dataset: str) -> Asset:
    """Return the asset that `load_data` updates when the raw file has new rows; its events carry `digest`, `rows` and `batches`."""
    return Asset(f"{dataset}/raw")


def processed_asset(dataset: str) -> Asset:
    """Return the asset that the ETL updates; its events carry `digest` and `rows`."""
    return Asset(f"{dataset}/processed")


def model_asset(dataset: str) -> Asset:
    """Return the asset that a training updates when an alias has moved."""
    return Asset(f"{dataset}/model")


def later_trials() -> Param:
    """Return the Param of a DAG that trains nothing itself."""
    return Param(
        None,
        type=["null", "integer"],
        minimum=1,
        maximum=MOST_TRIALS,
        title="Trials",
        description="Sets of parameters that the trainings try which this run sets off; empty: as many as they do by themselves.",
    )


def asked_trials(events: Sequence[AssetEvent]) -> int | None:
    """Return how many trials the events that started a run ask for; of several publications that became one run the last counts."""
    return events[-1].extra.get("trials") if events else None
