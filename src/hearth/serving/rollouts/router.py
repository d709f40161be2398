"""Which version answers a request for the champion, and what happens if it is a candidate that fails.

The same caller meets the same version while a share stays, and one that has met the candidate does so at every larger share: a hash of the
caller's key and of the rollout is a number from 0 to 1, and the candidate answers where it lies below the share.
"""

import logging
from collections.abc import Callable
from hashlib import blake2b
from time import perf_counter
from typing import Protocol

import numpy as np

from hearth.contracts.aliases import CHAMPION
from hearth.contracts.record_parser import Columns
from hearth.errors import NotKept
from hearth.logs import about
from hearth.modelling.scorer import Scores
from hearth.serving.answer_parts import with_parts
from hearth.serving.include import NOTHING, Include
from hearth.serving.loaded_model import LoadedModel, Split
from hearth.serving.rollouts.counter import RolloutCounter

_LOGGER = logging.getLogger(__name__)
_RANGE = float(2**64)


class SplitModels(Protocol):
    """The part of the models of a process that routes."""

    def get(self, dataset: str, alias: str) -> LoadedModel: ...

    def split(self, dataset: str) -> Split | None: ...


class UnusableScores(Exception):
    """A candidate has answered something else than probabilities."""


class Router:
    """Chooses versions, scores with them, and counts what they did while a rollout runs. Without one it costs a look into a dictionary."""

    def __init__(self, models: SplitModels, counter: RolloutCounter | None = None) -> None:
        self._models, self._counter = models, counter or RolloutCounter({})
        self._failing = ""  # the rollout whose candidate has failed here: one line of the log for each

    @property
    def counter(self) -> RolloutCounter:
        """What was counted."""
        return self._counter

    def route(self, dataset: str, alias: str, key: Callable[[], str], include: Include | None = NOTHING) -> LoadedModel:
        """Return the version that answers a request; `key` is only called while a rollout runs.

        A candidate that lacks what `include` asks for answers nothing; None: what may be asked for later, all that the champion has.

        Raises:
            UnknownDataset, UnknownAlias, ModelUnavailable: as `ModelFollower.get`.
        """
        model = self._models.get(dataset, alias)
        if alias != CHAMPION or (split := self._models.split(dataset)) is None:
            return model
        if self._counter.is_stopped(split.rollout) or position(split.rollout, key()) >= split.share:
            return split.champion
        wanted = _kept(split.champion) if include is None else include
        return split.candidate if not wanted or _keeps(split.candidate, wanted) else split.champion

    def score(self, model: LoadedModel, columns: Columns, answers: int = 1) -> tuple[LoadedModel, Scores]:
        """Score checked columns; where a candidate fails, the champion answers. Returns the version that did."""
        rollout = model.rollout
        if not rollout:
            split = self._models.split(model.dataset) if model.alias == CHAMPION else None
            if split is None or split.champion.version != model.version:
                return model, model.scorer.score_columns(columns)
            rollout = split.rollout
        fallback = model.fallback
        began = perf_counter()
        try:
            scores = model.scorer.score_columns(columns)
            if fallback is not None:
                _require_usable(scores, columns)
        except Exception as error:
            self._counter.add(rollout, model, perf_counter() - began, records=len(columns), answers=answers, failed=True)
            if fallback is None:
                raise
            self._log(model, error)
            return self.score(fallback, columns, answers)
        self._counter.add(rollout, model, perf_counter() - began, records=len(columns), answers=answers)
        return model, scores

    def _log(self, model: LoadedModel, error: Exception) -> None:
        if self._failing != model.rollout:
            self._failing = model.rollout
            _LOGGER.error(
                "%s: the candidate, version %s, fails; the champion answers",
                model.dataset,
                model.version,
                exc_info=error,
                extra=about(model.dataset, version=model.version),
            )


def position(rollout: str, key: str) -> float:
    """Return the number from 0 to 1, 1 excluded, that decides which version answers a caller."""
    digest = blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8, key=rollout.encode()[:64]).digest()
    return int.from_bytes(digest) / _RANGE


def request_key(routing_key: str, request_id: str) -> str:
    """Return what decides which version answers: the caller's key, else the id that the caller gave the request, else the request's own.

    A caller repeats its id when it retries, and then meets the same version. `request_id` is one of `request_ids.unique_id`.
    """
    return routing_key or request_id.rpartition(".")[0] or request_id


def _kept(model: LoadedModel) -> Include:
    return Include(set=model.trust is not None and model.trust.sets is not None, unusual=model.unusual is not None)


def _keeps(candidate: LoadedModel, include: Include) -> bool:
    try:
        return with_parts(candidate, include) is candidate
    except NotKept:
        return False


def _require_usable(scores: Scores, columns: Columns) -> None:
    if len(scores.codes) != len(columns) or not np.isfinite(scores.probabilities).all():
        message = "its probabilities are not finite numbers, one row for each record"
        raise UnusableScores(message)
