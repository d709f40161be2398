"""The assets that join the DAGs: what one publishes and another waits for."""

from airflow.sdk import Asset


def processed_asset(dataset: str) -> Asset:
    """Return the asset that the ETL updates; its events carry `digest` and `rows`."""
    return Asset(f"{dataset}/processed")


def model_asset(dataset: str) -> Asset:
    """Return the asset that a training updates when an alias has moved."""
    return Asset(f"{dataset}/model")
