"""Models that are good enough to show what is wrong with rows, and fast enough for every run of the ETL."""

import numpy as np
from lightgbm import LGBMClassifier
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import GroupShuffleSplit, StratifiedKFold

_SEED = 20_261_129
_TEST_SHARE = 0.2
_ABSENT = -1e9  # what missing values become where trees take none


def held_out_probabilities(X: np.ndarray, codes: np.ndarray, classes: int, folds: int = 3) -> np.ndarray:
    """Return probabilities of rows by models that were not fitted on them, shape (rows, classes).

    Args:
        X: Features, shape (rows, features), NaN where missing.
        codes: The class of each row, shape (rows,); each class that appears has `folds` rows or more.
        classes: How many classes there are.
        folds: How many models are fitted.
    """
    probabilities = np.zeros((len(codes), classes))
    for fitted, held_out in StratifiedKFold(folds, shuffle=True, random_state=_SEED).split(X, codes):
        model = LGBMClassifier(
            n_estimators=40,
            num_leaves=8,
            learning_rate=0.15,
            min_child_samples=max(5, len(fitted) // 500),
            n_jobs=1,
            verbosity=-1,
            random_state=_SEED,
        ).fit(X[fitted], codes[fitted])
        probabilities[np.ix_(held_out, model.classes_)] = np.asarray(model.predict_proba(X[held_out]))
    return probabilities


def accuracy_of_splits(X: np.ndarray, codes: np.ndarray, groups: np.ndarray, repeats: int) -> float:
    """Return the mean accuracy on test rows of splits that keep groups together.

    Args:
        X: Features, shape (rows, features), NaN where missing.
        codes: The class of each row, shape (rows,).
        groups: The group of each row, shape (rows,).
        repeats: How many splits are drawn.
    """
    known, right = np.nan_to_num(X, nan=_ABSENT), []
    for train, test in GroupShuffleSplit(repeats, test_size=_TEST_SHARE, random_state=_SEED).split(known, codes, groups):
        model = ExtraTreesClassifier(50, max_features=None, random_state=_SEED, n_jobs=1).fit(known[train], codes[train])
        right.append(float(np.mean(model.predict(known[test]) == codes[test])))
    return float(np.mean(right))
