"""The train set in folds for cross-validation: everything that is fitted uses the fitting part of a fold only."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.utils.class_weight import compute_sample_weight

from hearth.contracts import Contract
from hearth.data.cleaning import equal_rows, group_classes
from hearth.errors import UntrainableData
from hearth.modelling.families import Family
from hearth.modelling.features import build_features

FOLDS = 5


@dataclass(frozen=True)
class Fold:
    """One fold: features as numbers, classes as codes. `weights` are keywords of `fit`, `held_out` are positions in the train set.

    `held_out_weights` says how much the rows held out count, None if all count the same.
    """

    X_fit: np.ndarray
    y_fit: np.ndarray
    weights: Mapping[str, np.ndarray]
    X_held_out: np.ndarray
    y_held_out: np.ndarray
    held_out: np.ndarray
    held_out_weights: np.ndarray | None = None


def make_folds(  # noqa: PLR0913 - all but the data are named
    contract: Contract,
    X: pd.DataFrame,
    y: pd.Series,
    family: Family,
    *,
    folds: int,
    seed: int,
    most_rows: int | None = None,
    row_weights: np.ndarray | None = None,
) -> list[Fold]:
    """Cut the train set into folds with equal shares of each class, and make each fold's features once.

    Rows with equal features are in one fold, as `split` puts them on one side: else a model is judged by what it has learnt by heart.
    Such a group counts as one row, of its most frequent class.

    `row_weights`, shape (rows,), says how much each row counts; None if all count the same.

    Above `most_rows` rows, by default `family.tuning_rows`, a stratified sample stands for all, with at least `folds` groups of each class.

    Raises:
        UntrainableData: a class has fewer different rows than there are folds.
    """
    groups, classes = _groups(contract, X, y, at_least=folds)
    rows = np.arange(len(X))
    most_rows = family.tuning_rows if most_rows is None else most_rows
    if len(X) > most_rows:
        rows = _sample(groups, classes, y.to_numpy(), size=most_rows, at_least=folds, seed=seed)
        X, y = X.iloc[rows], y.iloc[rows]
    codes = y.to_numpy()
    places, kept = pd.factorize(groups[rows])  # without copies each row is the group of its place
    parts = []
    for _, held_groups in StratifiedKFold(folds, shuffle=True, random_state=seed).split(kept, classes[kept]):
        is_held_out = np.isin(places, held_groups)
        fit_rows, held_out = np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)
        features = build_features(contract)
        X_fit = features.fit_transform(X.iloc[fit_rows])
        own = None if row_weights is None else row_weights[rows]
        weights = fit_weights(contract, family, codes[fit_rows], None if own is None else own[fit_rows])
        X_held_out, held_weights = features.transform(X.iloc[held_out]), None if own is None else own[held_out]
        parts.append(Fold(X_fit, codes[fit_rows], weights, X_held_out, codes[held_out], rows[held_out], held_weights))
    return parts


def require_different_rows(contract: Contract, X: pd.DataFrame, y: pd.Series, at_least: int) -> None:
    """Raise UntrainableData if a class has fewer rows, those with equal features counted as one of their most frequent class."""
    _groups(contract, X, y, at_least)


def _groups(contract: Contract, X: pd.DataFrame, y: pd.Series, at_least: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the group of each row and the class of each group; raise UntrainableData if a class has fewer groups."""
    require_rows(contract, y, at_least)
    groups = equal_rows(X)
    classes = group_classes(groups, y.to_numpy(), len(contract.target.classes))
    _require_groups(contract, classes, at_least)
    return groups, classes


def require_different_groups(contract: Contract, y: pd.Series, classes: np.ndarray, at_least: int) -> None:
    """Do the same as `require_different_rows` where the class of each group of equal rows is known, shape (groups,)."""
    require_rows(contract, y, at_least)
    _require_groups(contract, classes, at_least)


def _require_groups(contract: Contract, classes: np.ndarray, at_least: int) -> None:
    counts = np.bincount(classes, minlength=len(contract.target.classes)).tolist()
    if min(counts) < at_least:
        by_class = dict(zip(contract.target.classes, counts, strict=True))
        raise UntrainableData(contract.name, by_class, at_least, rows="train rows that differ in their features")


def _sample(  # noqa: PLR0913 - all but the data are named
    groups: np.ndarray, classes: np.ndarray, codes: np.ndarray, *, size: int, at_least: int, seed: int
) -> np.ndarray:
    """Draw a stratified sample of rows, and for a rare class a row each of as many groups more as it takes to have `at_least`."""
    sample, others = train_test_split(np.arange(len(codes)), train_size=size, stratify=codes, random_state=seed)
    drawn = np.unique(groups[sample])
    fresh = others[~np.isin(groups[others], drawn) & (codes[others] == classes[groups[others]])]
    fresh = fresh[~pd.Series(groups[fresh]).duplicated().to_numpy()]
    more = [fresh[codes[fresh] == code][: max(0, at_least - int((classes[drawn] == code).sum()))] for code in np.unique(codes)]
    return np.concatenate([sample, *more])


def fit_weights(contract: Contract, family: Family, codes: np.ndarray, row_weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Return the keywords of `fit` by which rows count as `row_weights` says, and all classes the same if the contract wants that.

    There are none if the family has no weights: `weighable` has made copies of the rows then.
    """
    if not family.weighs_rows or (contract.imbalance == "none" and row_weights is None):
        return {}
    own = np.ones(len(codes)) if row_weights is None else row_weights
    if contract.imbalance == "none":
        return {"sample_weight": own}
    if row_weights is None:
        return {"sample_weight": compute_sample_weight("balanced", codes)}
    totals = np.bincount(codes, weights=own)
    return {"sample_weight": own * own.sum() / (np.count_nonzero(totals) * totals[codes])}


def weighable(
    family: Family, X: pd.DataFrame, y: pd.Series, row_weights: np.ndarray | None
) -> tuple[pd.DataFrame, pd.Series, np.ndarray | None]:
    """Return rows and weights that a family can be fitted on: for one without weights, each row as often as its weight says, rounded.

    The lightest row is there once, so the copies are as few as they can be.
    """
    if row_weights is None or family.weighs_rows:
        return X, y, row_weights
    places = copies(row_weights)
    return X.iloc[places].reset_index(drop=True), y.iloc[places].reset_index(drop=True), None


def copies(row_weights: np.ndarray) -> np.ndarray:
    """Return the place of each row as often as its weight says, rounded, rising; the lightest row is there once."""
    return np.repeat(np.arange(len(row_weights)), np.maximum(np.rint(row_weights / row_weights.min()), 1).astype(np.int64))


def require_rows(contract: Contract, y: pd.Series, at_least: int) -> None:
    """Raise UntrainableData if a class has fewer rows."""
    counts = {label: int((y == code).sum()) for code, label in enumerate(contract.target.classes)}
    if min(counts.values()) < at_least:
        raise UntrainableData(contract.name, counts, at_least)
