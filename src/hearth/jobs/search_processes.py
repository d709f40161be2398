"""A search by several processes of this machine, as `hearth tune --jobs` does it. One that is killed loses its trial, which runs again."""

import logging
import multiprocessing
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerProcess
from typing import Self

from hearth.contracts import load_contract
from hearth.errors import HearthError, SearchFailed
from hearth.jobs.training_data import open_split, within_budget
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
_SERVICE = "search-worker"


def search_in_processes(search: Search, jobs: int, *, on_trial: Callable[[TrialResult], None]) -> TuningResult:
    """Run the trials in `jobs` processes; `on_trial` is called here with each outcome, in the order of their end.

    Raises:
        SearchFailed: every trial failed, a process ended with an error, which it has logged, or too many were killed.
        StudiesUnavailable: the database of searches does not answer.
    """
    with StudyStore.from_settings() as store, store.errors():
        study = store.create(search)
        try:
            with _Crew(search, min(jobs, search.trials)) as crew:
                _watch(study, crew, on_trial)
            study.require_score()
            return best_of([trial.result for trial in study.ended()])
        finally:
            store.remove(search.key)


def _watch(study: SharedStudy, crew: "_Crew", on_trial: Callable[[TrialResult], None]) -> None:
    """Return when all trials have ended."""
    seen: set[int] = set()
    while True:
        is_done = study.progress().is_done  # before the trials are read: the last ones are then among them
        for trial in study.ended():
            if trial.result.number not in seen:
                seen.add(trial.result.number)
                on_trial(trial.result)
        if is_done:
            return
        crew.replace_dead()


class _Crew:
    """The processes. Those that are left are ended with the block."""

    def __init__(self, search: Search, size: int) -> None:
        self._search, self._size = search, size
        self._most = size + search.trials * MOST_TRIES  # processes that are started, at most: no trial kills more
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([__name__])
        self._started = 0
        self._processes: list[ForkServerProcess] = []

    def __enter__(self) -> Self:
        self._processes = [self._start() for _ in range(self._size)]
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join()

    def replace_dead(self) -> None:
        """Wait a moment, and start a process for each that was killed.

        Raises:
            SearchFailed: one ended with an error, or too many were killed.
        """
        wait([process.sentinel for process in self._processes if process.is_alive()], timeout=_POLL_SECONDS)
        for place, process in enumerate(self._processes):
            if not process.exitcode:  # at work, or done
                continue
            if process.exitcode > 0 or self._started >= self._most:
                raise SearchFailed(self._search.key, self._search.trials, "a process ended with an error, which the lines above tell")
            _LOGGER.warning("a process of the search was killed by signal %d; another one takes its place", -process.exitcode)
            self._processes[place] = self._start()

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
        sys.exit(1)


def work_here(key: str, worker: int) -> int:
    """Run trials of a search in this process until all have ended; returns how many ran here."""
    parent = multiprocessing.parent_process()
    with StudyStore.from_settings() as store, store.errors():
        search = store.find(key)
        if search is None:
            return 0
        return run_trials(
            store.join(search, worker),
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
        weights = None if used.weights_train is None else used.weights_train.to_numpy()
        return CrossValidation.prepare(contract, used.X_train, used.y_train, family, seed=search.seed, row_weights=weights)
