"""What more train rows are worth: the contract's metric of models that are fitted on more and more of them, on rows held out of all."""

from dataclasses import dataclass
from time import perf_counter

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from hearth.contracts import Contract
from hearth.contracts.training_words import LEAST_ROWS
from hearth.data.row_sample import frame_order, sample_frame, sample_places
from hearth.modelling.evaluation import metric
from hearth.modelling.families import Family
from hearth.modelling.features import build_features
from hearth.training.folds import fit_weights

TABLE = "learning_curve.json"
FEWEST_ROWS = 5_000
"""Train rows below which there are too few points for a curve."""

_STEPS = (1, 3)  # 1,000, 3,000, 10,000, 30,000 …
_TOO_NEAR = 0.7  # a point at more than this share of the last one says what that one says
_HELD_SHARE, _MOST_HELD = 0.2, 10_000
_FEATURE_ROWS = 100_000


@dataclass(frozen=True)
class CurvePoint:
    """Rows that a model was fitted on, its metric on the rows held out, and the seconds of the fit."""

    rows: int
    metric: float
    seconds: float


@dataclass(frozen=True)
class LearningCurve:
    """Points with rising rows, and how many rows were held out."""

    points: tuple[CurvePoint, ...]
    held_out: int

    def table(self, name: str) -> pd.DataFrame:
        """Return a row a point; `name` is that of the metric."""
        return pd.DataFrame(
            {
                "rows": [point.rows for point in self.points],
                name: [point.metric for point in self.points],
                "fit_seconds": [round(point.seconds, 3) for point in self.points],
            }
        )


def measure_curve(  # noqa: PLR0913 - all but the data are named
    contract: Contract,
    X: pd.DataFrame,
    y: pd.Series,
    family: Family,
    *,
    seed: int,
    row_weights: np.ndarray | None = None,
) -> LearningCurve | None:
    """Fit a family with its default parameters on nested samples of train rows.

    The samples and the rows held out are drawn by a hash of the rows, so the same rows give the same curve. Copies of a row are held out
    together, as folds do. Features are made once, by what is not held out: the curve says what more rows are worth for the model.

    Args:
        contract: Whose rows they are.
        X: Raw features of train rows, as many as the family is fitted on.
        y: Their classes.
        family: Of the models.
        seed: Of their estimators.
        row_weights: How much each row counts, shape (rows,), if not all count the same.

    Returns:
        None with fewer than 5,000 train rows, and where a class has too few to be among those held out and those left.
    """
    if len(X) < FEWEST_ROWS:
        return None
    order, codes = frame_order(contract, X), y.to_numpy()
    most_held = min(int(len(X) * _HELD_SHARE), _MOST_HELD)
    held = sample_places(~order, codes, most_held, copies_together=True, most_of_rare=_HELD_SHARE)
    rest = np.setdiff1d(np.arange(len(X)), held, assume_unique=True)
    if any(len(np.unique(codes[rows])) < len(contract.target.classes) for rows in (held, rest)):
        return None
    own = None if row_weights is None else row_weights[held]
    points = []
    with threadpool_limits(limits=1):  # trainings run side by side: one core each
        some = X.iloc[rest]
        features = build_features(contract).fit(some.iloc[sample_frame(contract, some, codes[rest], _FEATURE_ROWS)])
        X_rest, X_held = features.transform(some), features.transform(X.iloc[held])
        for rows in curve_rows(len(rest)):
            places = sample_places(order[rest], codes[rest], rows)
            fitted = rest[places]
            weights = fit_weights(contract, family, codes[fitted], None if row_weights is None else row_weights[fitted])
            started = perf_counter()
            model = family.build_for_tuning(family.limited(family.defaults, len(places)), seed)
            model.fit(X_rest[places], codes[fitted], **weights)
            seconds = perf_counter() - started
            points.append(CurvePoint(len(places), metric(contract, codes[held], np.asarray(model.predict(X_held)), own), seconds))
    return LearningCurve(tuple(points), len(held))


def curve_rows(most: int) -> tuple[int, ...]:
    """Return the rows of the points, the last of which are all."""
    decades = range(len(str(most)))
    rounds = [LEAST_ROWS * step * 10**decade for decade in decades for step in _STEPS]
    return (*(rows for rows in rounds if rows <= most * _TOO_NEAR), most)
