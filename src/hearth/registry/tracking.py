"""Tracking: jobs and their results, as MLflow runs."""

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

import numpy as np
import pandas as pd
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import Dataset, DatasetInput, InputTag, Run
from mlflow.utils.mlflow_tags import MLFLOW_DATASET_CONTEXT, MLFLOW_RUN_NOTE
from pydantic import ValidationError

from hearth.data.data_report import LARGEST, PUBLICATION, DataReport, Publication
from hearth.errors import RefusedModel, RegistryError
from hearth.registry.connection import Connection
from hearth.registry.model_download import download
from hearth.registry.policy import ModelPolicy
from hearth.registry.provenance import LIBRARIES_TAG, git_revision, library_versions
from hearth.registry.study import PRUNED, TRIAL, Study
from hearth.settings import ModelSettings, RegistrySettings
from hearth.tracing.context import current_trace_id

DATASET, FAMILY, DIGEST, KEY = "hearth.dataset", "hearth.family", "hearth.digest", "hearth.training_key"
DECISION, STANDING, ORIGIN, RETRAIN = "hearth.decision", "hearth.standing", "hearth.origin", "hearth.retrain"
APPROVAL, APPROVED_BY, APPROVED_AT = "hearth.approval", "hearth.approved_by", "hearth.approved_at"
APPROVAL_COMMENT, APPROVAL_TASK = "hearth.approval_comment", "hearth.approval_task"
REVISION = "hearth.git_revision"
KEEP = "hearth.keep"  # a person writes it onto a version or a run that housekeeping is to leave alone
TRACE = "hearth.trace_id"
LEVEL, MONITORED = "hearth.drift_level", "hearth.monitored_version"
PUBLISHED, REPORT_FILE = "hearth.published", "published.json"
MLFLOW_EXPERIMENT_NOTE = "mlflow.note.content"  # what MLflow shows as the description

_ETL_RUNS = "How each processed version of the data was made: one run a digest."


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


@dataclass(frozen=True)
class InputData:
    """What a run reads: its frame, of which schema and profile are logged and no rows, where it lies, and what it is for.

    `rows` is how many there are where the frame is a sample of them; None if it has them all.
    """

    name: str
    digest: str
    frame: pd.DataFrame
    source: str
    context: Literal["etl", "training", "testing"]
    rows: int | None = None

    @property
    def all_rows(self) -> int:
        """How many there are, in the frame or not."""
        return len(self.frame) if self.rows is None else self.rows


@dataclass(frozen=True)
class MonitorRun:
    """A check of what a version serves, with its report: `files` by name, which may have folders."""

    dataset: str
    version: str
    level: str
    summary: str
    metrics: Mapping[str, float]
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class BatchRun:
    """A batch that a version has scored; `id` names its objects, version and options, and `files` hold its summary."""

    dataset: str
    version: str
    id: str
    summary: str
    params: Mapping[str, str | float]
    metrics: Mapping[str, float]
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class FinishedTrial:
    """A trial of a search as MLflow has it."""

    run_id: str
    family: str
    number: int
    metric: str
    score: float
    pruned: bool


