"""The object store: any S3 endpoint, with path-style addresses."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException
from io import SEEK_CUR, SEEK_END, SEEK_SET, BufferedReader, BytesIO, RawIOBase
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, BinaryIO, Self, cast
from urllib.error import HTTPError
from urllib.request import urlopen

import boto3
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from boto3.exceptions import S3UploadFailedError
from botocore.config import Config
from botocore.exceptions import ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as NotConnected

from hearth.errors import ObjectChanged, ObjectNotFound, StorageError, StorageUnavailable
from hearth.settings import StorageSettings

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from mypy_boto3_s3 import S3Client

_ABSENT = {"404", "NoSuchKey", "NotFound"}
_NO_BUCKET = {"NoSuchBucket"}
_REFUSED = {"403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"}
_CHANGED = {"PreconditionFailed", "412"}
_BUCKET_IS_THERE = {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}
_FIRST_SERVER_ERROR = 500
_CHUNK = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as the store lists it; `size` in bytes; `etag` is another one when it is written anew."""

    bucket: str
    key: str
    size: int
    etag: str
    modified: datetime


class ObjectStore:
    """An S3 endpoint with the two buckets of Hearth.

    The bucket `data` holds raw, validated and rejected rows, `processed` the processed data sets.

    Every method raises StorageUnavailable if the store does not answer, and StorageError if it refuses.
    """

    def __init__(  # noqa: PLR0913 - all but one are named
        self,
        endpoint_url: str,
        *,
        region: str,
        access_key: str,
        secret_key: str,
        data_bucket: str = "data",
        processed_bucket: str = "processed",
    ) -> None:
        self.endpoint_url = endpoint_url
        self.data_bucket = data_bucket
        self.processed_bucket = processed_bucket
        self._client: S3Client = boto3.client(
            "s3",
            endpoint_url=endpoint_url,
            region_name=region,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=Config(
                s3={"addressing_style": "path"},
                connect_timeout=3,
                read_timeout=60,
                retries={"mode": "standard", "total_max_attempts": 3},
                request_checksum_calculation="when_required",  # not every S3 store knows the newer checksums
                response_checksum_validation="when_required",
            ),
        )

    @classmethod
    def from_settings(cls, settings: StorageSettings | None = None) -> Self:
        """Connect to the store of the environment."""
        settings = settings or StorageSettings()
        return cls(
            settings.s3_endpoint_url,
            region=settings.s3_region,
            access_key=settings.s3_access_key.get_secret_value(),
            secret_key=settings.s3_secret_key.get_secret_value(),
            data_bucket=settings.data_bucket,
            processed_bucket=settings.processed_bucket,
        )

    def ensure_bucket(self, bucket: str) -> None:
        """Create the bucket unless it exists."""
        with self._errors_of(bucket):
            try:
                self._client.head_bucket(Bucket=bucket)
            except ClientError as error:
                if _code(error) not in _ABSENT | _NO_BUCKET:
                    raise
            else:
                return
            try:
                self._client.create_bucket(Bucket=bucket)
            except ClientError as error:
                if _code(error) not in _BUCKET_IS_THERE:  # another process was faster
                    raise

    def put(self, bucket: str, key: str, content: bytes, *, if_absent: bool = False) -> bool:
        """Write an object, whole or not at all.

        Returns:
            False if `if_absent` is set and the key exists: nothing is written then.
        """
        with self._errors_of(bucket, key):
            if not if_absent:
                self._client.put_object(Bucket=bucket, Key=key, Body=content)
                return True
            try:
                self._client.put_object(Bucket=bucket, Key=key, Body=content, IfNoneMatch="*")
            except ClientError as error:
                if _code(error) in _CHANGED:
                    return False
                raise
            return True

    def put_file(self, bucket: str, key: str, path: Path) -> None:
        """Write a file as an object, part by part if it is large, to save memory. The object appears when it is complete."""
        with self._errors_of(bucket, key):
            try:
                self._client.upload_file(str(path), bucket, key)
            except S3UploadFailedError as error:  # boto3 hides the error of the client
                raise error.__context__ or error from error

    def get(self, bucket: str, key: str) -> bytes:
        """Read an object.

        Raises:
            ObjectNotFound: the bucket holds no such key.
        """
        with self._errors_of(bucket, key):
            return self._client.get_object(Bucket=bucket, Key=key)["Body"].read()

    @contextmanager
    def copy(self, bucket: str, key: str) -> Iterator[BinaryIO]:
        """Copy an object to a temporary file, for objects that memory may not hold; the file is deleted at the end.

        Raises:
            ObjectNotFound: the bucket holds no such key.
        """
        with TemporaryFile(prefix="hearth-") as file:
            self._download(bucket, key, cast("BinaryIO", file))
            file.seek(0)
            yield cast("BinaryIO", file)

    def copy_to(self, bucket: str, key: str, path: Path) -> None:
        """Copy an object to a file, a piece at a time.

        Raises:
            ObjectNotFound: the bucket holds no such key.
        """
        with path.open("wb") as file:
            self._download(bucket, key, file)

    def _download(self, bucket: str, key: str, file: BinaryIO) -> None:
        with self._errors_of(bucket, key):
            file.writelines(self._client.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(_CHUNK))

    def exists(self, bucket: str, key: str) -> bool:
        with self._errors_of(bucket, key):
            try:
                self._client.head_object(Bucket=bucket, Key=key)
            except ClientError as error:
                if _code(error) in _ABSENT:
                    return False
                raise
            return True

    def keys(self, bucket: str, prefix: str = "") -> Iterator[str]:
        """All keys that start with the prefix, in the store's order, page by page."""
        with self._errors_of(bucket):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    yield entry["Key"]

    def objects(self, bucket: str, prefix: str = "") -> Iterator[StoredObject]:
        """All objects whose keys start with the prefix, in the store's order, page by page."""
        with self._errors_of(bucket):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    yield StoredObject(bucket, entry["Key"], entry["Size"], entry["ETag"], entry["LastModified"])

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object; it may be gone."""
        with self._errors_of(bucket, key):
            self._client.delete_object(Bucket=bucket, Key=key)

    def head(self, bucket: str, key: str) -> StoredObject:
        """Return what the store says of an object.

        Raises:
            ObjectNotFound: the bucket holds no such key.
        """
        with self._errors_of(bucket, key):
            entry = self._client.head_object(Bucket=bucket, Key=key)
            return StoredObject(bucket, key, entry["ContentLength"], entry["ETag"], entry["LastModified"])

    def open(self, found: StoredObject, buffer_bytes: int = 0) -> BinaryIO:
        """Open an object to be read where a reader wants, without a copy of it; each read is a request, or one for each full buffer.

        Reading raises ObjectChanged once the object was written anew.
        """
        raw = _ObjectFile(self, found)
        return cast("BinaryIO", BufferedReader(raw, buffer_bytes) if buffer_bytes else raw)

    def read_range(self, found: StoredObject, start: int, end: int) -> bytes:
        """Read the bytes from `start` to before `end`.

        Raises:
            ObjectChanged: the object is another one by now.
        """
        with self._errors_of(found.bucket, found.key):
            try:
                answer = self._client.get_object(Bucket=found.bucket, Key=found.key, Range=f"bytes={start}-{end - 1}", IfMatch=found.etag)
            except ClientError as error:
                if _code(error) in _CHANGED:
                    raise ObjectChanged(found.bucket, found.key) from error
                raise
            if answer["ETag"] != found.etag:  # a store that does not know IfMatch
                raise ObjectChanged(found.bucket, found.key)
            return answer["Body"].read()

    def put_frame(self, bucket: str, key: str, frame: pd.DataFrame) -> None:
        """Write a frame as parquet, without its index."""
        buffer = BytesIO()
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), buffer)
        self.put(bucket, key, buffer.getvalue())

    def get_frame(self, bucket: str, key: str) -> pd.DataFrame:
        """Read a parquet object.

        Raises:
            ObjectNotFound: the bucket holds no such key.
            StorageError: the object is not parquet.
        """
        content = self.get(bucket, key)
        try:
            frame: pd.DataFrame = pq.read_table(BytesIO(content)).to_pandas()
        except pa.ArrowInvalid as error:
            raise StorageError(f"s3://{bucket}/{key} is not a parquet file: {error}") from error
        return frame

    @contextmanager
    def _errors_of(self, bucket: str, key: str = "") -> Iterator[None]:
        try:
            yield
        except (NotConnected, HTTPClientError) as error:
            raise _unavailable(self.endpoint_url, error) from error
        except ClientError as error:
            code = _code(error)
            where = f"s3://{bucket}/{key}"
            if code in _NO_BUCKET or (code in _ABSENT and not key):
                raise StorageError(f"The bucket {bucket!r} does not exist in the object store at {self.endpoint_url}.") from error
            if code in _ABSENT:
                raise ObjectNotFound(bucket, key) from error
            if code in _REFUSED:
                raise StorageError(
                    f"The object store at {self.endpoint_url} refused {where} ({code}): "
                    "check HEARTH_S3_ACCESS_KEY and HEARTH_S3_SECRET_KEY."
                ) from error
            if error.response["ResponseMetadata"]["HTTPStatusCode"] >= _FIRST_SERVER_ERROR:
                raise StorageUnavailable(f"The object store at {self.endpoint_url} failed at {where}: {error}") from error
            raise StorageError(f"{where}: {error}") from error


class _ObjectFile(RawIOBase):
    """An object as a file."""

    def __init__(self, store: ObjectStore, found: StoredObject) -> None:
        super().__init__()
        self._store, self._found, self._place = store, found, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = SEEK_SET, /) -> int:
        self._place = max(0, offset + {SEEK_SET: 0, SEEK_CUR: self._place, SEEK_END: self._found.size}[whence])
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        target = memoryview(buffer).cast("B")
        end = min(self._place + len(target), self._found.size)
        if end <= self._place:
            return 0
        content = self._store.read_range(self._found, self._place, end)
        target[: len(content)] = content
        self._place += len(content)
        return len(content)


def ping(endpoint_url: str, seconds: float) -> None:
    """Return if a store answers, even with a refusal: the request has no key.

    Raises:
        StorageUnavailable: it does not answer within `seconds`, or with a server error.
    """
    try:
        with urlopen(endpoint_url, timeout=seconds):  # noqa: S310 - an address from the settings
            pass
    except HTTPError as error:
        with error:
            if error.code >= _FIRST_SERVER_ERROR:
                raise _unavailable(endpoint_url, error) from error
    except (OSError, HTTPException) as error:
        raise _unavailable(endpoint_url, error) from error


def _unavailable(endpoint_url: str, error: Exception) -> StorageUnavailable:
    return StorageUnavailable(
        f"The object store at {endpoint_url} does not answer ({type(error).__name__}): is it running there? "
        "HEARTH_S3_ENDPOINT_URL holds its address."
    )


def _code(error: ClientError) -> str:
    return error.response["Error"]["Code"]
