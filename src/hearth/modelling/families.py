"""The catalogue of model families. Adding a family is adding one entry to FAMILIES.

The model libraries are imported when an estimator is built, so that a DAG file can name the families without the cost of loading them.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from hearth.contracts import Contract, usable_contracts
from hearth.contracts.loading import contract_path
from hearth.errors import InvalidContract
from hearth.logs import about

if TYPE_CHECKING:
    import numpy as np
    from sklearn.base import ClassifierMixin

    from hearth.modelling.stored_matrix import StoredMatrix

_LOGGER = logging.getLogger(__name__)

Param = bool | int | float | str
Params = Mapping[str, Param]
FitStored = Callable[["ClassifierMixin", "StoredMatrix", "np.ndarray", "np.ndarray | None"], "ClassifierMixin"]
"""Takes an estimator, features, the codes of the classes and weights, both of shape (rows,); returns the estimator, fitted."""


class Trial(Protocol):
    """The part of an Optuna trial that a search space uses."""

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> str: ...


@dataclass(frozen=True)
class Family:
    """One kind of model: its search space, a good first guess, and how to make its estimators.

    Parameters are keywords of the estimator, also such as are not in the search space; they override those that `build` sets. `build`
    makes the estimator that is registered: it has `predict_proba`. `build_for_tuning` makes the one that trials score, which only needs
    `predict` and may be cheaper. `trusted_types` are the types of a fitted estimator that skops does not trust by itself. Trials use at
    most `tuning_rows` rows. `weighs_rows` is true if `fit` takes `sample_weight`, which a contract's
    `imbalance: class_weights` needs; other families ignore it. `build_for_few`, if there is one, makes the estimator for fewer than
    `few_rows` rows. `build_uncalibrated` makes what trainings calibrate, if `build` brings a calibration. `at_most_rows` names the
    parameter that cannot exceed the number of rows that a model is fitted on, if there is one.

    A final model is fitted on at most `most_rows` rows, a sample of more; None if more are always worth their time. docs/scaling.md has the
    measurements. `fit_stored` fits an estimator of `build` on a matrix that lies on disk, which memory may not hold; families without it
    are fitted on a sample of such data.
    """

    suggest: Callable[[Trial], dict[str, Param]]
    defaults: Params
    build: Callable[[Params, int], "ClassifierMixin"]
    build_for_tuning: Callable[[Params, int], "ClassifierMixin"]
    trusted_types: tuple[str, ...]
    tuning_rows: int = 20_000
    weighs_rows: bool = True
    build_for_few: Callable[[Params, int], "ClassifierMixin"] | None = None
    build_uncalibrated: Callable[[Params, int], "ClassifierMixin"] | None = None
    few_rows: int = 1_000
    at_most_rows: str = ""
    most_rows: int | None = None
    fit_stored: FitStored | None = None

    def bounds(self) -> dict[str, tuple[float, float]]:
        """Return the lowest and the highest value of each number in the search space."""
        trial = _BoundsTrial()
        self.suggest(trial)
        return trial.bounds

    def final(self, params: Params, seed: int, rows: int, *, uncalibrated: bool = False) -> "ClassifierMixin":
        """Make the estimator that is registered, for this number of train rows.

        With `uncalibrated` it brings no calibration, and may have a `decision_function` and no `predict_proba`.
        """
        build = self.build if self.build_for_few is None or rows >= self.few_rows else self.build_for_few
        if uncalibrated and self.build_uncalibrated is not None:
            build = self.build_uncalibrated
        return build(self.limited(params, rows), seed)

    def limited(self, params: Params, rows: int) -> Params:
        """Return the parameters, changed where they need more than this number of rows."""
        value = params.get(self.at_most_rows)
        return {**params, self.at_most_rows: rows} if isinstance(value, int) and value > rows else params


def catalogued_families(contract: Contract) -> tuple[str, ...]:
    """Return the families of a data set, in contract order.

    Raises:
        InvalidContract: a family is not in the catalogue.
    """
    for family in contract.families:
        if family not in FAMILIES:
            raise InvalidContract(contract_path(contract.name), "families", f"names {family!r}; there are: {', '.join(FAMILIES)}")
    return contract.families


def trainable_contracts(data_dir: Path | None = None) -> list[Contract]:
    """Read the contracts of all data sets, by name, without those that have a mistake or a family that is not in the catalogue.

    Each mistake is logged as an error.
    """
    contracts = []
    for contract in usable_contracts(data_dir):
        try:
            catalogued_families(contract)
        except InvalidContract as error:
            _LOGGER.error("The data set %r is not trained: %s", contract.name, error, extra=about(contract.name))  # noqa: TRY400 - a mistake in a file
        else:
            contracts.append(contract)
    return contracts


class _BoundsTrial:
    """A trial that suggests the lowest values, and records the bounds."""

    def __init__(self) -> None:
        self.bounds: dict[str, tuple[float, float]] = {}

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:  # noqa: ARG002 - as Trial has it
        self.bounds[name] = low, high
        return low

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:  # noqa: ARG002 - as Trial has it
        self.bounds[name] = low, high
        return low

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> str:  # noqa: ARG002 - as Trial has it
        return choices[0]


def _suggest_knn(trial: Trial) -> dict[str, Param]:
    return {
        "n_neighbors": trial.suggest_int("n_neighbors", 5, 75),
        "weights": trial.suggest_categorical("weights", ["uniform", "distance"]),
        "algorithm": trial.suggest_categorical("algorithm", ["auto", "ball_tree", "kd_tree", "brute"]),
    }


def _knn(params: Params, _seed: int) -> "ClassifierMixin":
    from sklearn.neighbors import KNeighborsClassifier  # noqa: PLC0415 - see the module docstring

    return KNeighborsClassifier(**{"n_jobs": 1, **params})


def _suggest_svm(trial: Trial) -> dict[str, Param]:
    return {
        "C": trial.suggest_float("C", 0.05, 20.0, log=True),
        "kernel": trial.suggest_categorical("kernel", ["rbf", "linear"]),
        "gamma": trial.suggest_float("gamma", 0.005, 0.5, log=True),
    }


def _svm(params: Params, seed: int) -> "ClassifierMixin":
    from sklearn.svm import SVC  # noqa: PLC0415

    return SVC(**{"cache_size": 500, "random_state": seed, **params})


def _calibrated_svm(params: Params, seed: int, method: str = "isotonic") -> "ClassifierMixin":
    from sklearn.calibration import CalibratedClassifierCV  # noqa: PLC0415

    # SVC(probability=True) is deprecated; ensemble=False keeps one machine, fitted on all rows
    return CalibratedClassifierCV(_svm(params, seed), method=method, cv=3, ensemble=False, n_jobs=1)


def _suggest_lightgbm(trial: Trial) -> dict[str, Param]:
    return {
        "n_estimators": trial.suggest_int("n_estimators", 50, 300, log=True),
        "learning_rate": trial.suggest_float("learning_rate", 0.02, 0.2, log=True),
        "max_depth": trial.suggest_int("max_depth", 2, 8),
        "num_leaves": trial.suggest_int("num_leaves", 4, 31, log=True),
        "subsample": trial.suggest_float("subsample", 0.5, 1.0),
        "colsample_bytree": trial.suggest_float("colsample_bytree", 0.5, 1.0),
        "reg_lambda": trial.suggest_float("reg_lambda", 1e-3, 10.0, log=True),
        "reg_alpha": trial.suggest_float("reg_alpha", 1e-3, 10.0, log=True),
    }


def _lightgbm(params: Params, seed: int) -> "ClassifierMixin":
    from lightgbm import LGBMClassifier  # noqa: PLC0415

    usual = LGBMClassifier(random_state=seed, n_jobs=1, deterministic=True, force_row_wise=True, verbose=-1)
    return usual.set_params(**{"subsample_freq": 1, **params})  # without a frequency `subsample` has no effect


def _lightgbm_stored(
    model: "ClassifierMixin", matrix: "StoredMatrix", codes: "np.ndarray", weights: "np.ndarray | None"
) -> "ClassifierMixin":
    from hearth.modelling.stored_matrix import fit_lightgbm  # noqa: PLC0415

    return fit_lightgbm(model, matrix, codes, weights)


def _suggest_random_forest(trial: Trial) -> dict[str, Param]:
    return {
        "n_estimators": trial.suggest_int("n_estimators", 50, 200, log=True),
        "max_depth": trial.suggest_int("max_depth", 3, 16),
        "min_samples_leaf": trial.suggest_int("min_samples_leaf", 2, 30, log=True),  # leaves of one row make files of 100 MB
        "max_features": trial.suggest_float("max_features", 0.1, 1.0),
    }


def _random_forest(params: Params, seed: int) -> "ClassifierMixin":
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415

    return RandomForestClassifier(**{"random_state": seed, "n_jobs": 1, **params})


def _suggest_logistic_regression(trial: Trial) -> dict[str, Param]:
    return {"C": trial.suggest_float("C", 1e-3, 100.0, log=True)}


def _logistic_regression(params: Params, seed: int) -> "ClassifierMixin":
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    return LogisticRegression(**{"max_iter": 2_000, "random_state": seed, **params})


FAMILIES: Mapping[str, Family] = {
    "knn": Family(
        suggest=_suggest_knn,
        defaults={"n_neighbors": 25, "weights": "distance", "algorithm": "auto"},
        build=_knn,
        build_for_tuning=_knn,
        trusted_types=(
            "sklearn.metrics._dist_metrics.EuclideanDistance64",
            "sklearn.neighbors._ball_tree.BallTree",
            "sklearn.neighbors._kd_tree.KDTree",
        ),
        weighs_rows=False,
        at_most_rows="n_neighbors",
        most_rows=100_000,  # the model holds them, and each answer looks through them
    ),
    "svm": Family(
        suggest=_suggest_svm,
        defaults={"C": 1.0, "kernel": "rbf", "gamma": 0.05},
        build=_calibrated_svm,  # docs/performance.md has what the two calibrations were worth
        build_for_few=partial(_calibrated_svm, method="sigmoid"),
        build_for_tuning=_svm,
        build_uncalibrated=_svm,
        trusted_types=("sklearn.calibration._CalibratedClassifier", "sklearn.calibration._SigmoidCalibration"),
        tuning_rows=6_000,  # the cost of a fit grows with the square of the rows
        most_rows=20_000,
    ),
    "lightgbm": Family(
        suggest=_suggest_lightgbm,
        defaults={
            "n_estimators": 150,
            "learning_rate": 0.05,
            "max_depth": 6,
            "num_leaves": 7,
            "subsample": 0.9,
            "colsample_bytree": 0.9,
            "reg_lambda": 1.0,
            "reg_alpha": 0.01,
        },
        build=_lightgbm,
        build_for_tuning=_lightgbm,
        trusted_types=("collections.OrderedDict", "lightgbm.basic.Booster", "lightgbm.sklearn.LGBMClassifier"),
        fit_stored=_lightgbm_stored,
    ),
    "random_forest": Family(
        suggest=_suggest_random_forest,
        defaults={"n_estimators": 100, "max_depth": 10, "min_samples_leaf": 4, "max_features": 0.4},
        build=_random_forest,
        build_for_tuning=_random_forest,
        trusted_types=("sklearn.tree._tree.Tree",),
    ),
    "logistic_regression": Family(
        suggest=_suggest_logistic_regression,
        defaults={"C": 1.0},
        build=_logistic_regression,
        build_for_tuning=_logistic_regression,
        trusted_types=(),
    ),
}
