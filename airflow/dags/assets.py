"""The assets that join the DAGs: one updates an asset, which starts another.

A run that an asset starts has no Params of its own, so the trials that a person requests of the ETL go along with the events, as
`trials`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from airflow.sdk import Asset, Param

MOST_TRIALS = 1_000


class AssetEvent(Protocol):
    """An update of an asset."""

    @property
    def extra(self) -> Mapping[str, Any]: ...


def raw_asset(dataset: str) -> Asset:
    """Return the asset that `load_data` updates when the raw file has new rows; its events carry `digest`, `rows` and `batches`."""
    return Asset(f"{dataset}/raw")


def processed_asset(dataset: str) -> Asset:
    """Return the asset that the ETL updates; its events carry `digest` and `rows`."""
    return Asset(f"{dataset}/processed")


def model_asset(dataset: str) -> Asset:
    """Return the asset that a training updates when it has decided about its aliases."""
    return Asset(f"{dataset}/model")


def drift_asset(dataset: str) -> Asset:
    """Return the asset that the monitor updates when the level changes, and while it is `act`; events carry `level` and `version`."""
    return Asset(f"{dataset}/drift")


def quality_asset(dataset: str) -> Asset:
    """Return the asset that the monitor updates while labels say that the champion's quality has fallen; events are as `drift_asset`'s."""
    return Asset(f"{dataset}/quality")


def later_trials() -> Param:
    """Return the Param `trials` of a DAG that starts trainings."""
    return Param(
        None,
        type=["null", "integer"],
        minimum=1,
        maximum=MOST_TRIALS,
        title="Trials",
        description="Sets of parameters that the trainings started by this run try; empty: their own default.",
    )


def requested_trials(events: Sequence[AssetEvent]) -> int | None:
    """Return the trials that the events of a run request; if several publications became one run, the last counts."""
    return events[-1].extra.get("trials") if events else None
