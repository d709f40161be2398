"""Fit a pipeline on train rows that lie on disk: features are fitted on a sample, the model on all rows."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from hearth.contracts import Contract
from hearth.data.row_sample import sample_frame
from hearth.data.stored_train import StoredTrain
from hearth.modelling.families import Family, Param
from hearth.modelling.features import build_features
from hearth.modelling.stored_matrix import StoredMatrix
from hearth.training.folds import fit_weights, require_rows

SAMPLE_ROWS = 100_000
"""Rows that imputers, scalers and calibrations are fitted on: a mean of so many is within 0.3 % of a standard deviation of that of all."""

_NEIGHBOUR_ROWS = 20_000  # of the imputer by neighbours: each missing value is looked for in all of them, while it serves too


def fit_stored(  # noqa: PLR0913 - all but the data are named
    contract: Contract,
    X: pd.DataFrame,
    y: pd.Series,
    stored: StoredTrain,
    family: Family,
    *,
    params: Mapping[str, Param],
    seed: int,
    uncalibrated: bool = False,
) -> Pipeline:
    """Fit a pipeline of a family that can be fitted from disk.

    Args:
        contract: Whose rows they are.
        X: A sample of the train rows, which imputer and scaler are fitted on.
        y: Their classes.
        stored: All train rows. The matrix of their features is written beside them, 8 bytes a value, and removed at the end.
        family: Of the model.
        params: Keywords of its estimator.
        seed: Of its estimator.
        uncalibrated: Whether a family that brings a calibration goes without it.

    Raises:
        UntrainableData: a class has no or too few rows.
        ValueError: the family cannot be fitted from disk.
    """
    if family.fit_stored is None:
        raise ValueError("this family cannot be fitted from disk: give it a sample of the rows")
    require_rows(contract, pd.Series(stored.y), at_least=3)
    size = _NEIGHBOUR_ROWS if contract.features.imputer == "knn" else SAMPLE_ROWS
    with threadpool_limits(limits=1):  # trainings run side by side: one core each
        features = build_features(contract).fit(X.iloc[sample_frame(contract, X, y.to_numpy(), size)])
        with tempfile.NamedTemporaryFile(dir=stored.path.parent, suffix=".matrix") as file:
            matrix = StoredMatrix.write(Path(file.name), (np.asarray(features.transform(part)) for part in stored.frames()))
            model = family.final(params, seed, len(stored), uncalibrated=uncalibrated)
            weights = fit_weights(contract, family, stored.y, stored.weights).get("sample_weight")
            model = family.fit_stored(model, matrix, stored.y, weights)
    return Pipeline([("features", features), ("model", model)])
