"""Put a raw file into the bucket."""

import logging

from hearth.contracts import load_contract
from hearth.data.raw_origin import put_generated
from hearth.fakes import DEMO_ROWS, DEMO_SEED, FakeRecords, real_file
from hearth.settings import get_settings
from hearth.storage import ObjectStore

_LOGGER = logging.getLogger(__name__)


def provide(dataset: str, *, store: ObjectStore | None = None) -> str:
    """Put the real file into the bucket if it lies in the data set's folder; without one, generate rows unless the bucket has a file.

    Returns:
        The key of the raw file.

    Raises:
        InvalidStatistics: rows have to be generated, and their statistics have a mistake.
    """
    contract, store, data_dir = load_contract(dataset), store or ObjectStore.from_settings(), get_settings().data_dir
    bucket, key = store.data_bucket, f"{dataset}/raw/{contract.source.file}"
    if (real := real_file(contract, data_dir)) is not None:
        store.put(bucket, key, real.read_bytes())
        _LOGGER.info("s3://%s/%s holds the real file %s", bucket, key, real)
    elif store.exists(bucket, key):
        _LOGGER.info("s3://%s/%s is there", bucket, key)
    else:
        frame = FakeRecords.load(contract, data_dir).frame(DEMO_ROWS, DEMO_SEED)
        put_generated(store, dataset, key, frame.to_csv(index=False, lineterminator="\n").encode(), if_absent=True)
        _LOGGER.info("s3://%s/%s holds %d generated rows (seed %d)", bucket, key, DEMO_ROWS, DEMO_SEED)
    return key
