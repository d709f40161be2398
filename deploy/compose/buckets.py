"""Create the missing buckets: `python -m deploy.compose.buckets`. Waits up to a minute for a store that does not answer yet."""

import os
import sys
import time

from hearth.errors import HearthError, StorageUnavailable
from hearth.storage import ObjectStore

_LIMIT_SECONDS = 60


def main() -> int:
    """Create them; 0 if all exist."""
    buckets = [os.environ[f"HEARTH_{name}_BUCKET"] for name in ("DATA", "PROCESSED", "MLFLOW")]
    deadline = time.monotonic() + _LIMIT_SECONDS
    store = ObjectStore.from_settings()
    while True:
        try:
            for bucket in buckets:
                store.ensure_bucket(bucket)
        except StorageUnavailable as error:
            if time.monotonic() > deadline:
                print(error, file=sys.stderr)
                return 1
            time.sleep(1)
        except HearthError as error:
            print(error, file=sys.stderr)
            return 1
        else:
            print(f"The buckets {', '.join(buckets)} are at {store.endpoint_url}.")
            return 0


if __name__ == "__main__":
    sys.exit(main())
