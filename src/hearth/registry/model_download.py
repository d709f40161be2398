"""Model files from MLflow's artifact server: only those that are read, only from that server, and not more bytes than allowed."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from urllib.parse import urlparse

from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.request_utils import augmented_raise_for_status
from mlflow.utils.rest_utils import http_request

from hearth.errors import RefusedModel

_ENDPOINT = "/api/2.0/mlflow-artifacts/artifacts"
_SCHEME = "mlflow-artifacts"
_CHUNK = 2**20


def download(  # noqa: PLR0913, PLR0917 - from where to where
    tracking_uri: str, location: str, names: Iterable[str], folder: Path, where: str, most_bytes: int, optional: Collection[str] = ()
) -> Mapping[str, str]:
    """Download files into a folder; `where` names the model in errors. Those among `optional` are left out if they are not there.

    Returns:
        The SHA-256 of each file by its name.

    Raises:
        RefusedModel: the location is none of this MLflow server, a file is not there, or all together have more than `most_bytes`.
        requests.RequestException, MlflowException: the server does not answer, or refuses.
    """
    parts = urlparse(location)
    if parts.scheme != _SCHEME or parts.netloc not in {"", urlparse(tracking_uri).netloc}:
        raise RefusedModel(f"{where} has its files at {location[:200]!r}; only files of the MLflow server itself are loaded. Train again.")
    path = parts.path.strip("/")
    sizes = _sizes(tracking_uri, path)
    names = [name for name in names if name in sizes or name not in optional]
    for name in names:
        if name not in sizes:
            there = ", ".join(sorted(sizes)) or "nothing"
            raise RefusedModel(f"{where} has no {name}, and nothing else is loaded (it holds: {there}). Train again.")
    left = most_bytes
    digests = {}
    for name in names:
        digest = hashlib.sha256()
        with (
            http_request(get_default_host_creds(tracking_uri), f"{_ENDPOINT}/{path}/{name}", "GET", stream=True) as response,  # type: ignore[no-untyped-call]
            (folder / name).open("wb") as file,
        ):
            augmented_raise_for_status(response)  # type: ignore[no-untyped-call]
            for chunk in response.iter_content(_CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise RefusedModel(f"{where} has files of more than {most_bytes:,} bytes (HEARTH_MODEL_MAX_FILE_BYTES).")
                digest.update(chunk)
                file.write(chunk)
        digests[name] = digest.hexdigest()
    return digests


def _sizes(tracking_uri: str, path: str) -> dict[str, int]:
    """Return the sizes of the files in a folder of the server, by name."""
    response = http_request(get_default_host_creds(tracking_uri), _ENDPOINT, "GET", params={"path": path})  # type: ignore[no-untyped-call]
    augmented_raise_for_status(response)  # type: ignore[no-untyped-call]
    return {file["path"]: int(file.get("file_size") or 0) for file in response.json().get("files", []) if not file.get("is_dir")}