class Tracking:
    """An MLflow server as the record of runs.

    Every method raises RegistryUnavailable if MLflow does not answer, and RegistryError if it refuses. Threads may share one. `policy` says
    how versions are signed, and which are loaded; without one there is no key, and those without a signature are.
    """

    def __init__(
        self, tracking_uri: str, *, revision: str = "", policy: ModelPolicy | None = None, user: str = "", password: str = ""
    ) -> None:
        self._policy = policy or ModelPolicy()
        self._connection = Connection(tracking_uri, user=user, password=password)
        self._client = self._connection.client
        self._revision = revision

    @classmethod
    def from_settings(cls, settings: RegistrySettings | None = None) -> Self:
        """Make the one of the environment; sends no request."""
        settings = settings or ModelSettings()
        return cls(
            settings.mlflow_tracking_uri,
            revision=settings.git_revision,
            policy=ModelPolicy.of(settings),
            user=settings.mlflow_user,
            password=settings.mlflow_password.get_secret_value(),
        )

    @property
    def revision(self) -> str:
        """The commit that runs name."""
        return self._revision or git_revision()

    def ping(self, seconds: float) -> None:
        """Return if MLflow answers within `seconds`."""
        self._connection.ping(seconds)

    def log_etl(
        self,
        experiment: str,
        *,
        params: Mapping[str, str | float],
        metrics: Mapping[str, float],
        artifacts: Mapping[str, bytes],
        data: InputData,
    ) -> str:
        """Log an ETL, in one run for each digest: metrics and artifacts become the last ones, parameters stay the first.

        Returns:
            The id of the run, which is an earlier one if this digest was logged before.
        """
        with self._connection.errors():
            experiment_id = self._experiment(experiment, data.name, _ETL_RUNS)
            runs = list(self._connection.runs(experiment_id, DIGEST, data.digest))
            if finished := [run for run in runs if run.info.status == "FINISHED"]:
                run_id = str(finished[-1].info.run_id)
                logged = finished[-1].data.metrics
                self._connection.log(run_id, {}, {name: value for name, value in metrics.items() if logged.get(name) != value})
                self._connection.log_files(run_id, artifacts)
                return run_id
            for run in runs:  # left by an interrupted task
                self._client.delete_run(run.info.run_id)
            note = f"Cleaned and split {data.name}: {data.all_rows:,} rows, in {data.source}"
            tags = {DATASET: data.name, DIGEST: data.digest, MLFLOW_RUN_NOTE: note, **self._provenance()}
            with self._connection.run(experiment_id, data.digest, tags) as run_id:
                self._log_inputs(run_id, [data])
                self._connection.log(run_id, params, metrics)
                self._connection.log_files(run_id, artifacts)
            return run_id

    def record_publication(self, experiment: str, report: DataReport) -> None:
        """Write the report of published data into the run of their ETL, and name that run in a tag of the experiment.

        Raises:
            RegistryError: no run of the experiment has logged these data.
        """
        with self._connection.errors():
            experiment_id = self._experiment(experiment, report.dataset, _ETL_RUNS)
            runs = [run for run in self._connection.runs(experiment_id, DIGEST, report.digest) if run.info.status == "FINISHED"]
            if not runs:
                raise RegistryError(f"No run in the MLflow experiment {experiment!r} has logged the data {report.digest}.")
            run_id = str(runs[-1].info.run_id)
            self._connection.log_files(run_id, {REPORT_FILE: report.to_json()})
            latest = Publication(report.digest, run_id, datetime.now(UTC), report.origin)
            self._client.set_experiment_tag(experiment_id, PUBLISHED, PUBLICATION.dump_json(latest).decode())

    def publication(self, experiment: str) -> Publication | None:
        """Return which data were published last; None if none were, or by a release that did not say so. One request.

        Raises:
            RegistryError: the tag is not what `record_publication` writes.
        """
        with self._connection.errors():
            found = self._client.get_experiment_by_name(experiment)
        text = found.tags.get(PUBLISHED) if found else None
        try:
            return PUBLICATION.validate_json(text) if text else None
        except ValidationError as error:
            raise RegistryError(f"The tag {PUBLISHED} of the MLflow experiment {experiment!r} is not what the ETL writes.") from error

    def data_report(self, publication: Publication) -> DataReport:
        """Return the report of published data.

        Raises:
            RegistryError: the run or its report is not there, larger than it may be, or not what `record_publication` writes.
        """
        where = f"The run {publication.run_id}"
        with self._connection.errors(), tempfile.TemporaryDirectory(prefix="hearth-report-") as folder:
            location = str(self._client.get_run(publication.run_id).info.artifact_uri)
            try:
                download(self._connection.uri, location, [REPORT_FILE], Path(folder), where, LARGEST)
                return DataReport.from_json(Path(folder, REPORT_FILE).read_bytes())
            except (RefusedModel, ValidationError) as error:
                raise RegistryError(f"{where} has no report of published data that can be read. Run the ETL again.") from error

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
        data: Sequence[InputData] = (),
        ends: bool = True,
    ) -> Iterator[Study]:
        """Open the parent run of a search, in experiment `<family>_optuna` if none is named.

        Runs that an interrupted training of the same key left there are deleted. Without `ends` the run goes on after the block, for others
        to join.
        """
        tags = {DATASET: dataset, FAMILY: family, DIGEST: digest, KEY: training_key}
        note = f"A search for parameters of {family} on data {digest}: the trials are below it, the best parameters in `best_…`."
        with self._connection.errors():
            text = "Searches for parameters by cross-validation on the train set: one run a search, with its trials below it."
            experiment_id = self._experiment(experiment or f"{family}_optuna", dataset, text)
            with self._new_run(experiment_id, f"{dataset} {family}", {**tags, MLFLOW_RUN_NOTE: note}, ends=ends) as run_id:
                self._connection.log(run_id, params, {})
                self._log_inputs(run_id, data)
                yield Study(self._connection, experiment_id, run_id, metric, tags)

    def joined_study(self, run_id: str, metric: str) -> Study:
        """Return the search of a parent run that another process has opened."""
        with self._connection.errors():
            run = self._client.get_run(run_id)
        tags = {name: run.data.tags[name] for name in (DATASET, FAMILY, DIGEST, KEY)}
        return Study(self._connection, run.info.experiment_id, run_id, metric, tags)

    def log_candidate(self, experiment: str, candidate: CandidateRun) -> str:
        """Log the cross-validation of parameters that may become a version; it replaces that of an earlier try of the same training.

        Returns:
            The id of the run.
        """
        tags = {DATASET: candidate.dataset, FAMILY: candidate.family, DIGEST: candidate.digest, KEY: candidate.training_key}
        with self._connection.errors():
            text = "Comparisons of families by cross-validation, and variants of the best."
            experiment_id = self._experiment(experiment, candidate.dataset, text)
            with self._new_run(experiment_id, f"{candidate.dataset} {candidate.family}", tags) as run_id:
                self._connection.log(run_id, candidate.params, candidate.metrics)
                self._connection.log_files(run_id, {f"figures/{name}": content for name, content in candidate.pictures.items()})
            return run_id

    def log_monitoring(self, experiment: str, run: MonitorRun) -> str:
        """Log a check of what a version serves, and return the id of the run."""
        with self._connection.errors():
            experiment_id = self._experiment(experiment, run.dataset, "Checks for drift: one run when the level changes, and by hand.")
            tags = {DATASET: run.dataset, LEVEL: run.level, MONITORED: run.version, MLFLOW_RUN_NOTE: run.summary, **self._provenance()}
            with self._connection.run(experiment_id, f"{run.dataset} {run.version} {run.level}", tags) as run_id:
                self._connection.log(run_id, {"version": run.version, "level": run.level}, run.metrics)
                self._connection.log_files(run_id, run.files)
            return run_id

    def log_batch(self, experiment: str, run: BatchRun) -> str:
        """Log a batch and return the id of its run; one that an interrupted task has left is replaced."""
        with self._connection.errors():
            experiment_id = self._experiment(experiment, run.dataset, "Batches that were scored: one run for each.")
            tags = {DATASET: run.dataset, KEY: run.id, MLFLOW_RUN_NOTE: run.summary}
            with self._new_run(experiment_id, f"{run.dataset} {run.version}", tags) as run_id:
                self._connection.log(run_id, run.params, run.metrics)
                self._connection.log_files(run_id, run.files)
            return run_id

    def finished_trials(self, dataset: str, since: datetime) -> list[FinishedTrial]:
        """Return the trials of a data set that have ended since a moment, in any of its experiments, in the order of their end."""
        with self._connection.errors():
            experiments = [str(experiment.experiment_id) for experiment in self._client.search_experiments()]
            condition = (
                f"tags.`{DATASET}` = '{dataset}' AND tags.`{TRIAL}` != '' AND attributes.end_time >= {int(since.timestamp() * 1000)}"
            )
            runs = self._connection.search(experiments, condition, "attributes.end_time ASC")
            return [trial for run in runs if (trial := _finished_trial(run))]

    def _experiment(self, name: str, dataset: str, text: str) -> str:
        return self._connection.experiment_id(name, {DATASET: dataset, MLFLOW_EXPERIMENT_NOTE: f"{text} Data set: {dataset}."})

    def _log_inputs(self, run_id: str, inputs: Sequence[InputData]) -> None:
        """Log what a run reads, as the fluent log_input does, which needs an active run."""
        entries = []
        for data in inputs:
            numbers = data.frame.select_dtypes("number").columns  # as float64: MLflow warns that whole numbers cannot be missing
            frame = data.frame.astype(dict.fromkeys(numbers, np.float64))
            entity = from_pandas(frame, source=data.source, name=data.name, digest=data.digest)._to_mlflow_entity()  # noqa: SLF001
            if data.all_rows != len(frame):
                profile = json.dumps({"num_rows": data.all_rows, "num_elements": data.all_rows * len(frame.columns)})
                entity = Dataset(entity.name, entity.digest, entity.source_type, entity.source, entity.schema, profile)
            entries.append(DatasetInput(entity, [InputTag(MLFLOW_DATASET_CONTEXT, data.context)]))
        if entries:
            self._client.log_inputs(run_id, entries)

    @contextmanager
    def _new_run(self, experiment_id: str, name: str, tags: Mapping[str, str], *, ends: bool = True) -> Iterator[str]:
        """Yield the id of a new run; earlier runs and trials of the same training are deleted."""
        for run in self._connection.runs(experiment_id, KEY, tags[KEY]):
            self._client.delete_run(run.info.run_id)
        trace = current_trace_id()
        traced = {TRACE: trace} if trace else {}
        with self._connection.run(experiment_id, name, {**tags, **self._provenance(), **traced}, ends=ends) as run_id:
            yield run_id

    def _provenance(self) -> dict[str, str]:
        libraries = ", ".join(f"{library} {version}" for library, version in library_versions().items())
        return {LIBRARIES_TAG: libraries, REVISION: self.revision}


def _finished_trial(run: Run) -> FinishedTrial | None:
    """Return the trial of a run; None if it was stopped before its score was logged."""
    tags, metrics = run.data.tags, run.data.metrics
    metric = next((name for name in metrics if name.startswith("cv_")), None)
    if metric is None:
        return None
    return FinishedTrial(
        run.info.run_id, tags.get(FAMILY, ""), int(tags[TRIAL]), metric.removeprefix("cv_"), metrics[metric], tags.get(PRUNED) == "true"
    )
