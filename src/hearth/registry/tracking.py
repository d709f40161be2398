"""Tracking: jobs and their results, as MLflow runs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import DatasetInput, InputTag
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT

from hearth.registry.connection import Connection
from hearth.registry.policy import ModelPolicy
from hearth.registry.provenance import LIBRARY, git_revision, library_versions
from hearth.registry.study import Study
from hearth.settings import ModelSettings, RegistrySettings

DATASET, FAMILY, DIGEST, KEY = "hearth.dataset", "hearth.family", "hearth.digest", "hearth.training_key"
REVISION = "hearth.git_revision"


@dataclass(frozen=True)
class CandidateRun:
    """Parameters with the metrics of their cross-validation; `training_key` names the training."""

    dataset: str
    family: str
    digest: str
    training_key: str
    params: Mapping[str, str | float]
    metrics: Mapping[str, float]
    pictures: Mapping[str, bytes]


class Tracking:
    """An MLflow server as the record of runs.

    Every method raises RegistryUnavailable if MLflow does not answer, and RegistryError if it refuses. Threads may share one. `policy` says
    how versions are signed, and which are loaded; without one there is no key, and those without a signature are.
    """

    def __init__(self, tracking_uri: str, *, revision: str = "", policy: ModelPolicy | None = None) -> None:
        self._policy = policy or ModelPolicy()
        self._connection = Connection(tracking_uri)
        self._client = self._connection.client
        self._revision = revision

    @classmethod
    def from_settings(cls, settings: RegistrySettings | None = None) -> Self:
        """Make the one of the environment; sends no request."""
        settings = settings or ModelSettings()
        return cls(settings.mlflow_tracking_uri, revision=settings.git_revision, policy=ModelPolicy.of(settings))

    def ping(self, seconds: float) -> None:
        """Return if MLflow answers within `seconds`."""
        self._connection.ping(seconds)

    def log_etl(  # noqa: PLR0913 - all but the first are named
        self,
        experiment: str,
        *,
        params: Mapping[str, str | float],
        metrics: Mapping[str, float],
        artifacts: Mapping[str, bytes],
        frame: pd.DataFrame,
        digest: str,
        source: str,
    ) -> str:
        """Log an ETL, once for each digest; of the frame its schema and profile are logged as the run's data set, not its rows.

        Returns:
            The id of the run, which is an earlier one if this digest was logged before.
        """
        with self._connection.errors():
            experiment_id = self._connection.experiment_id(experiment)
            runs = list(self._connection.runs(experiment_id, DIGEST, digest))
            if finished := [run for run in runs if run.info.status == "FINISHED"]:
                return str(finished[-1].info.run_id)
            for run in runs:  # left by an interrupted task
                self._client.delete_run(run.info.run_id)
            with self._connection.run(experiment_id, digest, {DIGEST: digest, **self._provenance()}) as run_id:
                numbers = frame.select_dtypes("number").columns  # as float64: MLflow warns that whole numbers cannot be missing
                dataset = from_pandas(frame.astype(dict.fromkeys(numbers, np.float64)), source=source, name=experiment, digest=digest)
                entity = dataset._to_mlflow_entity()  # noqa: SLF001 - the fluent log_input, which needs an active run, does the same
                self._client.log_inputs(run_id, [DatasetInput(entity, [InputTag(MLFLOW_DATASET_CONTEXT, "etl")])])
                self._connection.log(run_id, params, metrics)
                self._connection.log_files(run_id, artifacts)
            return run_id

    @contextmanager
    def study(  # noqa: PLR0913 - all but the first are named
        self,
        dataset: str,
        family: str,
        *,
        digest: str,
        training_key: str,
        metric: str,
        params: Mapping[str, str | float],
        experiment: str | None = None,
    ) -> Iterator[Study]:
        """Open the parent run of a search, in experiment `<family>_optuna` if none is named.

        Runs that an interrupted training of the same key left there are deleted.
        """
        tags = {DATASET: dataset, FAMILY: family, DIGEST: digest, KEY: training_key}
        with self._connection.errors():
            experiment_id = self._connection.experiment_id(experiment or f"{family}_optuna")
            with self._new_run(experiment_id, f"{dataset} {family}", tags) as run_id:
                self._connection.log(run_id, params, {})
                yield Study(self._connection, experiment_id, run_id, metric, tags)

    def log_candidate(self, experiment: str, candidate: CandidateRun) -> str:
        """Log the cross-validation of parameters that may become a version; it replaces that of an earlier try of the same training.

        Returns:
            The id of the run.
        """
        tags = {DATASET: candidate.dataset, FAMILY: candidate.family, DIGEST: candidate.digest, KEY: candidate.training_key}
        with self._connection.errors():
            experiment_id = self._connection.experiment_id(experiment)
            with self._new_run(experiment_id, f"{candidate.dataset} {candidate.family}", tags) as run_id:
                self._connection.log(run_id, candidate.params, candidate.metrics)
                self._connection.log_files(run_id, {f"figures/{name}": content for name, content in candidate.pictures.items()})
            return run_id

    @contextmanager
    def _new_run(self, experiment_id: str, name: str, tags: Mapping[str, str]) -> Iterator[str]:
        """Yield the id of a new run; earlier runs and trials of the same training are deleted."""
        for run in self._connection.runs(experiment_id, KEY, tags[KEY]):
            self._client.delete_run(run.info.run_id)
        with self._connection.run(experiment_id, name, {**tags, **self._provenance()}) as run_id:
            yield run_id

    def _provenance(self) -> dict[str, str]:
        libraries = {f"{LIBRARY}{library}": version for library, version in library_versions().items()}
        return {**libraries, REVISION: self._revision or git_revision()}
