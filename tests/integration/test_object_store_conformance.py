"""What Hearth asks of an S3 store. Runs against a SeaweedFS of its own or, where HEARTH_CONFORMANCE_S3_URL says so, against any store.

HEARTH_CONFORMANCE_S3_URL=http://127.0.0.1:9000 HEARTH_S3_ACCESS_KEY=… HEARTH_S3_SECRET_KEY=… pytest <this file>
"""

import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING
from uuid import uuid4

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.embedded import temporary_servers
from hearth.errors import ObjectNotFound
from hearth.storage import ObjectStore

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PART = 5 * 1024 * 1024  # the smallest that S3 allows
KEYS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=60).filter(
    lambda key: not key.startswith("/") and not {"", ".", ".."} & set(key.split("/")) and "\\" not in key
)


@pytest.fixture(scope="module")
def address(request: pytest.FixtureRequest) -> temporary_servers.ObjectStore:
    if os.environ.get("HEARTH_CONFORMANCE") == "configured":
        url, access, secret, region = (os.environ[f"HEARTH_S3_{name}"] for name in ("ENDPOINT_URL", "ACCESS_KEY", "SECRET_KEY", "REGION"))
        return temporary_servers.ObjectStore(url, access, secret, region)
    started: temporary_servers.ObjectStore = request.getfixturevalue("object_store")
    return started


@pytest.fixture(scope="module")
def store(address: temporary_servers.ObjectStore) -> ObjectStore:
    return ObjectStore(address.endpoint_url, region=address.region, access_key=address.access_key, secret_key=address.secret_key)


@pytest.fixture(scope="module")
def client(address: temporary_servers.ObjectStore) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=address.endpoint_url,
        region_name=address.region,
        aws_access_key_id=address.access_key,
        aws_secret_access_key=address.secret_key,
        config=Config(s3={"addressing_style": "path"}, signature_version="s3v4"),
    )


@pytest.fixture(scope="module")
def bucket(store: ObjectStore, client: "S3Client") -> Iterator[str]:
    name = f"conformance-{uuid4().hex}"
    store.ensure_bucket(name)
    yield name
    for key in store.keys(name):
        client.delete_object(Bucket=name, Key=key)
    client.delete_bucket(Bucket=name)


def test_a_bucket_can_be_made_again_without_harm(store: ObjectStore, bucket: str) -> None:
    store.put(bucket, "kept", b"content")

    store.ensure_bucket(bucket)

    assert store.get(bucket, "kept") == b"content"


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=KEYS, content=st.binary(max_size=2000))
def test_any_key_and_any_bytes_come_back_as_they_were(store: ObjectStore, bucket: str, key: str, content: bytes) -> None:
    folder = f"any/{uuid4().hex}"

    store.put(bucket, f"{folder}/{key}", content)

    assert list(store.keys(bucket, folder)) == [f"{folder}/{key}"]
    assert store.get(bucket, f"{folder}/{key}") == content


def test_a_multipart_upload_is_one_object(client: "S3Client", store: ObjectStore, bucket: str) -> None:
    content = os.urandom(2 * PART + 17)

    client.upload_fileobj(BytesIO(content), bucket, "large", Config=TransferConfig(multipart_threshold=PART, multipart_chunksize=PART))

    assert store.get(bucket, "large") == content
    assert client.head_object(Bucket=bucket, Key="large")["ContentLength"] == len(content)


def test_an_upload_that_was_given_up_leaves_nothing(client: "S3Client", store: ObjectStore, bucket: str) -> None:
    upload = client.create_multipart_upload(Bucket=bucket, Key="given-up")["UploadId"]
    client.upload_part(Bucket=bucket, Key="given-up", UploadId=upload, PartNumber=1, Body=b"x" * PART)

    client.abort_multipart_upload(Bucket=bucket, Key="given-up", UploadId=upload)

    assert not store.exists(bucket, "given-up")


def test_a_listing_goes_on_over_pages_in_order(client: "S3Client", store: ObjectStore, bucket: str) -> None:
    expected = [f"pages/{number:03d}" for number in range(25)]
    for key in reversed(expected):
        store.put(bucket, key, b"")

    pages = list(client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="pages/", PaginationConfig={"PageSize": 10}))

    assert [len(page["Contents"]) for page in pages] == [10, 10, 5]
    assert [entry["Key"] for page in pages for entry in page["Contents"]] == expected


def test_a_write_once_key_keeps_its_first_content(store: ObjectStore, bucket: str) -> None:
    assert store.put(bucket, "once", b"first", if_absent=True)
    assert not store.put(bucket, "once", b"second", if_absent=True)

    assert store.get(bucket, "once") == b"first"


def test_a_part_of_an_object_can_be_read(client: "S3Client", store: ObjectStore, bucket: str) -> None:
    store.put(bucket, "ranges", b"0123456789")

    assert client.get_object(Bucket=bucket, Key="ranges", Range="bytes=3-5")["Body"].read() == b"345"


def test_a_presigned_address_gives_the_object_to_who_has_no_keys(client: "S3Client", store: ObjectStore, bucket: str) -> None:
    store.put(bucket, "shared", b"content")
    address = client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "shared"}, ExpiresIn=60)

    with urllib.request.urlopen(address, timeout=10) as answer:  # noqa: S310 - the store's own http address
        assert answer.read() == b"content"


def test_without_a_signature_nothing_is_given(address: temporary_servers.ObjectStore, store: ObjectStore, bucket: str) -> None:
    store.put(bucket, "private", b"content")

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{address.endpoint_url}/{bucket}/private", timeout=10)  # noqa: S310
    with refused.value:
        assert refused.value.code == 403


def test_what_is_deleted_is_gone(client: "S3Client", store: ObjectStore, bucket: str) -> None:
    store.put(bucket, "gone", b"content")

    client.delete_object(Bucket=bucket, Key="gone")

    assert not store.exists(bucket, "gone")
    with pytest.raises(ObjectNotFound):
        store.get(bucket, "gone")
