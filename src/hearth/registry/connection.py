"""The connection to MLflow: timeouts, errors, experiments and runs. MLflow's global state of an active run is not used."""

import math
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import requests
from mlflow import MlflowClient
from mlflow.entities import Metric, Param, Run
from mlflow.exceptions import MlflowException, RestException
from mlflow.protos.databricks_pb2 import (
    INTERNAL_ERROR,
    RESOURCE_ALREADY_EXISTS,
    RESOURCE_DOES_NOT_EXIST,
    TEMPORARILY_UNAVAILABLE,
    UNAUTHENTICATED,
    ErrorCode,
)
from mlflow.store.entities import PagedList
from mlflow.utils.credentials import get_default_host_creds
from mlflow.utils.rest_utils import http_request_safe
from mlflow.utils.validation import MAX_ENTITIES_PER_BATCH, MAX_PARAMS_TAGS_PER_BATCH

from hearth.errors import RegistryError, RegistryUnavailable

_Found = TypeVar("_Found")

ALREADY_EXISTS = ErrorCode.Name(RESOURCE_ALREADY_EXISTS)
NOT_FOUND = ErrorCode.Name(RESOURCE_DOES_NOT_EXIST)
_NO_LOGIN = ErrorCode.Name(UNAUTHENTICATED)
_SERVER_FAILED = {ErrorCode.Name(INTERNAL_ERROR), ErrorCode.Name(TEMPORARILY_UNAVAILABLE)}

_METRICS_A_REQUEST = MAX_ENTITIES_PER_BATCH - MAX_PARAMS_TAGS_PER_BATCH  # a table of 250 columns has 1,000 metrics

# MLflow's own variables: with its defaults a call to a server that does not answer takes four minutes to fail. The environment overrides.
_TIMEOUTS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


_SYSTEM_REASON = re.compile(r"\[Errno -?\d+\] ([\w ]+)")
_CLIENT_REASON = re.compile(r"\('([\w ]+)'\)")


