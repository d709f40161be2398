"""From an HTTP API that hands out batches to the raw file of a data set: one function a DAG task.

Each may run again with the same result: stored batches stay as they are, and the data database counts how many a run has stored. Without
an `api`, a `table` or a `store` the functions connect to those of the environment.
"""

import logging
from dataclasses import dataclass

from hearth.contracts import Contract, load_contract
from hearth.contracts.loading import contract_path
from hearth.contracts.model import BatchSource
from hearth.data.ingest import BatchApi, BatchTable, Exhausted, Export
from hearth.data.raw_origin import has_generated_batch, mark_generated_batch, put_generated
from hearth.errors import InvalidContract, ObjectNotFound, SourceRefused
from hearth.logs import about
from hearth.settings import IngestSettings
from hearth.storage import ObjectStore

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """How many batches a run has stored, and whether it is complete."""

    batches: int
    is_done: bool


def load_batch(  # noqa: PLR0913 - all but three are named
    dataset: str, run: str, limit: int, *, api: BatchApi | None = None, table: BatchTable | None = None, store: ObjectStore | None = None
) -> Progress:
    """Fetch the batch that the source hands out now and store it, unless it is stored already or the run has stored `limit` batches.

    Raises:
        SourceUnavailable, DataUnavailable: a server does not answer; nothing was stored, and trying again is safe.
        SourceRefused: the source hands out nothing, although not all of its batches are stored.
        InvalidBatch, TableMismatch: the batch does not fit the contract, or the table does not; nothing was stored.
    """
    contract = load_contract(dataset)
    source, table = batch_source(contract), table or connect_table(contract)
    stored = table.count(run=run)
    if stored >= limit:
        return Progress(stored, is_done=True)
    answer = (api or _connect_api(contract, source)).fetch()
    if isinstance(answer, Exhausted):
        if not table.count(group=source.group_number):
            raise SourceRefused(
                f"The source of {dataset!r} has no batch of group {source.group_number} ({answer.reason}), and none is stored. Is that its "
                "group (source.group_number)? If the source has handed out all of them before, let it begin anew."
            )
        logger.info("%s: all batches are collected: %s", dataset, answer.reason, extra=about(dataset))
        return Progress(stored, is_done=True)
    if answer.generated:
        mark_generated_batch(store or ObjectStore.from_settings(), dataset, answer.digest)
    if table.store(answer, run):
        stored += 1
        logger.info("%s: %s is stored: %d rows", dataset, answer, len(answer.rows), extra=about(dataset))
    elif table.differs(answer):
        logger.warning(
            "%s: %s is stored already, with other rows than it has now: the stored ones stay", dataset, answer, extra=about(dataset)
        )
    else:
        logger.info("%s: %s is stored already", dataset, answer, extra=about(dataset))
    return Progress(stored, is_done=stored >= limit)


def export_table(dataset: str, *, table: BatchTable | None = None, store: ObjectStore | None = None) -> Export:
    """Write all rows of the table as the raw file that the ETL reads, `<dataset>/raw/<source.file>`, unless it holds them already.

    With a batch in it that its source calls generated, the file is marked as generated.

    Raises:
        InvalidRawData: the table has no rows.
    """
    contract = load_contract(dataset)
    source = batch_source(contract)
    table = table or connect_table(contract)
    export, digests = table.export(), table.digests()
    store = store or ObjectStore.from_settings()
    key = f"{dataset}/raw/{source.file}"
    try:
        is_there = store.get(store.data_bucket, key) == export.content
    except ObjectNotFound:
        is_there = False
    if has_generated_batch(store, dataset, digests):
        put_generated(store, dataset, key, export.content)
    elif not is_there:
        store.put(store.data_bucket, key, export.content)
    if not is_there:
        logger.info("s3://%s/%s holds %d rows of %d batches", store.data_bucket, key, export.rows, export.batches)
    return export


def clear(dataset: str, *, table: BatchTable | None = None) -> None:
    """Remove all rows of the data set's table and the records of its batches, in one transaction; the raw file stays."""
    contract = load_contract(dataset)
    table = table or connect_table(contract)
    cleared = table.clear()
    logger.info("%s.%s: %d rows of %d batches were removed", table.place, table.name, cleared.rows, cleared.batches)


def connect_table(contract: Contract) -> BatchTable:
    """Return the table of a data set in the database of the environment."""
    return BatchTable(IngestSettings().data_db_url.get_secret_value(), contract, batch_source(contract).table)


def batch_source(contract: Contract) -> BatchSource:
    """Return the source of batches of a data set.

    Raises:
        InvalidContract: its data do not come in batches.
    """
    if not isinstance(contract.source, BatchSource):
        raise InvalidContract(contract_path(contract.name), "source.kind", "is not 'batches': there is nothing to load")
    return contract.source


def _connect_api(contract: Contract, source: BatchSource) -> BatchApi:
    return BatchApi(IngestSettings().batch_api_url, contract, source.path, source.group_number)
