"""The object store of a test, in buckets of its own."""

from uuid import uuid4

from deploy.embedded import temporary_servers
from hearth.storage import ObjectStore


def store_of_its_own(object_store: temporary_servers.ObjectStore) -> ObjectStore:
    """Return a running object store with two empty buckets that no other test knows."""
    name = uuid4().hex
    store = ObjectStore(
        object_store.endpoint_url,
        region=object_store.region,
        access_key=object_store.access_key,
        secret_key=object_store.secret_key,
        data_bucket=f"data-{name}",
        processed_bucket=f"processed-{name}",
    )
    store.ensure_bucket(store.data_bucket)
    store.ensure_bucket(store.processed_bucket)
    return store
