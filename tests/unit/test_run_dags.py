"""The progress of runs on the console: trials as they end, and retries with their reason."""

from datetime import datetime
from io import StringIO

import httpx
from rich.console import Console

from hearth.errors import RegistryUnavailable
from hearth.registry import FinishedTrial
from tests.support.samples import EMPLOYEES
from utils.airflow_api import AirflowApi, DagRun, TaskState
from utils.run_dags import Watch

RUN = DagRun("train_knn", "manual__1", "running")


class Trials:
    """The part of a registry that knows trials; it can be away."""

    def __init__(self, *trials: FinishedTrial) -> None:
        self.trials = list(trials)
        self.away = False

    def finished_trials(self, dataset: str, since: datetime) -> list[FinishedTrial]:
        assert (dataset, since.tzinfo is not None) == ("employees", True)
        if self.away:
            raise RegistryUnavailable("MLflow does not answer.")
        return self.trials


def trial(number: int, score: float, *, pruned: bool = False) -> FinishedTrial:
    return FinishedTrial(f"run-{number}", "knn", number, "macro_f1", score, pruned)


def airflow(state: str, log: list[object]) -> AirflowApi:
    """Airflow with one task in this state and this log."""

    def answer(request: httpx.Request) -> httpx.Response:
        if "/logs/" in request.url.path:
            return httpx.Response(200, json={"content": log})
        return httpx.Response(200, json={"task_instances": [{"task_id": "train", "state": state, "try_number": 1}]})

    api = AirflowApi("http://airflow", "airflow", "airflow")
    api._client = httpx.Client(base_url="http://airflow", transport=httpx.MockTransport(answer))
    return api


def shown(trials: Trials, *states: tuple[str, list[object]]) -> list[str]:
    console = Console(record=True, width=200, file=StringIO())
    watch = Watch(console, trials, EMPLOYEES)  # type: ignore[arg-type]
    for state, log in states:
        watch.update(airflow(state, log), [RUN])
    return [" ".join(line.split()[2:]) for line in console.export_text().splitlines()]


def test_a_trial_is_shown_once_when_it_has_ended_with_the_best_so_far() -> None:
    trials = Trials(trial(0, 0.8), trial(1, 0.7), trial(2, 0.6, pruned=True))

    assert shown(trials, ("running", []), ("running", [])) == [
        "train_knn train running",
        "train_knn trial 0 macro_f1 0.8000, best so far 0.8000",
        "train_knn trial 1 macro_f1 0.7000, best so far 0.8000",
        "train_knn trial 2 macro_f1 0.6000, pruned",
    ]


def test_a_registry_that_is_away_for_a_moment_ends_nothing() -> None:
    trials = Trials(trial(0, 0.8))
    trials.away = True

    assert shown(trials, ("running", [])) == ["train_knn train running"]


REPORTED = {"event": "registry_unavailable: MLflow does not answer.", "level": "error", "logger": "hearth.task"}
TRACE = {"event": "Task failed with exception", "level": "error", "error_detail": [{"exc_type": "ValueError", "exc_value": "too\n  far"}]}


def test_a_retry_is_shown_with_the_line_that_the_task_reported() -> None:
    assert shown(Trials(), ("up_for_retry", [REPORTED, TRACE, {"event": "::endgroup::"}])) == [
        "train_knn train up_for_retry: registry_unavailable: MLflow does not answer."
    ]


def test_without_such_a_line_it_is_the_error_of_the_trace_in_one_line() -> None:
    assert shown(Trials(), ("up_for_retry", ["text", TRACE])) == ["train_knn train up_for_retry: ValueError: too far"]


def test_a_try_that_was_killed_says_that_its_log_has_no_error() -> None:
    assert shown(Trials(), ("up_for_retry", [{"event": "::group::Pre Execute"}])) == ["train_knn train up_for_retry: its log has no error"]


def test_the_state_of_a_task_has_its_try() -> None:
    assert airflow("running", []).tasks(RUN) == [TaskState("train", "running", 1)]
