"""The scorer of services: compiled features in front of LightGBM's trees as tables, neighbours and support vectors as matrix products.

Other models are scikit-learn's own, behind compiled features.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
from lightgbm import LGBMClassifier
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from hearth.contracts import Contract
from hearth.contracts.examples import random_columns
from hearth.contracts.record_parser import Columns
from hearth.logs import about
from hearth.modelling.booster_text import InvalidBooster, read_booster
from hearth.modelling.calibration import METHODS, calibrate, gives_probabilities, one_column_for_two, values_of
from hearth.modelling.scorer import Scorer, Scores
from hearth.serving.compiled.neighbours import CompiledNeighbours
from hearth.serving.compiled.preprocessing import CompiledFeatures
from hearth.serving.compiled.scaling import CannotCompile
from hearth.serving.compiled.support_vectors import CompiledMachine
from hearth.serving.compiled.tree_kernel import Link, walk
from hearth.serving.compiled.tree_tables import before_scaling, compile_booster, with_categories

_LOGGER = logging.getLogger(__name__)
_TOLERANCE = 1e-6
_CHECK_ROWS = 256
_MISSING_SHARE = 0.5  # of the values of made-up records that may be missing

Compiled = Callable[[Columns], tuple[np.ndarray, np.ndarray]]
"""From columns to the positions of the predicted classes (n,) and the probabilities (n, classes)."""
Matrix = Callable[[np.ndarray], np.ndarray]


class CompiledScorer(Scorer):
    """A scorer in compiled form; a pipeline that cannot be compiled, or differs when compiled, is scored by scikit-learn."""

    def __init__(self, pipeline: Pipeline, contract: Contract, example: pd.DataFrame | None = None) -> None:
        """Compile, and compare with scikit-learn on random records and on the example (raw features), if there is one."""
        super().__init__(pipeline, contract)
        self._compiled: Compiled | None = None
        try:
            self._compiled = _compile(pipeline)
        except CannotCompile as reason:
            _LOGGER.warning("%s: %s; scikit-learn scores instead", contract.name, reason, extra=about(contract.name))
        if self._compiled is not None and not self._agrees(example):
            _LOGGER.error(
                "%s: the compiled form gives other probabilities than scikit-learn, which scores instead",
                contract.name,
                extra=about(contract.name),
            )
            self._compiled = None

    @property
    def is_compiled(self) -> bool:
        """Whether scikit-learn's pipeline is bypassed."""
        return self._compiled is not None

    def score(self, records: Sequence[Mapping[str, object]]) -> Scores:
        """Score valid records."""
        return self.score_columns(self.parser.from_checked(records))

    def score_columns(self, columns: Columns) -> Scores:
        """Score checked columns."""
        if self._compiled is None:
            return super().score_columns(columns)
        if len(columns) == 0:
            return Scores(np.empty(0, np.intp), np.empty((0, len(self._classes))), self._classes, self._class_codes)
        return Scores(*self._compiled(columns), self._classes, self._class_codes)

    def records_within(self, seconds: float, most: int) -> int:
        """Return the number of records, at most `most`, that this machine scores within `seconds`, to within a factor of two."""
        columns = random_columns(self._contract, most, missing_share=_MISSING_SHARE)
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

    def _agrees(self, example: pd.DataFrame | None) -> bool:
        """Compare with scikit-learn on the example, and on random records with every pattern of missing values that the contract allows."""
        probes = [random_columns(self._contract, _CHECK_ROWS, missing_share=_MISSING_SHARE)]
        if example is not None:
            probes.append(self.parser.from_frame(example))
        return all(self._scores_the_same(columns) for columns in probes)

    def _scores_the_same(self, columns: Columns) -> bool:
        compiled, original = self.score_columns(columns), self.score_frame(self.parser.frame(columns))
        close = np.allclose(compiled.probabilities, original.probabilities, rtol=0, atol=_TOLERANCE)
        return close and np.array_equal(compiled.codes, original.codes)


