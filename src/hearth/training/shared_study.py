"""One search that several processes work on, on one machine or several: its trials are rows of Optuna's tables in PostgreSQL.

Each trial of the search has a number from 0 and is handed out under a lock, so that there are neither more nor fewer than was asked for. A
worker tells every few seconds that it is alive. A trial whose worker has told nothing for the time of grace is handed out again with the
same parameters, `MOST_TRIES` times in all, not counting those that an outage has ended.
ADR 0035 says why this is not left to Optuna's own `optimize`.
"""

import logging
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import numpy as np
import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError, UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from hearth.errors import SearchFailed, SearchRemoved
from hearth.modelling.trials import TrialResult
from hearth.training.objective import make_pruner, make_sampler

_LOGGER = logging.getLogger(__name__)
_P = ParamSpec("_P")
_R = TypeVar("_R")
MOST_TRIES = 3  # a trial that kills its worker each time is given up
_LOCK_CLASS = 0x48535459  # of PostgreSQL's advisory locks: ours, beside the number of the study
_NUMBER, _TRY, _OUTCOME, _ERROR, _FREE = "number", "try", "outcome", "error", "free"  # attributes of a trial
_WORKER, _PARAMS, _SCORES = "worker", "params", "fold_scores"  # of an outcome


@dataclass(frozen=True)
class Claim:
    """A trial that a worker has taken; it is told how the trial ended."""

    trial: optuna.Trial
    number: int
    storage_id: int


@dataclass(frozen=True)
class Progress:
    """How far a search is: trials asked for, ended with a score, ended without one (failed, or given up), at work now."""

    trials: int
    scored: int
    failed: int
    running: int

    @property
    def is_done(self) -> bool:
        """Whether every trial has ended."""
        return self.scored + self.failed == self.trials


@dataclass(frozen=True)
class EndedTrial:
    """A trial with a score, who ran it, for how long, and in which try."""

    result: TrialResult
    worker: int
    seconds: float
    tries: int


