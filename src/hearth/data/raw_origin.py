"""Whether a raw file holds generated rows.

Who puts generated rows into the bucket says so first, in `<dataset>/generated/<digest of the bytes>.json`: a mark of the content, so that
it holds under every name of the file, and never for another file of the same name. A batch of generated rows is marked in the same way,
by the digest of its rows; a file with such a batch in it is generated.
"""

import hashlib
import json
from collections.abc import Collection

from hearth.contracts import Contract
from hearth.contracts.model import BatchSource
from hearth.contracts.origins import BATCHES, FILE, GENERATED, Origin
from hearth.storage import ObjectStore


def put_generated(store: ObjectStore, dataset: str, key: str, content: bytes, *, if_absent: bool = False) -> bool:
    """Write generated rows as a raw file, marked before they appear; returns False if `if_absent` is set and the key exists."""
    mark = _mark(dataset, hashlib.sha256(content).hexdigest())
    store.put(store.data_bucket, mark, json.dumps({"key": key, "bytes": len(content)}).encode())
    return store.put(store.data_bucket, key, content, if_absent=if_absent)


def mark_generated_batch(store: ObjectStore, dataset: str, digest: str) -> None:
    """Write down that a batch holds generated rows, before it is stored; `digest` is that of its rows."""
    store.put(store.data_bucket, _batch_mark(dataset, digest), b"{}")


def has_generated_batch(store: ObjectStore, dataset: str, digests: Collection[str]) -> bool:
    """Return whether one of these batches holds generated rows."""
    marked = {key.rpartition("/")[2] for key in store.keys(store.data_bucket, _batch_mark(dataset, ""))}
    return not marked.isdisjoint(digests)


def origin_of(store: ObjectStore, contract: Contract, digest: str) -> Origin:
    """Return where the rows of a raw file come from; `digest` is the SHA-256 of its bytes, in hexadecimal digits."""
    if store.exists(store.data_bucket, _mark(contract.name, digest)):
        return GENERATED
    return BATCHES if isinstance(contract.source, BatchSource) else FILE


def _batch_mark(dataset: str, digest: str) -> str:
    return f"{dataset}/generated/batches/{digest}"


def _mark(dataset: str, digest: str) -> str:
    return f"{dataset}/generated/{digest}.json"
