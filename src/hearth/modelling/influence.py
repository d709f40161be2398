"""What a fitted model's answers depend on: the importance of each feature for its score, and its contribution to its probabilities."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from hearth.contracts import Contract
from hearth.modelling.evaluation import metric

_REPEATS = 3
_IMPORTANCE_ROWS = 250  # an SVM scores a few hundred rows a second
_EXPLAINED_ROWS = 60
_ORDERS = 6


@dataclass(frozen=True)
class Importance:
    """How much the contract's metric falls when the values of a feature change places; one drop for each time they did."""

    drops: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean drop; near zero, or below it, the feature does not matter."""
        return float(np.mean(self.drops))

    @property
    def spread(self) -> float:
        """The standard deviation of the drops."""
        return float(np.std(self.drops))


@dataclass(frozen=True)
class ExplainedSample:
    """Some records, and what each of their features adds to the probability of each class: shape (rows, features, classes)."""

    records: pd.DataFrame
    contributions: np.ndarray

    def mean_sizes(self) -> Mapping[str, np.ndarray]:
        """Return the mean size of each feature's contribution to the probability of each class, the largest first."""
        sizes = np.abs(self.contributions).mean(axis=0)
        return {str(self.records.columns[at]): sizes[at] for at in np.argsort(-sizes.sum(axis=1), kind="stable")}


def measure_importances(contract: Contract, pipeline: Pipeline, X: pd.DataFrame, y: np.ndarray, *, seed: int) -> dict[str, Importance]:
    """Return the permutation importance of each feature, the largest first, on at most 250 rows.

    `X` holds the features of the contract as frames have them, `y` the codes of the rows' classes.
    """
    random = np.random.default_rng(seed)
    rows = random.permutation(len(X))[:_IMPORTANCE_ROWS]
    frame, truth = X.iloc[rows].reset_index(drop=True), y[rows]
    score = metric(contract, truth, _codes(pipeline, frame))
    importances = {}
    for name in contract.feature_names:
        drops = []
        for _ in range(_REPEATS):
            moved = frame.assign(**{name: frame[name].iloc[random.permutation(len(frame))].reset_index(drop=True)})
            drops.append(score - metric(contract, truth, _codes(pipeline, moved)))
        importances[name] = Importance(tuple(drops))
    return dict(sorted(importances.items(), key=lambda entry: -entry[1].mean))


def contributions(pipeline: Pipeline, X: pd.DataFrame, background: pd.DataFrame, *, orders: int, seed: int) -> np.ndarray:
    """Return sampled Shapley values of the probabilities, (rows, features, classes); the features are the columns of `X`.

    For each record and each of `orders` random orders, one after the other the columns of a random background row take the record's values;
    what a column adds to the probabilities counts for it. So the values of a record sum to its probabilities less the mean of those of its
    background rows.
    """
    random = np.random.default_rng(seed)
    rows, features = X.shape
    mixed = background[list(X.columns)].iloc[random.integers(len(background), size=rows * orders)].reset_index(drop=True)
    own = X.iloc[np.repeat(np.arange(rows), orders)].reset_index(drop=True)
    ranks = np.stack([random.permutation(features) for _ in range(rows * orders)])  # [i, f]: when feature f takes the record's value
    before = np.asarray(pipeline.predict_proba(mixed))
    added = np.zeros((rows * orders, features, before.shape[1]))
    for step in range(features):
        turn = ranks == step
        mixed = mixed.assign(**{name: mixed[name].mask(turn[:, at], own[name]) for at, name in enumerate(X.columns)})
        after = np.asarray(pipeline.predict_proba(mixed))
        added[turn] = after - before
        before = after
    values: np.ndarray = added.reshape(rows, orders, features, -1).mean(axis=1)
    return values


def explain_sample(contract: Contract, pipeline: Pipeline, X: pd.DataFrame, *, background: pd.DataFrame, seed: int) -> ExplainedSample:
    """Return the contributions of at most 60 records of `X`."""
    rows = np.random.default_rng(seed).permutation(len(X))[:_EXPLAINED_ROWS]
    some = X.iloc[rows][list(contract.feature_names)].reset_index(drop=True)
    return ExplainedSample(some, contributions(pipeline, some, background, orders=_ORDERS, seed=seed))


def _codes(pipeline: Pipeline, frame: pd.DataFrame) -> np.ndarray:
    codes: np.ndarray = np.asarray(pipeline.predict_proba(frame)).argmax(axis=1)
    return codes