def _raises_if_removed(method: "Callable[Concatenate[SharedStudy, _P], _R]") -> "Callable[Concatenate[SharedStudy, _P], _R]":
    """Raise SearchRemoved for what Optuna raises when rows of a search are gone."""

    @wraps(method)
    def call(self: "SharedStudy", /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return method(self, *args, **kwargs)
        except (KeyError, IntegrityError) as error:
            if not self.is_removed():
                raise
            raise SearchRemoved(self.name) from error

    return call


class SharedStudy:
    """A search in the database; made by `StudyStore`. Errors of the database are those of Optuna and SQLAlchemy.

    All methods but `alive` raise SearchRemoved if the search is no longer there.
    """

    def __init__(  # noqa: PLR0913 - those of the search, and the worker's
        self, storage: optuna.storages.RDBStorage, name: str, seed: int, trials: int, worker: int = 0, *, grace_seconds: int = 60
    ) -> None:
        self.name = name
        self._storage, self._trials, self._worker, self._grace = storage, trials, worker, grace_seconds
        self._id = storage.get_study_id_from_name(name)
        self._study = optuna.Study(study_name=name, storage=storage, pruner=make_pruner())
        self._study.sampler = make_sampler(sampler_seed(seed, worker, len(self._study.get_trials(deepcopy=False))))

    @_raises_if_removed
    def claim(self, defaults: Mapping[str, object]) -> Claim | None:
        """Take the next trial, first one that was lost; None if there is none to take, though others may be at work.

        The first trial of the search has the parameters `defaults`.
        """
        with self._turn(), warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            warnings.filterwarnings("ignore", "Heartbeat of storage", UserWarning)  # it is told here, by `alive`
            optuna.storages.fail_stale_trials(self._study)
            latest = self._latest()
            waiting = [(self._id_of(trial), trial.user_attrs[_NUMBER]) for trial in latest.values() if trial.state == TrialState.WAITING]
            waiting += [self._queue_again(trial) for trial in latest.values() if _is_lost(trial) and not _is_given_up(trial)]
            if not waiting and len(latest) < self._trials:
                number = len(latest)
                waiting.append((self._queue(number, 1, fixed_params={} if number else dict(defaults)), number))
            if not waiting:
                return None
            found, number = min(waiting)  # the first in the queue is the one that `ask` takes
            self._storage.record_heartbeat(found)  # before it runs: whoever is killed right after leaves a trial that grows stale
            return Claim(self._study.ask(), number, found)

    @contextmanager
    def alive(self, claim: Claim) -> Iterator[None]:
        """Tell during the block, every few seconds, that the worker of this trial is alive."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(self._storage.heartbeat_interval):
                try:
                    self._storage.record_heartbeat(claim.storage_id)
                except (KeyError, StorageInternalError, SQLAlchemyError) as error:
                    _LOGGER.warning("trial %d: its worker could not tell that it is alive: %s", claim.number, error)
            self._storage.remove_session()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    @_raises_if_removed
    def end(self, claim: Claim, result: TrialResult) -> bool:
        """Store the outcome of a trial; False if another worker has taken the trial over meanwhile, so that this one does not count."""
        with self._taken_over(claim) as over:
            outcome = {_WORKER: self._worker, _PARAMS: dict(result.params), _SCORES: list(result.fold_scores)}
            claim.trial.set_user_attr(_OUTCOME, outcome)
            if result.pruned:
                self._study.tell(claim.trial, state=TrialState.PRUNED)
            else:
                self._study.tell(claim.trial, result.score)
        return not over.is_set()

    @_raises_if_removed
    def fail(self, claim: Claim, error: BaseException) -> None:
        """Store that a trial's parameters do not fit the data: it counts as one of the trials."""
        with self._taken_over(claim):
            claim.trial.set_user_attr(_ERROR, f"{type(error).__name__}: {error}")
            self._study.tell(claim.trial, state=TrialState.FAIL)

    @_raises_if_removed
    def give_back(self, claim: Claim, *, counts: bool) -> None:
        """Leave a trial that was not ended to others, at once. It `counts` as one of the tries if the trial itself may be to blame."""
        with self._taken_over(claim):
            claim.trial.set_user_attr(_FREE, not counts)
            self._study.tell(claim.trial, state=TrialState.FAIL)

    @_raises_if_removed
    def progress(self) -> Progress:
        """Return how far the search is."""
        latest = list(self._latest().values())
        scored = sum(map(_has_score, latest))
        failed = sum(_ERROR in trial.user_attrs or _is_given_up(trial) for trial in latest)
        return Progress(self._trials, scored, failed, sum(trial.state == TrialState.RUNNING for trial in latest))

    @_raises_if_removed
    def ended(self) -> list[EndedTrial]:
        """Return the trials that have a score, in the order in which they ended."""
        found = filter(_has_score, self._latest().values())
        return [_ended(trial) for trial in sorted(found, key=lambda trial: (str(trial.datetime_complete), trial.number))]

    def is_removed(self) -> bool:
        """Whether the search is no longer there, or was begun anew."""
        try:
            return bool(self._storage.get_study_id_from_name(self.name) != self._id)
        except KeyError:
            return True

    @_raises_if_removed
    def require_score(self) -> None:
        """Raise SearchFailed if no trial has a score, with the first of their errors."""
        latest = self._latest()
        if any(map(_has_score, latest.values())):
            return
        errors = [latest[number].user_attrs.get(_ERROR, "its workers died") for number in sorted(latest)]
        raise SearchFailed(self.name, self._trials, errors[0] if errors else "none was begun")

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the lock of this study: one process at a time hands out a trial. A process that dies lets go of it.

        A machine that vanishes with the lock is one whose connection stands still: the server ends that after the time of grace.
        """
        with self._storage.engine.begin() as connection:
            for name, seconds in (("idle_in_transaction_session_timeout", self._grace), ("lock_timeout", 2 * self._grace)):
                connection.execute(text("SELECT set_config(:name, :value, true)"), {"name": name, "value": f"{seconds}s"})
            connection.execute(text("SELECT pg_advisory_xact_lock(:class, :study)"), {"class": _LOCK_CLASS, "study": self._id})
            yield

    @contextmanager
    def _taken_over(self, claim: Claim) -> Iterator[threading.Event]:
        over = threading.Event()
        try:
            yield over
        except (UpdateFinishedTrialError, ValueError):  # the second is what `tell` raises
            if not self._storage.get_trial(claim.storage_id).state.is_finished():
                raise
            over.set()
            _LOGGER.warning(
                "trial %d: another worker has taken it over, because this one seemed dead: its result is left out", claim.number
            )

    def _latest(self) -> dict[int, FrozenTrial]:
        """Return the last try of each trial of the search, by number."""
        return {trial.user_attrs[_NUMBER]: trial for trial in self._study.get_trials(deepcopy=False)}

    def _queue_again(self, trial: FrozenTrial) -> tuple[int, int]:
        """Queue a trial that was lost, with the parameters that it has, and return its new id and its number."""
        number, tries = trial.user_attrs[_NUMBER], trial.user_attrs[_TRY] + (not trial.user_attrs.get(_FREE, False))
        _LOGGER.warning("trial %d: its worker died or gave it back; it runs again (try %d of %d)", number, tries, MOST_TRIES)
        fixed = trial.system_attrs.get("fixed_params", {})
        return self._queue(number, tries, fixed_params=fixed, params=trial.params, distributions=trial.distributions), number

    def _queue(self, number: int, tries: int, *, fixed_params: Mapping[str, object], **suggested: Any) -> int:  # noqa: ANN401 - as Optuna has it
        """Queue a trial, as Optuna's `enqueue_trial` and `add_trial` do, and return its id."""
        template = create_trial(
            state=TrialState.WAITING,
            system_attrs={"fixed_params": dict(fixed_params)},
            user_attrs={_NUMBER: number, _TRY: tries},
            **suggested,
        )
        return int(self._storage.create_new_trial(self._id, template_trial=template))

    def _id_of(self, trial: FrozenTrial) -> int:
        return int(self._storage.get_trial_id_from_study_id_trial_number(self._id, trial.number))


def sampler_seed(seed: int, worker: int, begun: int) -> int:
    """Return the seed of a worker's sampler: that of the search for the first worker of a new one, else one that no other worker has.

    `begun` is how many trials there were when the worker started: one that starts again does not suggest what it has suggested before.
    """
    if worker == begun == 0:
        return seed
    return int(np.random.SeedSequence([seed, worker, begun]).generate_state(1)[0])


def _has_score(trial: FrozenTrial) -> bool:
    return trial.state in {TrialState.COMPLETE, TrialState.PRUNED}


def _is_lost(trial: FrozenTrial) -> bool:
    """Whether a trial has ended without an outcome."""
    return trial.state == TrialState.FAIL and _ERROR not in trial.user_attrs


def _is_given_up(trial: FrozenTrial) -> bool:
    """Whether a trial was lost for the last time; one that was given back because of something else was not."""
    return _is_lost(trial) and trial.user_attrs[_TRY] >= MOST_TRIES and not trial.user_attrs.get(_FREE, False)


def _ended(trial: FrozenTrial) -> EndedTrial:
    attributes, outcome = trial.user_attrs, trial.user_attrs[_OUTCOME]
    scores: Sequence[float] = outcome[_SCORES]
    result = TrialResult(attributes[_NUMBER], outcome[_PARAMS], tuple(scores), pruned=trial.state == TrialState.PRUNED)
    return EndedTrial(result, outcome[_WORKER], trial.duration.total_seconds() if trial.duration else 0.0, attributes[_TRY])
