"""Work that a thread repeats: no error ends it, the log says each once, and a stop waits for no pause."""

import logging
import threading
from collections.abc import Sequence

import pytest

from hearth.errors import PredictionsUnavailable, RegistryUnavailable
from hearth.periodic import PeriodicThread, in_turn
from tests.support.waiting import wait_until

NEVER = 3_600.0


class Work:
    """Raises what it is given, one after the other, and then nothing."""

    def __init__(self, errors: Sequence[Exception | None] = ()) -> None:
        self.errors, self.calls, self.threads = list(errors), 0, set[str]()

    def __call__(self) -> None:
        self.calls += 1
        self.threads.add(threading.current_thread().name)
        if self.errors and (error := self.errors.pop(0)):
            raise error


def test_it_works_at_once_and_again_and_again() -> None:
    work = Work()
    with PeriodicThread(work, "tidying", 0.001, trouble="nothing is tidied"):
        wait_until(lambda: work.calls >= 3)

    assert work.threads == {"tidying"}


def test_it_can_wait_before_the_first_pass() -> None:
    work = Work()
    with PeriodicThread(work, "tidying", NEVER, trouble="nothing is tidied", waits_first=True):
        pass

    assert work.calls == 0


def test_a_stop_ends_the_pause_and_is_told_to_work_that_runs() -> None:
    begun = threading.Event()
    seen: list[bool] = []

    def work() -> None:
        begun.set()
        seen.append(thread.stopping.wait(60))

    thread = PeriodicThread(work, "tidying", NEVER, trouble="nothing is tidied", join_seconds=60)
    with thread:
        assert begun.wait(60)

    assert seen == [True]
    assert not any(other.name == "tidying" for other in threading.enumerate())


def test_one_that_has_not_begun_can_be_closed() -> None:
    PeriodicThread(Work(), "tidying", NEVER, trouble="nothing is tidied").close()


def test_no_error_ends_it() -> None:
    work = Work([ZeroDivisionError("a"), PredictionsUnavailable("b"), None, KeyError("c")])
    with PeriodicThread(work, "tidying", 0.001, trouble="nothing is tidied"):
        wait_until(lambda: work.calls >= 6)


def test_an_outage_is_logged_once_though_its_text_changes_and_so_is_its_end(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    work = Work(
        [PredictionsUnavailable("a"), PredictionsUnavailable("b"), RegistryUnavailable("c"), None, None, PredictionsUnavailable("d")]
    )
    thread = PeriodicThread(work, "tidying", NEVER, trouble="nothing is tidied")
    for _ in range(6):
        thread.run_once()

    assert [(line.levelname, line.getMessage()) for line in caplog.records] == [
        ("WARNING", "nothing is tidied: a"),
        ("WARNING", "nothing is tidied: c"),
        ("INFO", "nothing is tidied: over"),
        ("WARNING", "nothing is tidied: d"),
    ]


def test_an_unexpected_error_is_logged_with_its_traceback_once_for_each_text(caplog: pytest.LogCaptureFixture) -> None:
    work = Work([ValueError("a"), ValueError("a"), ValueError("b")])
    thread = PeriodicThread(work, "tidying", NEVER, trouble="nothing is tidied")
    for _ in range(3):
        thread.run_once()

    assert [line.getMessage().rpartition(": ")[2] for line in caplog.records] == ["a", "b"]
    assert all(line.exc_info and line.levelname == "ERROR" for line in caplog.records)


def test_the_pause_may_depend_on_what_was_found() -> None:
    pauses = iter([0.001, 0.002])
    work = Work()
    with PeriodicThread(work, "tidying", lambda: next(pauses, NEVER), trouble="nothing is tidied"):
        wait_until(lambda: work.calls >= 3)

    assert work.calls == 3


def test_a_step_that_fails_keeps_none_of_the_others_from_its_turn() -> None:
    steps = [Work([PredictionsUnavailable("first")]), Work(), Work([RegistryUnavailable("third")]), Work()]

    with pytest.raises(PredictionsUnavailable, match="first"):
        in_turn(threading.Event(), *steps)

    assert [step.calls for step in steps] == [1, 1, 1, 1]
    in_turn(threading.Event(), *steps)


def test_an_error_of_a_step_that_nobody_expected_is_not_hidden_by_an_outage() -> None:
    with pytest.raises(ValueError, match="a mistake"):
        in_turn(threading.Event(), Work([PredictionsUnavailable("away")]), Work([ValueError("a mistake")]))


def test_when_it_has_to_stop_no_further_step_begins() -> None:
    stopping, last = threading.Event(), Work()

    in_turn(stopping, stopping.set, last)

    assert last.calls == 0
