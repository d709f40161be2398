"""Whether a raw file holds generated rows.

Who puts generated rows into the bucket says so first, in `<dataset>/generated/<digest of the bytes>.json`: a mark of the content, so that
it holds under every name of the file, and never for another file of the same name.
"""

import hashlib
import json
from io import BytesIO
from typing import BinaryIO

from hearth.contracts import Contract
from hearth.contracts.model import BatchSource
from hearth.contracts.origins import BATCHES, FILE, GENERATED, Origin
from hearth.storage import ObjectStore

_CHUNK = 1 << 20  # bytes


def put_generated(store: ObjectStore, dataset: str, key: str, content: bytes, *, if_absent: bool = False) -> bool:
    """Write generated rows as a raw file, marked before they appear; returns False if `if_absent` is set and the key exists."""
    store.put(store.data_bucket, _mark(dataset, BytesIO(content)), json.dumps({"key": key, "bytes": len(content)}).encode())
    return store.put(store.data_bucket, key, content, if_absent=if_absent)


def raw_origin(store: ObjectStore, contract: Contract, file: BinaryIO) -> Origin:
    """Return where the rows of a raw file come from."""
    if store.exists(store.data_bucket, _mark(contract.name, file)):
        return GENERATED
    return BATCHES if isinstance(contract.source, BatchSource) else FILE


def hash_file(file: BinaryIO) -> "hashlib._Hash":
    """Return the SHA-256 of a whole file; more can be added to it."""
    sha = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(_CHUNK):
        sha.update(chunk)
    return sha


def _mark(dataset: str, file: BinaryIO) -> str:
    return f"{dataset}/generated/{hash_file(file).hexdigest()}.json"
