"""A search of parameters in MLflow: a parent run, and one child run a trial."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID

from hearth.modelling.trials import TrialResult, TuningResult
from hearth.registry.connection import Connection

TRIAL, PRUNED = "hearth.trial", "hearth.pruned"


class Study:
    """The runs of one search; made by `Registry.study`, which also ends the parent run."""

    def __init__(self, connection: Connection, experiment_id: str, run_id: str, metric: str, tags: Mapping[str, str]) -> None:
        self.run_id = run_id
        self._connection = connection
        self._experiment_id = experiment_id
        self._metric = metric
        self._tags = {**tags, MLFLOW_PARENT_RUN_ID: run_id}

    def log_trial(self, trial: TrialResult) -> None:
        """Log one trial: its parameters, the metric of each fold as steps, and their mean."""
        with self._connection.errors():
            tags = {**self._tags, TRIAL: str(trial.number), PRUNED: str(trial.pruned).lower()}
            name, status = f"trial {trial.number}", "KILLED" if trial.pruned else "FINISHED"
            run_id = self._connection.start_run(self._experiment_id, name, tags)
            series = {f"cv_{self._metric}": [trial.score], f"fold_{self._metric}": trial.fold_scores}
            self._connection.log_series(run_id, trial.params, series)
            self._connection.client.set_terminated(run_id, status)

    def log_shared(self, trial: TrialResult) -> None:
        """Log one trial of a search that several processes work on, also as a point of the parent run's chart, which grows as they work."""
        self.log_trial(trial)
        with self._connection.errors():
            self._connection.client.log_metric(self.run_id, f"trial_{self._metric}", trial.score, step=trial.number)

    def logged_trials(self) -> set[int]:
        """Return the numbers of the trials that are logged; what a process left that died while it logged one is deleted."""
        with self._connection.errors():
            numbers = set()
            for run in self._connection.runs(self._experiment_id, MLFLOW_PARENT_RUN_ID, self.run_id):
                if run.info.status == "RUNNING":
                    self._connection.client.delete_run(run.info.run_id)
                else:
                    numbers.add(int(run.data.tags[TRIAL]))
            return numbers

    def log_picture(self, name: str, content: bytes) -> None:
        """Log a picture of the search."""
        with self._connection.errors():
            self._connection.log_files(self.run_id, {f"figures/{name}": content})

    @contextmanager
    def ending(self) -> Iterator[None]:
        """End the parent run with the block: FINISHED, or FAILED if it raises."""
        with self._connection.errors(), self._connection.ending(self.run_id):
            yield

    def log_best(self, tuned: TuningResult) -> None:
        """Log the result on the parent run."""
        with self._connection.errors():
            pruned = sum(trial.pruned for trial in tuned.trials)
            best = {f"best_{name}": value for name, value in tuned.params.items()}
            self._connection.log(self.run_id, best, {f"cv_{self._metric}": tuned.score, "trials": len(tuned.trials), "pruned": pruned})
