"""Runs of the DAGs of a data set through Airflow's scheduler, with their progress on a console."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import httpx
from rich.console import Console
from rich.markup import escape

from hearth.contracts import Contract
from hearth.contracts.airflow_names import ETL, LOAD, PIPELINE, TRAIN, dag_id
from hearth.contracts.model import BatchSource
from hearth.errors import RegistryUnavailable
from hearth.registry import Registry
from utils.airflow_api import FINISHED, AirflowApi, AirflowError, DagRun

Show = Callable[[str], None]

_POLL_SECONDS = 1.0
_PARSE_LIMIT_SECONDS = 180
_RUN_LIMIT_SECONDS = 1800
_SHOWN = {"running", "success", "failed", "up_for_retry", "skipped"}
_WIDTH = 27  # of the longest name of a DAG here, roughly


class Watch:
    """The progress of runs: prints each change of a task's state once, with the reason of a retry, and each trial when it ends."""

    def __init__(self, console: Console, registry: Registry, contract: Contract) -> None:
        self._console = console
        self._registry = registry
        self._contract = contract
        self._started = time.monotonic()
        self._since = datetime.now(UTC)
        self._states: dict[tuple[str, str], str] = {}
        self._best: dict[str, float] = {}
        self._trials: set[str] = set()

    @property
    def seconds(self) -> float:
        """Seconds since the watch began."""
        return time.monotonic() - self._started

    def say(self, text: str) -> None:
        """Print one line after the elapsed seconds."""
        self._console.print(f"[dim]{self.seconds:6.1f} s[/dim]  {text}")

    def update(self, airflow: AirflowApi, runs: Sequence[DagRun]) -> str:
        """Print the changes in `runs` and return one line about all of them."""
        parts = []
        for run in runs:
            tasks = airflow.tasks(run)
            for task in tasks:
                key = (f"{run.dag_id}/{run.run_id}", task.task_id)
                if task.state != self._states.get(key, "") and task.state in _SHOWN:
                    reason = f": {airflow.error(run, task) or 'its log has no error'}" if task.state == "up_for_retry" else ""
                    self.say(f"{run.dag_id:<{_WIDTH}} {task.task_id:<19} {_coloured(task.state)}{escape(reason)}")
                self._states[key] = task.state
            successes = sum(task.state == "success" for task in tasks)
            parts.append(f"{run.dag_id} {successes}/{len(tasks)}")
        self._show_trials()
        return " · ".join(parts)

    def _show_trials(self) -> None:
        try:
            trials = self._registry.finished_trials(self._contract.name, self._since)
        except RegistryUnavailable:
            return  # a busy laptop: the next look shows them
        for trial in trials:
            if trial.run_id in self._trials:
                continue
            self._trials.add(trial.run_id)
            best = self._best[trial.family] = max(trial.score, self._best.get(trial.family, trial.score))
            end = "pruned" if trial.pruned else f"best so far {best:.4f}"
            dag = dag_id(self._contract, TRAIN, trial.family)
            self.say(f"{dag:<{_WIDTH}} {f'trial {trial.number}':<19} {trial.metric} {trial.score:.4f}, {end}")


def run_all(airflow: AirflowApi, registry: Registry, console: Console, contract: Contract, trials: int | None) -> None:
    """Run every DAG of a data set, from its source to models that serve, in the order in which one triggers the other.

    For a data set that selects its best family by `mlops_pipeline`, that DAG runs first: it provides the raw file by itself.

    Raises:
        AirflowError: a DAG cannot be parsed, a run failed (with the end of its log) or took too long.
    """
    watch = Watch(console, registry, contract)
    trainings = [dag_id(contract, TRAIN, family) for family in contract.families if "each_family" in contract.trainings]
    etl, load, pipeline = (dag_id(contract, dag) for dag in (ETL, LOAD, PIPELINE))
    loads, compares = isinstance(contract.source, BatchSource), "best_family" in contract.trainings
    conf = {} if trials is None else {"trials": trials}
    with console.status("waiting for Airflow to parse the DAGs") as status:

        def run(dag: str, conf: Mapping[str, object]) -> DagRun:
            dag_run = airflow.trigger(dag, conf)
            watch.say(f"{dag:<{_WIDTH}} triggered as {dag_run.run_id}")
            wait_for(airflow, [dag_run], watch, status.update)
            return dag_run

        _wait_until_parsed(airflow, [*([load] if loads else []), *([pipeline] if compares else []), etl, *trainings])
        if compares:
            run(pipeline, {})
        published = _caused_etl(airflow, run(load, conf), etl) if loads else None
        if published:
            wait_for(airflow, [published], watch, status.update)
        else:
            published = run(etl, conf)
        wait_for(airflow, _wait_until_caused(airflow, published, trainings), watch, status.update)


