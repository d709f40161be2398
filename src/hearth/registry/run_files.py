"""Files of a run, such as the card of a version and its pictures: read with a limit of bytes, straight from MLflow's artifact server."""

import json
from collections.abc import Iterable, Mapping
from urllib.parse import quote, urlparse

import pandas as pd
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.mlflow_tags import MLFLOW_LOGGED_ARTIFACTS
from mlflow.utils.request_utils import augmented_raise_for_status
from mlflow.utils.rest_utils import http_request

_ENDPOINT = "/api/2.0/mlflow-artifacts/artifacts"
_SCHEME = "mlflow-artifacts"
_CHUNK, _NOT_FOUND = 2**16, 404


def read_files(tracking_uri: str, location: str, names: Iterable[str], most_bytes: int) -> dict[str, bytes]:
    """Return files by name; one that is not there, or that has more than `most_bytes`, is left out.

    `location` is the artifact address of a run; files of another server than MLflow's own are not there.

    Raises:
        requests.RequestException, MlflowException: the server does not answer, or refuses.
    """
    parts = urlparse(location)
    if parts.scheme != _SCHEME or parts.netloc not in {"", urlparse(tracking_uri).netloc}:
        return {}
    found = ((name, _read(tracking_uri, f"{parts.path.strip('/')}/{name}", most_bytes)) for name in names)
    return {name: content for name, content in found if content is not None}


def table_files(tables: Mapping[str, pd.DataFrame]) -> dict[str, bytes]:
    """Return the files of what MLflow shows as tables, and what `mlflow.load_table` reads."""
    return {name: table.to_json(orient="split", index=False).encode() for name, table in tables.items()}


def table_tags(tables: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """Return the tag of a run by which MLflow knows its tables."""
    return {MLFLOW_LOGGED_ARTIFACTS: json.dumps([{"path": name, "type": "table"} for name in tables])} if tables else {}


def _read(tracking_uri: str, path: str, most_bytes: int) -> bytes | None:
    with http_request(get_default_host_creds(tracking_uri), f"{_ENDPOINT}/{quote(path)}", "GET", stream=True) as response:  # type: ignore[no-untyped-call]
        if response.status_code == _NOT_FOUND:
            return None
        augmented_raise_for_status(response)  # type: ignore[no-untyped-call]
        content = bytearray()
        for chunk in response.iter_content(_CHUNK):
            content += chunk
            if len(content) > most_bytes:
                return None
        return bytes(content)
