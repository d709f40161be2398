"""A search by several processes of this machine, as `hearth tune --jobs` does it. One that is killed loses its trial, which runs again."""

import logging
import multiprocessing
import signal
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from typing import Self

from hearth.contracts import load_contract
from hearth.errors import ErrorKind, HearthError, SearchInterrupted, SearchRemoved, StudiesUnavailable
from hearth.jobs.training_data import open_split, row_weights, within_budget
from hearth.logs import configure_logging
from hearth.modelling.families import FAMILIES
from hearth.modelling.trials import TrialResult, TuningResult
from hearth.storage import ObjectStore
from hearth.training.objective import CrossValidation, best_of
from hearth.training.search_worker import run_trials
from hearth.training.shared_study import MOST_TRIES, SharedStudy
from hearth.training.study_store import Search, StudyStore

_LOGGER = logging.getLogger(__name__)
_POLL_SECONDS = 0.5
_UNAVAILABLE = 75  # the exit status of a process that an outage has ended: EX_TEMPFAIL
_SERVICE = "search-worker"


def search_in_processes(search: Search, jobs: int, *, on_trial: Callable[[TrialResult], None]) -> TuningResult:
    """Run the trials in `jobs` processes; `on_trial` is called here with each outcome, in the order of their end.

    Raises:
        SearchFailed: every trial failed.
        SearchInterrupted: a process ended with an error, which it has logged, or too many were killed, before all trials had ended.
        StudiesUnavailable: the database of searches did not answer for the time of grace.
    """
    with StudyStore.from_settings() as store, store.errors():
        study = store.create(search)
        try:
            with _Crew(search, min(jobs, search.trials)) as crew:
                _watch(store, study, crew, on_trial)
            study.require_score()
            return best_of([trial.result for trial in study.ended()])
        finally:
            store.discard(search.key)


def _watch(store: StudyStore, study: SharedStudy, crew: "_Crew", on_trial: Callable[[TrialResult], None]) -> None:
    """Return when all trials have ended."""
    seen: set[int] = set()
    answered = time.monotonic()
    while True:
        try:
            with store.errors():
                progress, trials = study.progress(), study.ended()  # in this order: at the end the last trials are then among them
        except StudiesUnavailable as error:
            if time.monotonic() - answered > store.grace_seconds:
                raise
            _LOGGER.warning("%s It is asked again.", error)
            time.sleep(_POLL_SECONDS)
            continue
        answered = time.monotonic()
        for trial in trials:
            if trial.result.number not in seen:
                seen.add(trial.result.number)
                on_trial(trial.result)
        if progress.is_done:
            return
        crew.replace_dead(progress.scored + progress.failed, store.grace_seconds)


class _Crew:
    """The processes. Those that are left are ended with the block."""

    def __init__(self, search: Search, size: int) -> None:
        self._search, self._size = search, size
        self._most = size + search.trials * MOST_TRIES  # processes that are started, at most: no trial kills more
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__])
        self._started = 0
        self._unavailable = 0  # processes that a server's outage has ended
        self._outage: tuple[int, float] | None = None  # how many trials had ended when one did so, and when
        self._processes: list[ForkServerProcess] = []

    def __enter__(self) -> Self:
        self._processes = [self._start() for _ in range(self._size)]
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()

    def replace_dead(self, ended: int, grace_seconds: float) -> None:
        """Wait a moment, and start a process for each that was killed, or that a server did not answer. `ended` trials have ended so far.

        Raises:
            SearchInterrupted: one ended with an error, too many were killed, or a server does not answer and no trial ends.
        """
        wait([process.sentinel for process in self._processes if process.is_alive()], timeout=_POLL_SECONDS)
        for place, process in enumerate(self._processes):
            if not process.exitcode:  # at work, or done
                continue
            if process.exitcode == _UNAVAILABLE:
                if self._stood_still(ended) > grace_seconds:
                    raise self._interrupted(ended, "a server does not answer, which the lines above tell")
                self._unavailable += 1
                _LOGGER.warning("a process of the search has ended because a server did not answer; another one takes its place")
            elif process.exitcode > 0:
                raise self._interrupted(ended, "a process ended with an error, which the lines above tell")
            elif self._started - self._unavailable >= self._most:
                raise self._interrupted(ended, f"{self._most} processes were killed or have ended")
            else:
                _LOGGER.warning("a process of the search was killed by signal %d; another one takes its place", -process.exitcode)
            self._processes[place] = self._start()

    def _stood_still(self, ended: int) -> float:
        """Return the seconds since a process was ended by an outage for the first time after the last trial that has ended."""
        now = time.monotonic()
        if self._outage is None or self._outage[0] != ended:
            self._outage = (ended, now)
        return now - self._outage[1]

    def _interrupted(self, ended: int, reason: str) -> SearchInterrupted:
        return SearchInterrupted(self._search.key, ended, self._search.trials, reason)

    def _start(self) -> ForkServerProcess:
        level = logging.getLevelName(logging.getLogger().level)
        process = self._context.Process(target=_work, args=(self._search.key, self._started, level), daemon=True)
        self._started += 1
        process.start()
        return process


def _work(key: str, worker: int, log_level: str) -> None:
    """Be one of the processes, until all trials have ended or the process that started this one has."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of them; the first one ends the others
    configure_logging(_SERVICE, log_level)
    try:
        work_here(key, worker)
    except HearthError as error:
        _LOGGER.critical("%s: %s", error.code, error)
        sys.exit(_UNAVAILABLE if error.kind is ErrorKind.UNAVAILABLE else 1)


def work_here(key: str, worker: int) -> int:
    """Run trials of a search in this process until all have ended; returns how many ran here."""
    parent = multiprocessing.parent_process()
    with StudyStore.from_settings() as store, store.errors():
        search = store.find(key)
        if search is None:
            return 0
        try:
            study = store.join(search, worker)
        except SearchRemoved:  # between the two looks
            return 0
        return run_trials(
            study,
            lambda: prepare(search),
            defaults=FAMILIES[search.family].defaults,
            until_done=True,
            goes_on=lambda: parent is None or parent.is_alive(),
        )


def prepare(search: Search) -> CrossValidation:
    """Load the data of a search and make its folds.

    Raises:
        ObjectNotFound: the data are gone.
        UntrainableData: a class has too few rows.
    """
    contract, family = load_contract(search.dataset), FAMILIES[search.family]
    with open_split(ObjectStore.from_settings(), contract, search.digest) as split:
        used = within_budget(contract, search.family, split)
        return CrossValidation.prepare(contract, used.X_train, used.y_train, family, seed=search.seed, row_weights=row_weights(used))
