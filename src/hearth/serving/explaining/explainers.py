"""The explainers of a process: one for each explained version, and one thread for all of them.

An explanation scores hundreds of records. It has one thread, so that it does not delay the threads that answer predictions.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self
from weakref import WeakKeyDictionary

from hearth.contracts import Contract
from hearth.contracts.record_parser import Columns, raw_values
from hearth.errors import InvalidStatistics, ModelUnavailable, TooBusy, TooSlow, UnknownClass
from hearth.logs import about
from hearth.modelling.scorer import Scores
from hearth.serving.explaining.background import Background, draw_background
from hearth.serving.explaining.model import Explanation, explained
from hearth.serving.explaining.sampled_shap import DRAWN_ROWS, SampledContributions
from hearth.serving.explaining.tree_shap import TreeContributions
from hearth.serving.loaded_model import LoadedModel
from hearth.serving.model_follower import ModelFollower

if TYPE_CHECKING:
    from hearth.serving.compiled.scorer import CompiledScorer

_LOGGER = logging.getLogger(__name__)

ALL_CLASSES = "all"
MAX_WAITING = 32
_SECONDS = 30.0

Method = TreeContributions | SampledContributions


class Explainers:
    """Explains records by the model that scores them; must be closed."""

    def __init__(
        self, contracts: Mapping[str, Contract], data_dir: Path, max_waiting: int = MAX_WAITING, seconds: float = _SECONDS
    ) -> None:
        """`seconds` is the time after which a request that is not explained yet is given up."""
        self._seconds = seconds
        self._contracts = dict(contracts)
        self._data_dir = data_dir
        self._max_waiting = max_waiting
        self._backgrounds: dict[str, Background] = {}
        # an explainer lives as long as the scorer of its version, and does not keep it alive
        self._methods: WeakKeyDictionary[CompiledScorer, Method] = WeakKeyDictionary()
        self._requests: set[Future[list[Explanation]]] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="explainer")

    def check_class(self, dataset: str, class_: str | None) -> None:
        """Raise UnknownClass if the data set has no such class; None and `ALL_CLASSES` are allowed."""
        classes = self._contracts[dataset].target.classes
        if class_ is not None and class_ not in classes and class_ != ALL_CLASSES:
            raise UnknownClass(dataset, class_, [*classes, ALL_CLASSES])

    def method(self, model: LoadedModel) -> str:
        """Return the description of the method that explains a model."""
        return self._method(model).method

    def submit(
        self, model: LoadedModel, columns: Columns, class_: str | None = None, top: int | None = None
    ) -> "Future[list[Explanation]]":
        """Explain valid records in the explainers' thread; returns at once.

        Requests take turns, a record each, so that a single record does not wait for all records of another request. A request whose future
        is cancelled, or whose time is over (TooSlow), takes no further turn.

        Each record gets one explanation, of the named class or of the predicted one; `ALL_CLASSES` gets one for each class, unless a class
        has that name. `top` is the number of largest contributions to return.

        Raises:
            UnknownClass: the data set has no such class.
            TooBusy: the maximum of requests waits already.
        """
        self.check_class(model.dataset, class_)
        future: Future[list[Explanation]] = Future()
        with self._lock:
            if len(self._requests) >= self._max_waiting:
                raise TooBusy(f"{self._max_waiting} requests for explanations wait already: try again when they are answered.")
            self._requests.add(future)
        future.add_done_callback(self._release)
        turns = self._explain(model, columns, class_, top, time.monotonic() + self._seconds)
        try:
            self._thread.submit(self._take_turn, future, turns, [])
        except RuntimeError:
            future.cancel()
            raise
        return future

    def explain(self, model: LoadedModel, columns: Columns, class_: str | None = None, top: int | None = None) -> list[Explanation]:
        """Do the same as `submit`, and wait for the result."""
        return self.submit(model, columns, class_, top).result()

    def warm(self, models: ModelFollower, then: Callable[[], object] = lambda: None) -> None:
        """Prepare the explainers of the loaded models in the background; `then` is called there if one of them is sampled."""
        with suppress(RuntimeError):  # the service stops, and with it the thread
            self._thread.submit(self._warm, models, then)

    def close(self) -> None:
        """Stop: requests that are not answered get TooBusy; the thread ends after its present record."""
        self._closed.set()
        self._thread.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            unanswered = list(self._requests)
        for future in unanswered:
            with suppress(InvalidStateError):  # answered meanwhile
                future.set_exception(TooBusy("The service is stopping."))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _warm(self, models: ModelFollower, then: Callable[[], object]) -> None:
        sampled = False
        for status in models.status().aliases:
            if self._closed.is_set():
                return
            try:
                method = self._method(models.get(status.dataset, status.alias))
            except ModelUnavailable:
                continue
            except InvalidStatistics as error:  # a request for an explanation gets the error
                _LOGGER.warning("%s", error, extra=about(status.dataset, alias=status.alias))
                continue
            sampled = sampled or isinstance(method, SampledContributions)
        if sampled:
            then()

    def _release(self, future: "Future[list[Explanation]]") -> None:
        with self._lock:
            self._requests.discard(future)

    def _take_turn(self, future: "Future[list[Explanation]]", turns: Iterator[list[Explanation]], done: list[Explanation]) -> None:
        """Explain the next record of a request, and put the request behind the others."""
        if future.cancelled():
            return
        try:
            explanations = next(turns, None)
            if explanations is not None:
                self._thread.submit(self._take_turn, future, turns, [*done, *explanations])
                return
        except RuntimeError:  # of a pool that is closed
            error: Exception = TooBusy("The service is stopping.")
        except Exception as raised:  # noqa: BLE001 - raised again for the request
            error = raised
        else:
            with suppress(InvalidStateError):  # cancelled meanwhile
                future.set_result(done)
            return
        with suppress(InvalidStateError):
            future.set_exception(error)

    def _explain(
        self, model: LoadedModel, columns: Columns, class_: str | None, top: int | None, end: float
    ) -> Iterator[list[Explanation]]:
        scores = model.scorer.score_columns(columns)
        for row in range(len(columns)):
            if self._closed.is_set():
                raise TooBusy("The service is stopping.")
            if time.monotonic() > end:
                raise TooSlow(
                    f"The explanations took longer than {self._seconds:g} s (HEARTH_EXPLAIN_SECONDS), with those of other requests: "
                    "send fewer records, or try again later."
                )
            yield self._explain_record(model, columns.rows(slice(row, row + 1)), scores, row, class_, top)

    def _explain_record(  # noqa: PLR0913, PLR0917 - the arguments of `submit`, and the record
        self, model: LoadedModel, record: Columns, scores: Scores, row: int, class_: str | None, top: int | None
    ) -> list[Explanation]:
        contract, method = self._contracts[model.dataset], self._method(model)
        attribution = method.attribute(model.scorer, record)
        values = raw_values(contract, record, 0)
        predicted = int(scores.codes[row])
        explanations = []
        for code in _chosen(scores.classes, class_, predicted):
            largest = explained(attribution, 0, code, values, top)
            total = float(attribution.contributions[0, :, code].sum())
            explanations.append(
                Explanation(
                    row=row,
                    code=predicted,
                    label=scores.classes[predicted],
                    probabilities=dict(zip(scores.classes, scores.probabilities[row].tolist(), strict=True)),
                    explained=scores.classes[code],
                    unit=method.unit,
                    base_value=float(attribution.base[code]),
                    score=float(attribution.base[code]) + total,
                    contributions=largest,
                    rest=total - sum(part.contribution for part in largest) if len(largest) < len(values) else 0.0,
                )
            )
        return explanations

    def _method(self, model: LoadedModel) -> Method:
        method = self._methods.get(model.scorer)
        if method is None:
            contract = self._contracts[model.dataset]
            trees = TreeContributions.of(model.scorer.pipeline, contract)
            method = trees or SampledContributions(contract, model.scorer, self._background(contract))
            self._methods[model.scorer] = method
        return method

    def _background(self, contract: Contract) -> Background:
        if contract.name not in self._backgrounds:
            self._backgrounds[contract.name] = draw_background(contract, self._data_dir, DRAWN_ROWS)
        return self._backgrounds[contract.name]


def _chosen(classes: tuple[str, ...], class_: str | None, predicted: int) -> list[int]:
    if class_ is None:
        return [predicted]
    return [classes.index(class_)] if class_ in classes else list(range(len(classes)))
