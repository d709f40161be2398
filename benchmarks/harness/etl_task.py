"""One task of the ETL of employees as a process: `python -m benchmarks.harness.etl_task validate|process`.

Prints its seconds, its rows, and its highest memory in bytes.
"""

import sys
import time

from benchmarks.peers.etl_engines import highest_memory
from hearth.data.processed import LINES, read_manifest
from hearth.jobs import etl
from hearth.storage import ObjectStore

_DATASET, _KEY = "employees", "employees/raw/generated.csv"


def main(task: str) -> None:
    store = ObjectStore.from_settings()
    started = time.perf_counter()
    if task == "validate":
        key = etl.validate(_DATASET, _KEY, store=store)
        seconds, memory = time.perf_counter() - started, highest_memory()
        rows = len(store.get_frame(store.data_bucket, key))
    else:
        (key,) = [key for key in store.keys(store.data_bucket, f"{_DATASET}/validated/") if key.endswith(".parquet") and LINES not in key]
        digest = etl.process(_DATASET, key, store=store)
        seconds, memory = time.perf_counter() - started, highest_memory()
        manifest = read_manifest(store, _DATASET, digest)
        rows = manifest.train_rows + manifest.test_rows
    print(seconds, rows, memory)


if __name__ == "__main__":
    main(sys.argv[1])
