"""A second opinion on drift: can a classifier tell the window from the reference? Pure.

It sees all columns together, so it finds what no single column shows, such as two columns that no longer go together. It costs a few
seconds, so it runs by hand and once a night.
"""

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import lightgbm
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

_FOLDS = 5
_MOST_ROWS = 5_000  # of each side
_LEVEL = 0.95


@dataclass(frozen=True)
class SecondOpinion:
    """How well the classifier tells the two apart, out of fold: 0.5 is a guess, 1 is without a mistake; with its interval of 95 %.

    `columns` are those that it used most, with their shares of the gain.
    """

    auc: float
    low: float
    high: float
    columns: tuple[tuple[str, float], ...]

    @property
    def sees_drift(self) -> bool:
        """Whether it does better than a guess, by more than chance."""
        return self.low > 0.5  # noqa: PLR2004 - a guess


def second_opinion(reference: pd.DataFrame, window: pd.DataFrame, seed: int = 0, top: int = 5) -> SecondOpinion | None:
    """Train a classifier to tell raw records of the reference from those of a window; None if either has too few for the folds.

    Both frames have the same columns: numbers are float64, categories texts. The interval is that of Hanley and McNeil (1982).
    """
    names = [name for name in window.columns if name in reference.columns]
    generator = np.random.default_rng(seed)
    parts = [_sample(frame[names], generator) for frame in (reference, window)]
    if min(map(len, parts)) < _FOLDS or not names:
        return None
    X = pd.concat(parts, ignore_index=True)
    X = X.assign(**{name: X[name].astype("category") for name in names if not pd.api.types.is_numeric_dtype(X[name].dtype)})
    X.columns = [f"c{position}" for position in range(len(names))]  # LightGBM refuses some names
    y = np.repeat([0, 1], [len(part) for part in parts])
    classifier = lightgbm.LGBMClassifier(
        n_estimators=60, num_leaves=15, min_child_samples=20, class_weight="balanced", random_state=seed, n_jobs=1, verbose=-1,
        importance_type="gain", deterministic=True, force_row_wise=True,
    )  # fmt: skip
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    scores = cross_val_predict(classifier, X, y, cv=folds, method="predict_proba")[:, 1]
    auc = float(roc_auc_score(y, scores))
    error = _auc_error(auc, len(parts[1]), len(parts[0])) * NormalDist().inv_cdf((1 + _LEVEL) / 2)
    gains = np.asarray(classifier.fit(X, y).feature_importances_, dtype=np.float64)
    order = np.argsort(-gains)[:top]
    used = tuple((names[at], float(gains[at] / gains.sum())) for at in order if gains[at] > 0)
    return SecondOpinion(auc, max(0.0, auc - error), min(1.0, auc + error), used)


def _sample(frame: pd.DataFrame, generator: np.random.Generator) -> pd.DataFrame:
    if len(frame) <= _MOST_ROWS:
        return frame
    return frame.iloc[np.sort(generator.choice(len(frame), _MOST_ROWS, replace=False))]


def _auc_error(auc: float, positives: int, negatives: int) -> float:
    q1, q2 = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (positives - 1) * (q1 - auc**2) + (negatives - 1) * (q2 - auc**2)
    return sqrt(max(0.0, variance) / (positives * negatives))
