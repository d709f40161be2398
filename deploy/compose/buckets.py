"""Create the missing buckets: `python -m deploy.compose.buckets`. Waits up to a minute for a store that does not answer yet."""

import logging
import os
import sys
import time

from hearth.errors import HearthError, StorageUnavailable
from hearth.logs import configure_logging
from hearth.settings import StorageSettings
from hearth.storage import ObjectStore

_LOGGER = logging.getLogger(__name__)

_LIMIT_SECONDS = 60


def main() -> int:
    """Create them; 0 if all exist."""
    configure_logging("buckets")
    deadline = time.monotonic() + _LIMIT_SECONDS
    store, mlflow_store = ObjectStore.from_settings(), _mlflow_store()
    mlflow_bucket = os.environ["HEARTH_MLFLOW_BUCKET"]
    buckets = [store.data_bucket, store.processed_bucket, mlflow_bucket]
    while True:
        try:
            store.ensure_bucket(store.data_bucket)
            store.ensure_bucket(store.processed_bucket)
            mlflow_store.ensure_bucket(mlflow_bucket)
        except StorageUnavailable as error:
            if time.monotonic() > deadline:
                _LOGGER.critical("%s", error)
                return 1
            time.sleep(1)
        except HearthError as error:
            _LOGGER.critical("%s", error)
            return 1
        else:
            _LOGGER.info("The buckets %s are at %s.", ", ".join(buckets), store.endpoint_url)
            return 0


def _mlflow_store() -> ObjectStore:
    """Connect with MLflow's key: where each use has a key of its own, no other opens MLflow's bucket."""
    settings = StorageSettings()
    return ObjectStore(
        settings.s3_endpoint_url,
        region=settings.s3_region,
        access_key=os.environ["HEARTH_MLFLOW_S3_ACCESS_KEY"],
        secret_key=os.environ["HEARTH_MLFLOW_S3_SECRET_KEY"],
    )


if __name__ == "__main__":
    sys.exit(main())
