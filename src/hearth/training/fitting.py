"""Fit a pipeline on all rows that it gets."""

import logging
from collections.abc import Mapping

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from hearth.contracts import Contract
from hearth.logs import about
from hearth.modelling.families import Family, Param
from hearth.modelling.features import build_features
from hearth.training.folds import fit_weights, require_rows

_LOGGER = logging.getLogger(__name__)


def fit(  # noqa: PLR0913 - all but the data are named
    contract: Contract,
    X: pd.DataFrame,
    y: pd.Series,
    family: Family,
    *,
    params: Mapping[str, Param],
    seed: int,
    uncalibrated: bool = False,
    row_weights: np.ndarray | None = None,
) -> Pipeline:
    """Fit a pipeline: raw features in, class codes and probabilities of shape (rows, classes) out.

    `row_weights`, shape (rows,), says how much each row counts, if the family has weights (`folds.weighable`).
    With `uncalibrated` a family that brings a calibration goes without it, and may give decision values only.

    Raises:
        UntrainableData: a class has no or too few rows.
    """
    require_rows(contract, y, at_least=3)  # the SVM calibrates over three folds
    pipeline = Pipeline([("features", build_features(contract)), ("model", family.final(params, seed, len(X), uncalibrated=uncalibrated))])
    weights = fit_weights(contract, family, y.to_numpy(), row_weights)
    if contract.imbalance == "class_weights" and not weights:
        _LOGGER.warning(
            "%s wants class weights, which this family cannot use: it is fitted on the rows as they are",
            contract.name,
            extra=about(contract.name),
        )
    with threadpool_limits(limits=1):
        return pipeline.fit(X, y.to_numpy(), **{f"model__{keyword}": value for keyword, value in weights.items()})
