"""The work of one process on a search that it shares with others."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from sqlalchemy.exc import SQLAlchemyError

from hearth.errors import SearchRemoved
from hearth.modelling.families import Param
from hearth.modelling.trials import TrialResult
from hearth.training.objective import Objective, TrialFailed
from hearth.training.shared_study import Claim, SharedStudy

_LOGGER = logging.getLogger(__name__)
_POLL_SECONDS = 1.0


def run_trials(  # noqa: PLR0913 - all but the search and its objective are named
    study: SharedStudy,
    prepare: Callable[[], Objective],
    *,
    defaults: Mapping[str, Param],
    until_done: bool = False,
    goes_on: Callable[[], bool] = lambda: True,
    on_trial: Callable[[TrialResult], None] = lambda _: None,
) -> int:
    """Run trials while there are any to take, and return how many; `prepare` is called for the first.

    With `until_done` the process waits for trials that others are at, and takes those over whose worker has died. `goes_on` is asked before
    each trial. `on_trial` is called with each outcome after it is stored. A search that is removed meanwhile is over.

    Raises:
        Exception: what `prepare` raises, or `on_trial`. A trial that was begun is left to others, and its tries
            are counted only if the trial itself has raised it.
    """
    count = 0
    try:
        for result in _run(study, prepare, defaults, until_done=until_done, goes_on=goes_on):
            count += 1
            if result is not None:
                on_trial(result)
    except SearchRemoved as error:
        _LOGGER.warning("%s", error)
    return count


def _run(
    study: SharedStudy, prepare: Callable[[], Objective], defaults: Mapping[str, Param], *, until_done: bool, goes_on: Callable[[], bool]
) -> Iterator[TrialResult | None]:
    """Yield each outcome after it is stored, None for a trial that failed."""
    objective: Objective | None = None
    while goes_on():
        claim = study.claim(defaults)
        if claim is None:
            if not until_done or study.progress().is_done:
                break
            time.sleep(_POLL_SECONDS)
            continue
        with study.alive(claim):
            if objective is None:
                objective = _prepared(study, claim, prepare)
            try:
                result = _result(study, claim, objective)
            except TrialFailed as error:
                study.fail(claim, error.__cause__ or error)
                yield None
                continue
            except UpdateFinishedTrialError:
                _LOGGER.warning("trial %d: another worker has taken it over, because this one seemed dead", claim.number)
                continue
        if study.end(claim, result):
            yield result


def _prepared(study: SharedStudy, claim: Claim, prepare: Callable[[], Objective]) -> Objective:
    """Prepare the objective. No trial is to blame for an error of the data, or of their store."""
    try:
        return prepare()
    except BaseException:
        _give_back(study, claim, counts=False)
        raise


def _result(study: SharedStudy, claim: Claim, objective: Objective) -> TrialResult:
    """Run a trial. If that does not come to its end, others run it."""
    try:
        return objective(claim.trial, claim.number)
    except (TrialFailed, UpdateFinishedTrialError):
        raise
    except (StorageInternalError, SQLAlchemyError):
        _give_back(study, claim, counts=False)
        raise
    except Exception as error:
        _give_back(study, claim, counts=True)
        if isinstance(error, KeyError) and study.is_removed():
            raise SearchRemoved(study.name) from error
        raise
    except BaseException:  # the time limit of a task, Ctrl-C, the end of the process
        _give_back(study, claim, counts=False)
        raise


def _give_back(study: SharedStudy, claim: Claim, *, counts: bool) -> None:
    """Leave the trial to others; if the database is away they find out when it grows stale."""
    with suppress(StorageInternalError, SQLAlchemyError, SearchRemoved):
        study.give_back(claim, counts=counts)
