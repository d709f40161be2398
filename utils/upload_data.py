"""Put the raw data of a data set into the object store: the real file if it lies in `data/<name>/`, else generated demo data."""

import argparse
import os
import sys
from pathlib import Path

from hearth.contracts import load_contract
from hearth.errors import HearthError
from hearth.fakes import DEMO_ROWS, DEMO_SEED, raw_file
from hearth.settings import StorageSettings
from hearth.storage import ObjectStore


def main() -> int:
    """Upload and say which file it was."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="employees")
    parser.add_argument("--rows", type=int, default=DEMO_ROWS, help="rows to generate if there is no real file")
    parser.add_argument("--seed", type=int, default=DEMO_SEED)
    options = parser.parse_args()
    try:
        settings = StorageSettings()
        contract = load_contract(options.dataset, settings.data_dir)
        state_dir = Path(os.environ.get("HEARTH_STATE_DIR", ".hearth"))
        raw = raw_file(contract, settings.data_dir, state_dir, options.rows, options.seed)
        store = ObjectStore.from_settings(settings)
        store.ensure_bucket(settings.data_bucket)
        key = f"{contract.name}/raw/{contract.source.file}"
        store.put(settings.data_bucket, key, raw.path.read_bytes())
    except HearthError as error:
        print(f"The data of {options.dataset!r} could not be uploaded: {error}", file=sys.stderr)
        return 1
    origin = f"the real file {raw.path}" if raw.real else f"demo data of {options.rows:,} fake rows (seed {options.seed}), in {raw.path}"
    print(f"s3://{settings.data_bucket}/{key} holds {origin}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
