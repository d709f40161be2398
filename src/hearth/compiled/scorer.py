"""The scorer that services use: the pipeline's features as numpy operations, LightGBM as tables, other models as scikit-learn has them."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from lightgbm import LGBMClassifier
from sklearn.pipeline import Pipeline

from hearth.compiled.preprocessing import CannotCompile, CompiledFeatures
from hearth.compiled.trees import compile_booster, raw_scores
from hearth.contracts import CategoryColumn, Contract, IntegerColumn, NumberColumn
from hearth.contracts.columns import Columns, RecordParser
from hearth.scoring import Scorer, Scores

_LOGGER = logging.getLogger(__name__)
_TOLERANCE = 1e-6
_CHECK_ROWS = 256

Compiled = Callable[[Columns], np.ndarray]
Model = Callable[[np.ndarray], np.ndarray]


class CompiledScorer(Scorer):
    """A scorer in compiled form; what cannot be compiled, or then gives other answers, is scored by scikit-learn."""

    def __init__(self, pipeline: Pipeline, contract: Contract) -> None:
        super().__init__(pipeline, contract)
        self.parser = RecordParser(contract)
        self._compiled: Compiled | None = None
        try:
            self._compiled = _compile(pipeline)
        except CannotCompile as reason:
            _LOGGER.warning("%s: %s; scikit-learn scores instead", contract.name, reason)
        if self._compiled is not None and not self._agrees():
            _LOGGER.error("%s: the compiled form gives other probabilities than scikit-learn, which scores instead", contract.name)
            self._compiled = None

    @property
    def is_compiled(self) -> bool:
        """Whether scikit-learn's pipeline is bypassed."""
        return self._compiled is not None

    def score(self, records: Sequence[Mapping[str, object]]) -> Scores:
        """Score records that have passed the check."""
        return self.score_columns(self.parser.from_checked(records))

    def score_columns(self, columns: Columns) -> Scores:
        """Score checked columns."""
        if self._compiled is None:
            return self.score_frame(self.parser.frame(columns))
        if len(columns) == 0:
            return Scores(np.empty(0, np.intp), np.empty((0, len(self._classes))), self._classes, self._class_codes)
        probabilities = self._compiled(columns)
        return Scores(probabilities.argmax(axis=1), probabilities, self._classes, self._class_codes)

    def records_within(self, seconds: float, most: int) -> int:
        """Return how many records, up to `most`, are scored within so many seconds on this machine, to within a factor of two."""
        columns = random_columns(self._contract, most)
        rows = most
        while rows:
            part = columns.rows(slice(rows))
            if min(self._seconds_for(part) for _ in range(3)) <= seconds:
                break
            rows //= 2
        return rows

    def _seconds_for(self, columns: Columns) -> float:
        started = time.perf_counter()
        self.score_columns(columns)
        return time.perf_counter() - started

    def _agrees(self) -> bool:
        """Compare with scikit-learn on random records that have every pattern of missing values that the contract allows."""
        columns = random_columns(self._contract, _CHECK_ROWS)
        compiled, original = self.score_columns(columns), self.score_frame(self.parser.frame(columns))
        close = np.allclose(compiled.probabilities, original.probabilities, rtol=0, atol=_TOLERANCE)
        return close and np.array_equal(compiled.codes, original.codes)


def _compile(pipeline: Pipeline) -> Compiled:
    """Return the compiled form of a whole pipeline: columns in, probabilities (n, classes) out."""
    if not isinstance(pipeline, Pipeline) or [name for name, _ in pipeline.steps] != ["features", "model"]:
        raise CannotCompile(f"{type(pipeline).__name__} is no pipeline of features and model")
    features, model = CompiledFeatures(pipeline["features"]), _compile_model(pipeline["model"])
    return lambda columns: model(features(columns))


def _compile_model(model: object) -> Model:
    """Return the compiled form of the last step: features in, probabilities (n, classes) out."""
    if not isinstance(model, LGBMClassifier):
        return model.predict_proba  # type: ignore[attr-defined,no-any-return]  # a classifier of the catalogue
    if list(model.classes_) != list(range(model.n_classes_)):
        raise CannotCompile(f"the classes are {list(model.classes_)}, not codes from 0")
    tables = compile_booster(model.booster_)
    objective = model.booster_.dump_model(num_iteration=1)["objective"]
    if objective == f"multiclass num_class:{model.n_classes_}":
        return lambda X: _softmax(raw_scores(tables, X))
    if objective == "binary sigmoid:1":
        return lambda X: _two_classes(raw_scores(tables, X))
    raise CannotCompile(f"the objective {objective!r} has no compiled form")


def _softmax(raw: np.ndarray) -> np.ndarray:
    raw -= raw.max(axis=1, keepdims=True)
    np.exp(raw, out=raw)
    raw /= raw.sum(axis=1, keepdims=True)
    return raw


def _two_classes(raw: np.ndarray) -> np.ndarray:
    second = 1.0 / (1.0 + np.exp(-raw))
    return np.concatenate([1.0 - second, second], axis=1)


def random_columns(contract: Contract, rows: int) -> Columns:
    """Make records that the contract allows, with every pattern of missing values; the same ones each time."""
    random = np.random.default_rng(0)
    numbers, codes = [], []
    for column in contract.feature_columns.values():
        missing = (random.random(rows) < 0.5) & column.nullable  # noqa: PLR2004 - as often as not
        if isinstance(column, CategoryColumn):
            count = len(column.categories)
            codes.append(np.where(missing, count, random.integers(count, size=rows)))
        elif isinstance(column, IntegerColumn | NumberColumn):
            values = random.uniform(column.minimum, column.maximum, rows)
            numbers.append(np.where(missing, np.nan, np.rint(values) if isinstance(column, IntegerColumn) else values))
    return Columns(_stacked(numbers, rows, np.float64), _stacked(codes, rows, np.intp))


def _stacked(columns: Sequence[np.ndarray], rows: int, kind: type) -> np.ndarray:
    return np.stack(columns, axis=1).astype(kind) if columns else np.empty((rows, 0), kind)
