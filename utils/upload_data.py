"""Put the raw data of a data set into the object store: the real file if it lies in `data/<name>/`, else generated demo data."""

import argparse
import os
import sys
from pathlib import Path

from hearth.contracts import Contract
from hearth.contracts.airflow_names import LOAD, dag_id
from hearth.contracts.loading import chosen_contracts
from hearth.contracts.model import BatchSource
from hearth.errors import HearthError
from hearth.fakes import DEMO_ROWS, DEMO_SEED, raw_file
from hearth.settings import StorageSettings
from hearth.storage import ObjectStore


def main() -> int:
    """Upload and say which files they were."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="employees", help="one, several such as employees,heart, or all")
    parser.add_argument("--rows", type=int, default=DEMO_ROWS, help="rows to generate if there is no real file")
    parser.add_argument("--seed", type=int, default=DEMO_SEED)
    options = parser.parse_args()
    try:
        settings = StorageSettings()
        store = ObjectStore.from_settings(settings)
        store.ensure_bucket(settings.data_bucket)
        for contract in chosen_contracts(options.dataset, settings.data_dir):
            _upload(store, contract, settings.data_dir, options.rows, options.seed)
    except HearthError as error:
        print(f"The data of {options.dataset!r} could not be uploaded: {error}", file=sys.stderr)
        return 1
    return 0


def _upload(store: ObjectStore, contract: Contract, data_dir: Path, rows: int, seed: int) -> None:
    key = f"{contract.name}/raw/{contract.source.file}"
    if isinstance(contract.source, BatchSource) and store.exists(store.data_bucket, key):
        print(f"s3://{store.data_bucket}/{key} stays as it is: its rows come in batches, by {dag_id(contract, LOAD)}.")
        return
    raw = raw_file(contract, data_dir, Path(os.environ.get("HEARTH_STATE_DIR", ".hearth")), rows, seed)
    store.put(store.data_bucket, key, raw.path.read_bytes())
    origin = f"the real file {raw.path}" if raw.real else f"demo data of {rows:,} fake rows (seed {seed}), in {raw.path}"
    print(f"s3://{store.data_bucket}/{key} holds {origin}.")


if __name__ == "__main__":
    sys.exit(main())