class Connection:
    """One MLflow server. Making a connection sends no request; it sets MLflow's variables of a login, and of timeouts unless set."""

    def __init__(self, tracking_uri: str, *, user: str = "", password: str = "") -> None:
        for name, value in _TIMEOUTS.items():
            os.environ.setdefault(name, value)
        if password:
            os.environ |= {"MLFLOW_TRACKING_USERNAME": user, "MLFLOW_TRACKING_PASSWORD": password}
        self.uri = tracking_uri
        self.client = MlflowClient(tracking_uri, tracking_uri)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Turn MLflow's errors into ours."""
        try:
            yield
        except MlflowException as error:
            if error.error_code == _NO_LOGIN:
                raise RegistryError(
                    f"MLflow at {self.uri} refused the login: check HEARTH_MLFLOW_USER and HEARTH_MLFLOW_PASSWORD, which it started with."
                ) from error
            if error.error_code not in _SERVER_FAILED:
                raise RegistryError(f"MLflow at {self.uri} refused a request ({error.error_code}): {error}") from error
            raise self._unavailable(error) from error
        except requests.RequestException as error:
            raise self._unavailable(error) from error
        except OSError as error:
            raise RegistryError(f"A file for or from MLflow at {self.uri} could not be written or read here: {error}") from error

    def ping(self, seconds: float) -> None:
        """Send one small request, without a retry."""
        with self.errors():
            http_request_safe(  # type: ignore[no-untyped-call]
                get_default_host_creds(self.uri),  # type: ignore[no-untyped-call]
                "/api/2.0/mlflow/registered-models/search",
                "GET",
                params={"max_results": 1},
                timeout=seconds,
                max_retries=0,
            )

    def experiment_id(self, name: str, tags: Mapping[str, str] | None = None) -> str:
        """Return the id of an experiment, which is created with these tags if there is none."""
        if experiment := self.client.get_experiment_by_name(name):
            if experiment.lifecycle_stage != "active":
                raise RegistryError(f"The MLflow experiment {name!r} at {self.uri} is deleted: restore it or delete it for good.")
            return str(experiment.experiment_id)
        try:
            return self.client.create_experiment(name, tags=dict(tags or {}))
        except RestException as error:
            if error.error_code != ALREADY_EXISTS:
                raise
            return self.experiment_id(name, tags)  # another task was faster

    def start_run(self, experiment_id: str, name: str, tags: Mapping[str, str]) -> str:
        """Create a run and return its id."""
        return str(self.client.create_run(experiment_id, run_name=name, tags=dict(tags)).info.run_id)

    @contextmanager
    def run(self, experiment_id: str, name: str, tags: Mapping[str, str], *, ends: bool = True) -> Iterator[str]:
        """Yield the id of a new run, which is FINISHED when the block ends, unless somebody else `ends` it, and FAILED if it raises."""
        with self.ending(self.start_run(experiment_id, name, tags), ends=ends) as run_id:
            yield run_id

    @contextmanager
    def ending(self, run_id: str, *, ends: bool = True) -> Iterator[str]:
        """Yield the id of a run that goes on, and end it as `run` does."""
        try:
            yield run_id
        except BaseException:
            self.client.set_terminated(run_id, "FAILED")
            raise
        if ends:
            self.client.set_terminated(run_id)

    def log(self, run_id: str, params: Mapping[str, str | float], metrics: Mapping[str, float], *, model_id: str | None = None) -> None:
        """Write parameters and metrics to a run; with a model id the metrics are also the model's."""
        self.log_series(run_id, params, {name: (value,) for name, value in metrics.items()}, model_id=model_id)

    def log_series(
        self, run_id: str, params: Mapping[str, str | float], series: Mapping[str, Sequence[float]], *, model_id: str | None = None
    ) -> None:
        """Write parameters and metrics with one value a step, in as few requests as MLflow's limits allow."""
        now = int(time.time() * 1000)
        metrics = [
            Metric(name, value, now, step, model_id=model_id) for name, values in series.items() for step, value in enumerate(values)
        ]
        parameters = [Param(name, str(value)) for name, value in params.items()]
        requests_ = max(math.ceil(len(metrics) / _METRICS_A_REQUEST), math.ceil(len(parameters) / MAX_PARAMS_TAGS_PER_BATCH))
        for batch in range(requests_):
            self.client.log_batch(
                run_id,
                metrics=metrics[batch * _METRICS_A_REQUEST :][:_METRICS_A_REQUEST],
                params=parameters[batch * MAX_PARAMS_TAGS_PER_BATCH :][:MAX_PARAMS_TAGS_PER_BATCH],
            )

    def log_files(self, run_id: str, files: Mapping[str, bytes]) -> None:
        """Write files to a run's artifacts; names may have folders."""
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self.client.log_artifacts(run_id, folder)

    def runs(self, experiment_id: str, tag: str, value: str) -> Iterator[Run]:
        """All runs of an experiment that carry a tag, the latest first."""
        yield from self.search([experiment_id], f"tags.`{tag}` = '{_unquoted(value)}'")

    def search(self, experiment_ids: Sequence[str], condition: str, order: str = "attributes.start_time DESC") -> Iterator[Run]:
        """All runs of some experiments for which a condition of MLflow's language holds."""
        yield from pages(partial(self.client.search_runs, list(experiment_ids), condition, order_by=[order]))

    def _unavailable(self, error: Exception) -> RegistryUnavailable:
        return RegistryUnavailable(
            f"MLflow at {self.uri} does not answer as it should: is it running, and is HEARTH_MLFLOW_TRACKING_URI right? ({_reason(error)})"
        )


def _reason(error: Exception) -> str:
    """Return the system's reason for a failed connection, which is the last part of MLflow's long message."""
    text = str(error)
    _, _, cause = text.partition("(Caused by ")
    reasons = _SYSTEM_REASON.findall(cause) or _CLIENT_REASON.findall(cause)
    return str(reasons[-1]) if reasons else text


def _unquoted(value: str) -> str:
    """Return a value for between the quotes of a filter, which has no escapes; raises ValueError if it holds a quote."""
    if "'" in value:
        message = f"a value to search for cannot hold a quote: {value!r}"
        raise ValueError(message)
    return value


def pages(search: Callable[..., PagedList[_Found]]) -> Iterator[_Found]:
    """Yield all that a search of MLflow finds; it is called once a page, with its `page_token`."""
    token = None
    while True:
        page = search(page_token=token)
        yield from page
        if not (token := page.token):
            return
