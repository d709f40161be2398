"""The work of one process on a search that it shares with others."""

import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError

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
    each trial. `on_trial` is called with each outcome after it is stored.

    Raises:
        Exception: what `prepare` raises, or `on_trial`. A trial that was begun is left to others.
    """
    objective: Objective | None = None
    count = 0
    while goes_on():
        claim = study.claim(defaults)
        if claim is None:
            if not until_done or study.progress().is_done:
                break
            time.sleep(_POLL_SECONDS)
            continue
        with study.alive(claim):
            try:
                objective = objective or prepare()
                result = objective(claim.trial, claim.number)
            except TrialFailed as error:
                study.fail(claim, error.__cause__ or error)
                count += 1
                continue
            except UpdateFinishedTrialError:
                _LOGGER.warning("trial %d: another worker has taken it over, because this one seemed dead", claim.number)
                continue
            except BaseException:
                _give_back(study, claim)
                raise
        if study.end(claim, result):
            count += 1
            on_trial(result)
    return count


def _give_back(study: SharedStudy, claim: Claim) -> None:
    """Leave the trial to others; if the database is away they find out when it grows stale."""
    with suppress(StorageInternalError):
        study.give_back(claim)
