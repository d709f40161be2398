"""Who gets at the buckets of a real SeaweedFS, started as the embedded stack starts it: S3 keys with rights, and nobody else."""

import io
import os
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from boto3.exceptions import S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from deploy.embedded import objectstore, s3_requests, temporary_servers
from deploy.embedded.launcher import SettingError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

BUCKETS = ("data", "processed", "mlflow")
OF_A_PAGE = {"Origin": "https://evil.example.com"}


@pytest.fixture(scope="module")
def store() -> Iterator[temporary_servers.ObjectStore]:
    with temporary_servers.object_store() as started:
        for bucket in BUCKETS:
            client(started, "test").put_object(Bucket=bucket, Key="kept", Body=b"content")
        yield started


def client(store: temporary_servers.ObjectStore, owner: str) -> "S3Client":
    return boto3.client(
        "s3",
        endpoint_url=store.endpoint_url,
        region_name=store.region,
        aws_access_key_id=owner,
        aws_secret_access_key=store.secrets[owner],
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


def ask(url: str, method: str = "GET", body: bytes | None = None) -> int:
    """Return the status of a request that a web page could send."""
    request = urllib.request.Request(url, method=method, data=body, headers=OF_A_PAGE)  # noqa: S310 - of a server that the test started
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def url(store: temporary_servers.ObjectStore, component: str, path: str) -> str:
    return f"http://127.0.0.1:{store.ports[component]}{path}"


@pytest.mark.parametrize("path", ["/", "/buckets/", "/buckets/data/", "/buckets/data/kept", "/buckets/mlflow/kept", "/.tus/"])
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_the_filer_answers_no_page(store: temporary_servers.ObjectStore, path: str, method: str) -> None:
    assert ask(url(store, "FILER_", path), method, b"overwritten" if method in {"POST", "PUT"} else None) in {401, 403, 404, 405}
    assert client(store, "test").get_object(Bucket="data", Key="kept")["Body"].read() == b"content"


@pytest.mark.parametrize(
    "path",
    ["/dir/assign", "/dir/lookup?volumeId=1", "/dir/status", "/col/delete?collection=data", "/vol/vacuum", "/vol/grow?count=1", "/submit"],
)
def test_the_master_gives_no_token_and_deletes_nothing_at_a_request_of_a_page(store: temporary_servers.ObjectStore, path: str) -> None:
    for method in ("GET", "POST"):
        assert ask(url(store, "MASTER_", path), method, b"" if method == "POST" else None) == 404
    for bucket in BUCKETS:
        assert client(store, "test").get_object(Bucket=bucket, Key="kept")["Body"].read() == b"content"


def test_the_volume_server_wants_a_token(store: temporary_servers.ObjectStore) -> None:
    volumes = range(1, 30)
    for method in ("GET", "POST", "DELETE"):
        assert {ask(url(store, "VOLUME_", f"/{number},01637037d6"), method, b"x" if method == "POST" else None) for number in volumes} == {
            401
        }


def test_s3_wants_a_signature(store: temporary_servers.ObjectStore) -> None:
    for method in ("GET", "PUT", "DELETE"):
        assert ask(f"{store.endpoint_url}/data/kept", method, b"x" if method == "PUT" else None) == 403


def allowed(store: temporary_servers.ObjectStore, owner: str, bucket: str) -> set[str]:
    """Return what a key may do with a bucket."""
    s3 = client(store, owner)
    parts = io.BytesIO(b"p" * 6_000_000)
    tries: dict[str, Callable[[], object]] = {
        "read": lambda: s3.get_object(Bucket=bucket, Key="kept"),
        "list": lambda: s3.list_objects_v2(Bucket=bucket),
        "write": lambda: s3.put_object(Bucket=bucket, Key=f"of-{owner}", Body=b"x"),
        "parts": lambda: s3.upload_fileobj(parts, bucket, f"of-{owner}", Config=TransferConfig(multipart_threshold=5_000_000)),
        "delete": lambda: s3.delete_object(Bucket=bucket, Key=f"of-{owner}"),
    }
    return {name for name, attempt in tries.items() if not is_denied(attempt)}


def is_denied(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except (ClientError, S3UploadFailedError) as error:
        if "AccessDenied" not in str(error):
            raise
        return True
    return False


ALL, READ = {"read", "list", "write", "parts", "delete"}, {"read", "list"}


@pytest.mark.parametrize(
    ("owner", "rights"),
    [
        ("hearth", {"data": ALL, "processed": ALL, "mlflow": set()}),
        ("mlflow", {"data": set(), "processed": set(), "mlflow": ALL}),
        ("reader", {"data": READ, "processed": READ, "mlflow": set()}),
    ],
)
def test_each_key_opens_its_own_buckets_only(store: temporary_servers.ObjectStore, owner: str, rights: dict[str, set[str]]) -> None:
    assert {bucket: allowed(store, owner, bucket) for bucket in BUCKETS} == rights


@pytest.mark.parametrize("owner", ["hearth", "mlflow", "reader"])
def test_nobody_but_an_administrator_makes_or_removes_buckets(store: temporary_servers.ObjectStore, owner: str) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        client(store, owner).create_bucket(Bucket=f"of-{owner}")
    with pytest.raises(ClientError, match="AccessDenied"):
        client(store, owner).delete_bucket(Bucket="processed")


def test_a_health_check_signs_with_the_key_that_it_checks(store: temporary_servers.ObjectStore) -> None:
    def exists(bucket: str, owner: str, secret: str) -> bool:
        return s3_requests.bucket_exists(store.endpoint_url, bucket, s3_requests.Credentials(owner, secret, store.region))

    assert exists("data", "hearth", store.secrets["hearth"])
    assert not exists("data", "hearth", store.secrets["mlflow"])
    assert not exists("data", "mlflow", store.secrets["mlflow"])
    assert not exists("nothing", "test", store.secrets["test"])
    nowhere = f"http://127.0.0.1:{temporary_servers.free_port()}"
    assert not s3_requests.bucket_exists(nowhere, "data", s3_requests.Credentials("a", "b", store.region))


def test_two_keys_of_one_id_are_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for prefix in ("HEARTH_S3", "HEARTH_MLFLOW_S3", "HEARTH_S3_READER", "HEARTH_S3_BACKUP"):
        monkeypatch.setenv(f"{prefix}_ACCESS_KEY", "same")
        monkeypatch.setenv(f"{prefix}_SECRET_KEY", "secret")
    for bucket in BUCKETS:
        monkeypatch.setenv(f"HEARTH_{bucket.upper()}_BUCKET", bucket)
    os.environ.pop("HEARTH_S3_ADMIN_ACCESS_KEY", None)

    with pytest.raises(SettingError, match=r"HEARTH_MLFLOW_S3_ACCESS_KEY and HEARTH_S3_ACCESS_KEY have the same value"):
        objectstore.identities()


def test_the_buckets_of_compose_are_found_each_with_the_key_that_opens_it(store: temporary_servers.ObjectStore) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("HEARTH_")},
        "HEARTH_S3_ENDPOINT_URL": store.endpoint_url,
        "HEARTH_S3_REGION": store.region,
        "HEARTH_S3_ACCESS_KEY": "hearth",
        "HEARTH_S3_SECRET_KEY": store.secrets["hearth"],
        "HEARTH_MLFLOW_S3_ACCESS_KEY": "mlflow",
        "HEARTH_MLFLOW_S3_SECRET_KEY": store.secrets["mlflow"],
        **{f"HEARTH_{bucket.upper()}_BUCKET": bucket for bucket in BUCKETS},
    }

    ended = subprocess.run(
        [sys.executable, "-m", "deploy.compose.buckets"],
        cwd=temporary_servers.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
    assert ended.stderr.endswith(f" INFO    buckets The buckets data, processed, mlflow are at {store.endpoint_url}.\n")
