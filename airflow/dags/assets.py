"""The assets that join the DAGs: what one publishes and another waits for."""

from airflow.sdk import Asset


def raw_asset(dataset: str) -> Asset:
    """Return the asset that `load_data` updates when the raw file has new rows; its events carry `digest`, `rows` and `batches`."""
    return Asset(f"{dataset}/raw")


def processed_asset(dataset: str) -> Asset:
    """Return the asset that the ETL updates; its events carry `digest` and `rows`."""
    return Asset(f"{dataset}/processed")


def model_asset(dataset: str) -> Asset:
    """Return the asset that a training updates when an alias has moved."""
    return Asset(f"{dataset}/model")