def _caused_etl(airflow: AirflowApi, loaded: DagRun, etl: str) -> DagRun | None:
    """Return the run of the ETL that new rows have triggered; None if there are no new rows."""
    if any(task.state == "skipped" for task in airflow.tasks(loaded)):
        return None
    return _wait_until_caused(airflow, loaded, [etl])[0]


def wait_for(airflow: AirflowApi, runs: Sequence[DagRun], watch: Watch, show: Show) -> None:
    """Wait until all runs have finished.

    Raises:
        AirflowError: one failed; the message holds the end of the failed task's log.
    """
    deadline = time.monotonic() + _RUN_LIMIT_SECONDS
    while True:
        try:
            now = [airflow.run(run.dag_id, run.run_id) for run in runs]
            show(watch.update(airflow, now))
        except httpx.TimeoutException:  # a busy laptop: the API server answers late while models train
            show("Airflow is slow to answer")
            now = list(runs)
        for run in now:
            if run.state == "failed":
                raise AirflowError(_why(airflow, run))
        if all(run.state in FINISHED for run in now):
            return
        if time.monotonic() > deadline:
            raise AirflowError(
                f"{', '.join(run.dag_id for run in now if run.state not in FINISHED)} did not finish in {_RUN_LIMIT_SECONDS} s"
            )
        time.sleep(_POLL_SECONDS)


def _wait_until_parsed(airflow: AirflowApi, dag_ids: Sequence[str]) -> None:
    deadline = time.monotonic() + _PARSE_LIMIT_SECONDS
    while missing := [dag_id for dag_id in dag_ids if not airflow.knows(dag_id)]:
        if errors := airflow.import_errors():
            raise AirflowError("DAG files cannot be imported:\n" + "\n".join(errors))
        if time.monotonic() > deadline:
            raise AirflowError(f"Airflow has not found {', '.join(missing)} in {_PARSE_LIMIT_SECONDS} s: see the log of its dag-processor")
        time.sleep(_POLL_SECONDS)


def _wait_until_caused(airflow: AirflowApi, cause: DagRun, dag_ids: Sequence[str]) -> list[DagRun]:
    deadline = time.monotonic() + _PARSE_LIMIT_SECONDS
    while True:
        runs = {run.dag_id: run for run in airflow.runs_caused_by(cause)}
        missing = [dag_id for dag_id in dag_ids if dag_id not in runs]
        if not missing:
            return [runs[dag_id] for dag_id in dag_ids]
        if time.monotonic() > deadline:
            raise AirflowError(
                f"{cause.dag_id} published its asset, but the scheduler started no run of {', '.join(missing)}: is it paused?"
            )
        time.sleep(_POLL_SECONDS)


def _why(airflow: AirflowApi, run: DagRun) -> str:
    failed = [task for task in airflow.tasks(run) if task.state == "failed"]
    logs = "\n".join(f"{task.task_id}:\n{airflow.log_tail(run, task)}" for task in failed)
    return f"{run.dag_id} failed (run {run.run_id}).\n{logs}"


def _coloured(state: str) -> str:
    colour = {"success": "green", "failed": "red", "up_for_retry": "yellow"}.get(state, "cyan")
    return f"[{colour}]{state}[/{colour}]"
