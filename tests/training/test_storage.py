import socket
from collections.abc import Iterator
from uuid import uuid4

import pandas as pd
import pytest

from deploy.embedded import temporary_servers
from hearth.errors import ObjectNotFound, StorageError, StorageUnavailable
from hearth.storage import ObjectStore


@pytest.fixture
def bucket(store: ObjectStore) -> str:
    name = f"test-{uuid4().hex}"
    store.ensure_bucket(name)
    return name


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that is bound and does not listen: nothing answers there, and nobody else can take it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_what_is_put_is_what_comes_back(store: ObjectStore, bucket: str) -> None:
    content = bytes(range(256)) * 5000

    assert store.put(bucket, "a folder/with spaces & signs+ä.bin", content)
    assert store.get(bucket, "a folder/with spaces & signs+ä.bin") == content


def test_put_overwrites_unless_it_must_be_absent(store: ObjectStore, bucket: str) -> None:
    assert store.put(bucket, "key", b"first", if_absent=True)
    assert not store.put(bucket, "key", b"second", if_absent=True)
    assert store.get(bucket, "key") == b"first"

    assert store.put(bucket, "key", b"third")
    assert store.get(bucket, "key") == b"third"


def test_a_bucket_is_made_once_and_keeps_what_it_holds(store: ObjectStore, bucket: str) -> None:
    store.put(bucket, "key", b"kept")

    store.ensure_bucket(bucket)

    assert store.get(bucket, "key") == b"kept"


def test_a_missing_key_is_named(store: ObjectStore, bucket: str) -> None:
    with pytest.raises(ObjectNotFound, match=f"s3://{bucket}/no/such.csv"):
        store.get(bucket, "no/such.csv")
    assert not store.exists(bucket, "no/such.csv")


def test_a_missing_bucket_is_named_and_is_no_missing_key(store: ObjectStore) -> None:
    with pytest.raises(StorageError, match="'no-such-bucket' does not exist"):
        list(store.keys("no-such-bucket"))


def test_keys_are_listed_beyond_the_first_page(store: ObjectStore, bucket: str) -> None:
    expected = [f"many/{number:04d}" for number in range(1005)]  # a page holds 1000
    for key in expected:
        store.put(bucket, key, b"")
    store.put(bucket, "other", b"")

    assert list(store.keys(bucket, "many/")) == expected
    assert list(store.keys(bucket, "none/")) == []


def test_a_frame_keeps_types_and_missing_values_and_loses_its_index(store: ObjectStore, bucket: str) -> None:
    frame = pd.DataFrame(
        {
            "text": pd.Series(["ä", None, ""], dtype="str"),
            "number": [1.5, float("nan"), -0.0],
            "whole": pd.Series([1, 2, 3], dtype="int64"),
            "day": pd.Series(["2008-09-30", None, "1999-01-01"], dtype="datetime64[us]"),
        },
        index=[7, 8, 9],
    )

    store.put_frame(bucket, "frame.parquet", frame)

    pd.testing.assert_frame_equal(store.get_frame(bucket, "frame.parquet"), frame.reset_index(drop=True))


def test_an_object_that_is_no_parquet_is_named(store: ObjectStore, bucket: str) -> None:
    store.put(bucket, "frame.parquet", b"not parquet")

    with pytest.raises(StorageError, match=f"s3://{bucket}/frame.parquet is not a parquet file"):
        store.get_frame(bucket, "frame.parquet")


def test_a_store_that_does_not_answer_is_named(closed_port: int) -> None:
    store = ObjectStore(f"http://127.0.0.1:{closed_port}", region="us-east-1", access_key="key", secret_key="secret")

    with pytest.raises(StorageUnavailable, match=f"http://127.0.0.1:{closed_port} does not answer"):
        store.get("data", "key")
    with pytest.raises(StorageUnavailable, match=f"http://127.0.0.1:{closed_port}"):
        store.ensure_bucket("data")


def test_a_wrong_secret_is_refused_with_the_settings_to_check(object_store: temporary_servers.ObjectStore, bucket: str) -> None:
    stranger = ObjectStore(
        object_store.endpoint_url, region=object_store.region, access_key=object_store.access_key, secret_key="not the secret"
    )

    with pytest.raises(StorageError, match="HEARTH_S3_SECRET_KEY"):
        stranger.put(bucket, "key", b"")


def test_the_environment_says_where_the_store_is(
    object_store: temporary_servers.ObjectStore, monkeypatch: pytest.MonkeyPatch, bucket: str
) -> None:
    monkeypatch.setenv("HEARTH_S3_ENDPOINT_URL", object_store.endpoint_url)
    monkeypatch.setenv("HEARTH_S3_ACCESS_KEY", object_store.access_key)
    monkeypatch.setenv("HEARTH_S3_SECRET_KEY", object_store.secret_key)
    monkeypatch.setenv("HEARTH_PROCESSED_BUCKET", "elsewhere")

    store = ObjectStore.from_settings()

    assert store.put(bucket, "key", b"content")
    assert (store.data_bucket, store.processed_bucket) == ("data", "elsewhere")
