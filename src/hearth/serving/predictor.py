"""The predictor behind REST, GraphQL and gRPC: finds the model, selects the thread, scores, and records the answer.

A protocol only reads its requests and writes its responses.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from hearth.contracts.record_parser import Columns
from hearth.modelling.scorer import Scores
from hearth.serving.include import NOTHING, Include
from hearth.serving.loaded_model import LoadedModel
from hearth.serving.model_follower import ModelFollower
from hearth.serving.recording.messages import Source
from hearth.serving.recording.recorder import Recorder
from hearth.serving.rollouts.router import Router

T = TypeVar("T")

BYTES_IN_PLACE = 65_536  # of a request: one record can have hundreds of thousands of columns


@dataclass(frozen=True, slots=True)
class Predictions:
    """The predictions of one version for the records of one request, in their order.

    `model` is the version that answered: the champion, where the candidate that was to answer has failed.
    """

    model: LoadedModel
    columns: Columns
    scores: Scores
    request_id: str


class Predictor:
    """Scores requests with the models of the registry. One instance for the process.

    `compute` needs one thread, for requests that would block the event loop; more threads would only compete for the interpreter lock.
    """

    def __init__(self, models: ModelFollower, recorder: Recorder, compute: ThreadPoolExecutor, router: Router | None = None) -> None:
        self._models, self._recorder, self._compute = models, recorder, compute
        self._router = router or Router(models)

    @property
    def router(self) -> Router:
        """What decides between champion and candidate."""
        return self._router

    def route(self, dataset: str, alias: str, key: Callable[[], str], include: Include | None = NOTHING) -> LoadedModel:
        """Return the version that answers a request, without I/O: see `Router.route`. A request asks once, and goes on with what it got.

        Raises:
            UnknownDataset: no contract has this name.
            UnknownAlias: the data set cannot have this alias.
            ModelUnavailable: no model is loaded for the alias; the message has the reason.
        """
        return self._router.route(dataset, alias, key, include)

    def find(self, dataset: str, alias: str) -> LoadedModel:
        """Return the model that serves under an alias, without I/O; of the champion's requests a candidate may answer some: see `route`.

        Raises:
            UnknownDataset: no contract has this name.
            UnknownAlias: the data set cannot have this alias.
            ModelUnavailable: no model is loaded for the alias; the message has the reason.
        """
        return self._models.get(dataset, alias)

    def predict(self, model: LoadedModel, records: Sequence[object], request_id: str, source: Source) -> Predictions:
        """Check raw records, score them and record the answer, in the calling thread.

        Raises:
            InvalidRecords: with every problem of the records.
        """
        return self.score(model, model.scorer.parser.parse(records), request_id, source)

    def score(self, model: LoadedModel, columns: Columns, request_id: str, source: Source) -> Predictions:
        """Score checked columns and record the answer, in the calling thread. `request_id` must be unique: see `request_ids`."""
        model, scores = self._router.score(model, columns)
        self._recorder.record(model, columns, scores, request_id, source)
        return Predictions(model, columns, scores, request_id)

    def record(  # noqa: PLR0913, PLR0917 - the parts of an answer
        self, model: LoadedModel, columns: Columns, scores: Scores, request_id: str, source: Source, places: np.ndarray
    ) -> None:
        """Record a part of an answer that the caller scored; `places`, shape (n,), are the positions of its records in the request."""
        self._recorder.record(model, columns, scores, request_id, source, places)

    async def dispatch(self, model: LoadedModel, records: int, size: int, work: Callable[[], T]) -> T:
        """Run the work of a request with this many records and bytes: a small one in the event loop, others in the compute thread."""
        if records <= model.records_in_place and size <= BYTES_IN_PLACE:
            return work()
        return await self.in_compute_thread(work)

    async def in_compute_thread(self, work: Callable[[], T]) -> T:
        """Run work in the compute thread, in the trace of the request. Work of a request that is cancelled before it starts is skipped."""
        return await asyncio.get_running_loop().run_in_executor(self._compute, copy_context().run, work)