def _compile(pipeline: Pipeline) -> Compiled:
    """Return the compiled form of a whole pipeline."""
    if not isinstance(pipeline, Pipeline) or [name for name, _ in pipeline.steps] != ["features", "model"]:
        raise CannotCompile(f"{type(pipeline).__name__} is no pipeline of features and model")
    features, model = CompiledFeatures(pipeline["features"]), pipeline["model"]
    if isinstance(model, CalibratedClassifierCV):
        return _Calibrated(features, model)
    if isinstance(model, LGBMClassifier):
        return _Boosted(features, model)

    predict_proba = _predict_proba(model)

    def score(columns: Columns) -> tuple[np.ndarray, np.ndarray]:
        probabilities = predict_proba(features(columns))
        return probabilities.argmax(axis=1), probabilities

    return score


def _predict_proba(model: ClassifierMixin) -> Matrix:
    """Return the function from features to probabilities (n, classes)."""
    if isinstance(model, KNeighborsClassifier):
        try:
            return CompiledNeighbours(model)
        except CannotCompile as reason:
            _LOGGER.info("%s", reason)
    own: Matrix = model.predict_proba
    return own


def _values(model: ClassifierMixin) -> Matrix:
    """Return the function from features to what a calibration takes: `values_of` the model."""
    if isinstance(model, SVC):
        try:
            return CompiledMachine(model)
        except CannotCompile as reason:
            _LOGGER.info("%s", reason)
    if not gives_probabilities(model):
        return partial(values_of, model)
    predict_proba = _predict_proba(model)
    return lambda X: one_column_for_two(np.asarray(predict_proba(X), dtype=np.float64))


class _Calibrated:
    """A model with its calibrators: scikit-learn's operations, in their order, without its checks of each call."""

    def __init__(self, features: CompiledFeatures, outer: CalibratedClassifierCV) -> None:
        if len(outer.calibrated_classifiers_) != 1:
            raise CannotCompile(f"{len(outer.calibrated_classifiers_)} calibrated models have no compiled form")
        part = outer.calibrated_classifiers_[0]
        model = part.estimator
        if list(outer.classes_) != list(range(len(outer.classes_))) or list(model.classes_) != list(outer.classes_):
            raise CannotCompile(f"the classes are {list(outer.classes_)}, not codes from 0")
        if part.method not in METHODS:
            raise CannotCompile(f"the calibration {part.method!r} has no compiled form")
        self._features, self._method, self._calibrators = features, part.method, part.calibrators
        self._are_probabilities = gives_probabilities(model)
        # The sums of leaves are LightGBM's to the last bit, which isotonic regression needs: it has steps
        self._boosted = _Boosted(features, model, sums=True) if isinstance(model, LGBMClassifier) else None
        self._values = _values(model)

    def __call__(self, columns: Columns) -> tuple[np.ndarray, np.ndarray]:
        values = self._values(self._features(columns)) if self._boosted is None else self._boosted(columns)[1]
        calibrated = calibrate(self._method, self._calibrators, values, are_probabilities=self._are_probabilities)
        return calibrated.argmax(axis=1), calibrated


class _Boosted:
    """LightGBM with its features: the tables take raw records if the imputer is a table too. With `sums`: the sums of leaves."""

    def __init__(self, features: CompiledFeatures, model: LGBMClassifier, *, sums: bool = False) -> None:
        if list(model.classes_) != list(range(model.n_classes_)):
            raise CannotCompile(f"the classes are {list(model.classes_)}, not codes from 0")
        self._features = features
        try:
            booster = read_booster(model.booster_.model_to_string())
        except InvalidBooster as error:
            raise CannotCompile(f"the booster: {error}") from error
        link = _link(booster.objective, int(model.n_classes_))
        self._link = Link.NONE if sums else link
        numbers = model.n_features_in_ - sum(features.widths)
        self._scaled = with_categories(compile_booster(booster), numbers, features.widths)
        self._raw = before_scaling(self._scaled, features.scale)

    def __call__(self, columns: Columns) -> tuple[np.ndarray, np.ndarray]:
        codes = self._features.codes(columns)
        scored = walk(self._raw, self._link, columns.numbers, codes, self._features.imputer)
        if scored is None:  # a number is missing, and the imputer is no table
            scored = walk(self._scaled, self._link, self._features.numbers(columns), codes)
        assert scored is not None  # noqa: S101 - the imputer leaves nothing missing
        return scored


def _link(objective: str, classes: int) -> Link:
    links = {f"multiclass num_class:{classes}": Link.SOFTMAX, "binary sigmoid:1": Link.LOGISTIC}
    if objective not in links:
        raise CannotCompile(f"the objective {objective!r} has no compiled form")
    return links[objective]
