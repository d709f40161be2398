"""Which configuration a task refuses, which errors fail it at once, and which are worth another try."""

import inspect
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk import DAG, Param, RetryAction
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from hearth import errors
from hearth.errors import ErrorKind, HearthError
from tests.dags import dag_files

ROOT = Path(__file__).parents[2]
task_defaults = dag_files.load("task_defaults")
POLICY = task_defaults.RetryByErrorKind()
TEMPORARY = {ErrorKind.UNAVAILABLE, ErrorKind.TOO_MANY, ErrorKind.TOO_SLOW}


def raised(error: type[HearthError]) -> HearthError:
    """Return an instance without the arguments that each class has of its own."""
    instance = error.__new__(error)
    Exception.__init__(instance, "what is wrong")
    return instance


@pytest.mark.parametrize("error", [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, HearthError)])
def test_every_error_of_hearth_is_retried_exactly_if_it_can_pass_by_itself(error: type[HearthError]) -> None:
    decision = POLICY.evaluate(raised(error), 1, 3)

    if error.kind in TEMPORARY:
        assert decision.action is RetryAction.DEFAULT
    else:
        assert (decision.action, decision.reason) == (RetryAction.FAIL, f"{error.code}: what is wrong")


@pytest.mark.parametrize("error", [errors.UntrainableData, errors.InvalidRawData, errors.InvalidModelParams, errors.ObjectNotFound])
def test_wrong_data_fail_at_once(error: type[HearthError]) -> None:
    assert POLICY.evaluate(raised(error), 1, 3).action is RetryAction.FAIL


@pytest.mark.parametrize("error", [errors.RegistryUnavailable, errors.StorageUnavailable, errors.SourceUnavailable, errors.InvalidBatch])
def test_a_server_that_is_away_is_asked_again(error: type[HearthError]) -> None:
    assert POLICY.evaluate(raised(error), 1, 3).action is RetryAction.DEFAULT


@pytest.mark.parametrize("error", [ConnectionError("reset"), MemoryError(), SystemExit(1)])
def test_an_error_that_is_not_ours_is_left_to_airflow(error: BaseException) -> None:
    assert POLICY.evaluate(error, 1, 3).action is RetryAction.DEFAULT


def context(conf: dict[str, object] | None) -> dict[str, object]:
    """The part of a task's context that names the run's configuration."""
    return {"dag": DAG("etl", schedule=None, params={"file": Param(None), "trials": Param(3)}), "dag_run": SimpleNamespace(conf=conf)}


def test_lines_of_a_task_have_the_fields_that_all_logs_have() -> None:
    script = """
import logging, sys
from types import SimpleNamespace
from airflow.sdk.log import configure_logging
from tests.dags import dag_files

configure_logging(json_output=True, output=sys.stdout.buffer)
task_defaults = dag_files.load("task_defaults")
for _ in range(2):
    task_defaults.say_whose_log_it_is({"ti": SimpleNamespace(dag_id="train_knn", run_id="manual__1")})
logging.getLogger("hearth.jobs").warning("%d rows", 3, extra={"dataset": "heart", "version": "7", "other": "x"})
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    line = json.loads(ended.stdout.splitlines()[-1])
    assert line.pop("timestamp")
    assert {line.pop("filename"), line.pop("lineno")} == {"<string>", 11}  # which Airflow adds
    assert line == {
        "level": "warning",
        "service": "airflow-task",
        "event": "3 rows",
        "logger": "hearth.jobs",
        "dag_id": "train_knn",
        "run_id": "manual__1",
        "dataset": "heart",
        "version": "7",
    }


@pytest.mark.parametrize("conf", [None, {}, {"file": "march.csv"}, {"trials": 5, "file": None}])
def test_a_configuration_of_params_is_accepted(conf: dict[str, object] | None) -> None:
    task_defaults.refuse_unknown_params(context(conf))


@pytest.mark.parametrize("conf", [{"fiel": "typo.csv"}, {"file": "march.csv", "fiel": "typo.csv"}, {"fiel": None}])
def test_a_key_that_is_no_param_is_refused_by_name(conf: dict[str, object]) -> None:
    with pytest.raises(AirflowFailException, match="unknown keys: 'fiel'; the Params of etl are: file, trials"):
        task_defaults.refuse_unknown_params(context(conf))


def failing(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (raised(errors.InvalidRawData), "invalid_raw_data: what is wrong"),
        (ValueError("not a number"), "ValueError: not a number"),
    ],
)
def test_the_message_of_an_error_is_a_line_of_the_log_before_airflow_adds_the_trace(
    error: BaseException, line: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(type(error)):
        task_defaults.reporting(failing)(error)

    [record] = caplog.records
    assert (record.levelname, record.getMessage(), record.exc_info) == ("ERROR", line, None)


def test_a_task_that_is_skipped_reports_no_error(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(AirflowSkipException):
        task_defaults.reporting(failing)(AirflowSkipException("nothing new"))

    assert caplog.records == []


def test_a_task_that_works_returns_what_its_function_returns() -> None:
    assert task_defaults.reporting(lambda left, *, right: left + right)(1, right=2) == 3


def test_a_run_that_ends_without_a_store_or_with_one_that_is_away_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HEARTH_ENVIRONMENT", "laptop")
    monkeypatch.setenv("HEARTH_DATA_DIR", "data")
    callbacks = task_defaults.dag_alerts("heart")
    ended = {"dag": DAG("heart_etl_mlflow", schedule=None), "run_id": "manual__1", "reason": "task_failure"}
    monkeypatch.setenv("HEARTH_MONITOR_URL", "")
    callbacks["on_failure_callback"](ended)
    assert caplog.records == []
    monkeypatch.setenv("HEARTH_MONITOR_URL", "postgresql://nobody:geheim@127.0.0.1:9/none")
    callbacks["on_failure_callback"](ended)
    [line] = [record.getMessage() for record in caplog.records if record.name.startswith("hearth")]
    assert line.startswith(
        "heart_etl_mlflow: the end of its run manual__1 is not reported to the alerts: The predictions store 127.0.0.1:9/none"
    )
    assert "geheim" not in caplog.text
