"""The train set in folds for cross-validation: everything that is fitted uses the fitting part of a fold only."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.utils.class_weight import compute_sample_weight

from hearth.contracts import Contract
from hearth.errors import UntrainableData
from hearth.modelling.families import Family
from hearth.modelling.features import build_features

FOLDS = 5


@dataclass(frozen=True)
class Fold:
    """One fold: features as numbers, classes as codes. `weights` are keywords of `fit`, `held_out` are positions in the train set."""

    X_fit: np.ndarray
    y_fit: np.ndarray
    weights: Mapping[str, np.ndarray]
    X_held_out: np.ndarray
    y_held_out: np.ndarray
    held_out: np.ndarray


def make_folds(  # noqa: PLR0913 - all but the data are named
    contract: Contract, X: pd.DataFrame, y: pd.Series, family: Family, *, folds: int, seed: int, most_rows: int | None = None
) -> list[Fold]:
    """Cut the train set into folds with equal shares of each class, and make each fold's features once.

    Above `most_rows` rows, by default `family.tuning_rows`, a stratified sample stands for all; it has at least `folds` rows of each class.

    Raises:
        UntrainableData: a class has fewer rows than there are folds.
    """
    require_rows(contract, y, at_least=folds)
    rows = np.arange(len(X))
    most_rows = family.tuning_rows if most_rows is None else most_rows
    if len(X) > most_rows:
        rows = _sample(rows, y.to_numpy(), size=most_rows, at_least=folds, seed=seed)
        X, y = X.iloc[rows], y.iloc[rows]
    codes = y.to_numpy()
    parts = []
    for fit_rows, held_out in StratifiedKFold(folds, shuffle=True, random_state=seed).split(X, codes):
        features = build_features(contract)
        X_fit = features.fit_transform(X.iloc[fit_rows])
        weights = row_weights(contract, family, codes[fit_rows])
        parts.append(Fold(X_fit, codes[fit_rows], weights, features.transform(X.iloc[held_out]), codes[held_out], rows[held_out]))
    return parts


def _sample(rows: np.ndarray, codes: np.ndarray, *, size: int, at_least: int, seed: int) -> np.ndarray:
    """Draw a stratified sample, and for a rare class as many rows more as it takes to have `at_least`."""
    sample, others = train_test_split(rows, train_size=size, stratify=codes, random_state=seed)
    more = [others[codes[others] == code][: max(0, at_least - int((codes[sample] == code).sum()))] for code in np.unique(codes)]
    return np.concatenate([sample, *more])


def row_weights(contract: Contract, family: Family, codes: np.ndarray) -> dict[str, np.ndarray]:
    """Return the keywords of `fit` by which all classes of these rows weigh the same; none if the contract or family has no weights."""
    if contract.imbalance == "none" or not family.weighs_rows:
        return {}
    return {"sample_weight": compute_sample_weight("balanced", codes)}


def require_rows(contract: Contract, y: pd.Series, at_least: int) -> None:
    """Raise UntrainableData if a class has fewer rows."""
    counts = {label: int((y == code).sum()) for code, label in enumerate(contract.target.classes)}
    if min(counts.values()) < at_least:
        raise UntrainableData(contract.name, counts, at_least)
