"""What a search by several processes says when it cannot go on."""

import sys
from collections.abc import Callable

import pytest

from hearth.errors import SearchInterrupted
from hearth.jobs import search_processes
from hearth.jobs.search_processes import _UNAVAILABLE, _Crew
from hearth.training.study_store import Search
from tests.support.waiting import wait_until

SEARCH = Search("employees/knn/1", "employees", "knn", "ab12", 40, 1, "s3://processed")


def fails(*_: object) -> None:
    sys.exit(1)


def meets_an_outage(*_: object) -> None:
    sys.exit(_UNAVAILABLE)


def crew_of(work: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> _Crew:
    monkeypatch.setattr(search_processes, "_work", work)
    return _Crew(SEARCH, 1)


def test_a_process_that_ends_with_an_error_is_told_with_the_trials_that_had_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def ends() -> bool:
        crew.replace_dead(39, 60)
        return False

    with crew_of(fails, monkeypatch) as crew, pytest.raises(SearchInterrupted, match=r"39 of 40 trials had ended: a process ended with an"):
        wait_until(ends)


def test_a_process_that_an_outage_ends_is_replaced_until_no_trial_has_ended_for_the_time_of_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_replaced() -> bool:
        crew.replace_dead(39, 600)
        return crew._started == 3

    def ends() -> bool:
        crew.replace_dead(39, 0)
        return False

    with crew_of(meets_an_outage, monkeypatch) as crew:
        wait_until(is_replaced)
        with pytest.raises(SearchInterrupted, match=r"39 of 40 trials had ended: a server does not answer"):
            wait_until(ends)
