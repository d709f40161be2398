"""Which errors fail a task at once, and which are worth another try."""

import inspect

import pytest
from airflow.sdk import RetryAction

from hearth import errors
from hearth.errors import ErrorKind, HearthError
from tests.dags import dag_files

POLICY = dag_files.load("task_defaults").RetryByErrorKind()
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
