"""Where backups lie: a folder, or a prefix in an S3 store."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO, Protocol, cast

from hearth.errors import BackupError, InvalidBackup, InvalidSettings, ObjectNotFound
from hearth.settings import BackupPlaceSettings
from hearth.storage import ObjectStore

_PARTIAL = ".partial"


class Place(Protocol):
    """Files by names such as `<id>/manifest.json`. A file appears when it is whole."""

    def sizes(self, prefix: str = "") -> dict[str, int]:
        """Return the bytes of each file whose name begins with the prefix; files that are being written are among them."""

    def create(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Open a file for writing; nothing appears if the block raises."""

    def open(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Open a file for reading.

        Raises:
            InvalidBackup: there is no such file.
        """

    def delete(self, name: str) -> None:
        """Delete a file; it may be gone."""


class FolderPlace:
    """A folder of this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def sizes(self, prefix: str = "") -> dict[str, int]:
        # No more than a backup's own folders: the place may be a home folder
        files = {str(path.relative_to(self._path)): path for path in sorted(self._path.glob("*/*")) if path.is_file()}
        return {name: path.stat().st_size for name, path in files.items() if name.startswith(prefix)}

    @contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        path = self._path / name
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            partial = path.with_name(path.name + _PARTIAL)
            with partial.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
            _sync_folder(path.parent)
        except OSError as error:
            raise BackupError(f"{path} cannot be written: {error.strerror or error}.") from error

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        try:
            file = (self._path / name).open("rb")
        except FileNotFoundError:
            raise InvalidBackup(f"{name} is missing in {self}.") from None
        except OSError as error:
            raise BackupError(f"{self._path / name} cannot be read: {error.strerror}.") from error
        with file:
            yield file

    def delete(self, name: str) -> None:
        path = self._path / name
        path.unlink(missing_ok=True)
        with suppress(OSError):  # other files are in it, or it is gone
            path.parent.rmdir()


class BucketPlace:
    """A prefix in an S3 store. A file that is being written lies in the system's folder of temporary files."""

    def __init__(self, store: ObjectStore, bucket: str, prefix: str) -> None:
        self._store, self._bucket, self._prefix = store, bucket, f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def __str__(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def sizes(self, prefix: str = "") -> dict[str, int]:
        entries = self._store.objects(self._bucket, self._prefix + prefix)
        names = {entry.key.removeprefix(self._prefix): entry.size for entry in entries}
        return {name: size for name, size in names.items() if name.count("/") == 1}

    @contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        with NamedTemporaryFile(prefix="hearth-backup-") as file:
            yield cast("BinaryIO", file)
            file.flush()
            self._store.put_file(self._bucket, self._prefix + name, Path(file.name))

    @contextmanager
    def open(self, name: str) -> Iterator[BinaryIO]:
        try:
            with self._store.copy(self._bucket, self._prefix + name) as file:
                yield file
        except ObjectNotFound as error:
            if error.key != self._prefix + name:
                raise
            raise InvalidBackup(f"{name} is missing in {self}.") from None

    def delete(self, name: str) -> None:
        self._store.delete(self._bucket, self._prefix + name)


def open_place(address: str, settings: BackupPlaceSettings) -> Place:
    """Return the place of an address: a path, or `s3://bucket/prefix` in the store that HEARTH_BACKUP_STORE_URL names.

    Raises:
        InvalidSettings: there is no address, or no store for it.
    """
    if not address:
        raise InvalidSettings("No place for backups: give a folder or s3://bucket/prefix, or set HEARTH_BACKUP_TO.")
    if not address.startswith("s3://"):
        return FolderPlace(Path(address).expanduser())
    bucket, _, prefix = address.removeprefix("s3://").partition("/")
    if not bucket:
        raise InvalidSettings(f"{address!r} names no bucket: expected s3://bucket/prefix.")
    if not settings.backup_store_url:
        raise InvalidSettings(
            "HEARTH_BACKUP_STORE_URL is empty: set it, HEARTH_BACKUP_STORE_REGION, _ACCESS_KEY and _SECRET_KEY to an object store for the "
            "backups. It should not be the stack's own, with which they would be lost."
        )
    store = ObjectStore(
        settings.backup_store_url,
        region=settings.backup_store_region,
        access_key=settings.backup_store_access_key.get_secret_value(),
        secret_key=settings.backup_store_secret_key.get_secret_value(),
    )
    return BucketPlace(store, bucket, prefix)


def _sync_folder(folder: Path) -> None:
    """Make the new name of a file survive a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
