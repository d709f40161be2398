"""What MLflow holds beside versions: the runs and models of Hearth, what they name, and their way into MLflow's trash.

A run that is deleted by a client is in MLflow's state `deleted`: its page and `restore_run` bring it back until MLflow's own garbage
collection takes it, with its files. A model that is deleted by a client cannot be brought back.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from mlflow.entities import Experiment, LoggedModel, Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from pydantic import ValidationError

from hearth.data.data_report import PUBLICATION
from hearth.errors import RegistryError
from hearth.registry.connection import NOT_FOUND, pages
from hearth.registry.registry import Registry
from hearth.registry.study import TRIAL
from hearth.registry.tracking import DATASET, DIGEST, FAMILY, KEEP, KEY, MONITORED, PUBLISHED

_EXPERIMENTS_A_SEARCH = 100
_PAGE = 1_000


@dataclass(frozen=True)
class TrackedRun:
    """A run of Hearth that is not deleted; `changed` is when it ended, or began if it has not.

    `kind` says what it is of: training, trial, ETL, check or batch. `key` names the training, `digest` the processed data, and `is_kept`
    says whether a person has tagged it `hearth.keep`.
    """

    run_id: str
    kind: str
    dataset: str
    changed: datetime
    key: str = ""
    digest: str = ""
    parent: str = ""
    is_kept: bool = False


@dataclass(frozen=True)
class TrackedModel:
    """A logged model that is not deleted, with the run that made it."""

    model_id: str
    run_id: str
    dataset: str
    created: datetime


class Inventory(Registry):
    """An MLflow server for housekeeping: everything that Hearth has in it. Only what carries `hearth.dataset` is listed, and removed."""

    def datasets(self) -> list[str]:
        """Return the data sets that have a registered model of ours."""
        with self._connection.errors():
            models = pages(self._client.search_registered_models)
            return sorted(str(model.name) for model in models if model.tags.get(DATASET) == model.name)

    def tracked_runs(self) -> list[TrackedRun]:
        """Return all runs of Hearth that are not deleted."""
        with self._connection.errors():
            return [_tracked(run) for run in self._all_runs(f"tags.`{DATASET}` != ''", ViewType.ACTIVE_ONLY)]

    def tracked_models(self) -> list[TrackedModel]:
        """Return all logged models of Hearth that are not deleted, also those that a training is writing."""
        with self._connection.errors():
            models = [model for model in self._all_models() if DATASET in model.tags]
        return [
            TrackedModel(model.model_id, model.source_run_id or "", model.tags[DATASET], _moment(model.creation_timestamp))
            for model in models
        ]

    def known_run_ids(self) -> set[str]:
        """Return the ids of all runs, of everybody and also of those in the trash, in all experiments."""
        with self._connection.errors():
            return {run.info.run_id for run in self._all_runs("", ViewType.ALL)}

    def known_model_ids(self) -> set[str]:
        """Return the ids of all logged models that are not deleted, of everybody."""
        with self._connection.errors():
            return {model.model_id for model in self._all_models()}

    def has_run(self, run_id: str) -> bool:
        """Return whether MLflow has a run, also one in the trash."""
        with self._connection.errors():
            return self._run(run_id) is not None

    def has_model(self, model_id: str) -> bool:
        """Return whether MLflow has a logged model that is not deleted."""
        with self._connection.errors(), _gone_is_fine():
            self._client.get_logged_model(model_id)
            return True
        return False

    def published_runs(self) -> set[str]:
        """Return the ids of the runs that made what is published.

        Raises:
            RegistryError: a tag is not what the ETL writes: then nobody knows.
        """
        with self._connection.errors():
            tags = [experiment.tags[PUBLISHED] for experiment in self._experiments() if PUBLISHED in experiment.tags]
        try:
            return {PUBLICATION.validate_json(text).run_id for text in tags}
        except ValidationError as error:
            raise RegistryError(f"The tag {PUBLISHED} of an MLflow experiment is not what the ETL writes. Run the ETL again.") from error

    def trash_run(self, run_id: str) -> None:
        """Put a run into MLflow's trash; it may be there, or gone."""
        with self._connection.errors(), _gone_is_fine():
            self._client.delete_run(run_id)

    def trash_model(self, model_id: str) -> None:
        """Delete a logged model; it may be gone. Its files stay until MLflow's garbage is collected."""
        with self._connection.errors(), _gone_is_fine():
            self._client.delete_logged_model(model_id)

    def _experiments(self) -> Iterator[Experiment]:
        return pages(partial(self._client.search_experiments, view_type=ViewType.ALL, max_results=_PAGE))

    def _experiment_ids(self) -> Iterator[list[str]]:
        ids = [str(experiment.experiment_id) for experiment in self._experiments()]
        for start in range(0, len(ids), _EXPERIMENTS_A_SEARCH):
            yield ids[start : start + _EXPERIMENTS_A_SEARCH]

    def _all_runs(self, condition: str, view: int) -> Iterator[Run]:
        for ids in self._experiment_ids():
            yield from pages(partial(self._client.search_runs, ids, condition, run_view_type=view, max_results=_PAGE))

    def _all_models(self) -> Iterator[LoggedModel]:
        for ids in self._experiment_ids():
            yield from pages(partial(self._client.search_logged_models, experiment_ids=ids))


class _gone_is_fine:  # noqa: N801 - a context manager that reads as a word
    """Leave the block if what it is about is not there."""

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        return isinstance(error, MlflowException) and error.error_code == NOT_FOUND


def training_group(key: str) -> str:
    """Return what the keys of the runs of one training have in common: `mlops_pipeline` has one for each family, and one for variants."""
    dataset, _, rest = key.partition("/")
    family, best, run = rest.partition("/best of ")
    return f"{dataset}/best of {run.removesuffix('/variants')}" if best and family else key


def names_of(runs: Iterable[TrackedRun]) -> set[tuple[str, str]]:
    """Return the processed data that runs name, as data set and digest."""
    return {(run.dataset, run.digest) for run in runs if run.digest}


def _tracked(run: Run) -> TrackedRun:
    tags = run.data.tags
    return TrackedRun(
        run_id=run.info.run_id,
        kind=_kind(tags),
        dataset=tags[DATASET],
        changed=_moment(run.info.end_time or run.info.start_time),
        key=tags.get(KEY, ""),
        digest=tags.get(DIGEST, ""),
        parent=tags.get(MLFLOW_PARENT_RUN_ID, ""),
        is_kept=is_tagged_to_keep(tags.get(KEEP)),
    )


def is_tagged_to_keep(value: str | None) -> bool:
    """Return whether the tag `hearth.keep` says so: any value does, but `false` and an empty one."""
    return (value or "").strip().lower() not in {"", "false", "no", "0"}


def _kind(tags: dict[str, str]) -> str:
    if TRIAL in tags:
        return "trial"
    if MONITORED in tags:
        return "check"
    if FAMILY in tags:
        return "training"
    return "batch" if KEY in tags else "ETL"


def _moment(milliseconds: int | None) -> datetime:
    return datetime.fromtimestamp((milliseconds or 0) / 1000, UTC)
