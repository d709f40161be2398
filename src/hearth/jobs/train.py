"""Training: tune a family, fit it, evaluate it once on the test set and register it. May run again with the same result."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from hearth.contracts import Contract, load_contract
from hearth.contracts.experiment_names import final_experiment, trials_experiment
from hearth.contracts.origins import UNKNOWN, Origin
from hearth.data.cleaning import Split
from hearth.data.processed import read_manifest, split_source
from hearth.errors import UnknownFamily
from hearth.jobs.probabilities import describe_probabilities, set_metrics
from hearth.jobs.report import write_report
from hearth.jobs.training_data import open_split, rows_text, within_budget
from hearth.logs import about
from hearth.modelling.evaluation import evaluate
from hearth.modelling.families import FAMILIES, Params
from hearth.modelling.trials import TrialResult, TuningResult
from hearth.modelling.unusual_fit import fit_storable
from hearth.registry import InputData, NewVersion, RegisteredVersion, Registry
from hearth.storage import ObjectStore
from hearth.training.calibrating import Fitted, fit_calibrated
from hearth.training.learning_curve import TABLE, measure_curve
from hearth.training.learning_curve_figure import PICTURE, curve_picture
from hearth.training.tuning import tune

_LOGGER = logging.getLogger(__name__)
_EXAMPLE_ROWS = 5


@dataclass(frozen=True)
class Selection:
    """The parameters of a version, and the search that selected them.

    `cv_score` is the contract's metric in cross-validation; `search` holds the settings of the search, which are logged with the version;
    `source` is where the data lie, and `origin` where they came from.
    """

    family: str
    params: Params
    digest: str
    seed: int
    cv_score: float
    search: Mapping[str, str | float]
    source: str
    origin: Origin = UNKNOWN


@dataclass(frozen=True)
class SearchPlan:
    """How parameters are searched: the digest and the address of the data, the number of trials, the seed, how many run at a time."""

    digest: str
    trials: int
    seed: int
    source: str
    jobs: int = 1


def train(  # noqa: PLR0913 - all but the first two are named
    dataset: str,
    family: str,
    *,
    digest: str,
    trials: int,
    seed: int,
    key: str,
    store: ObjectStore | None = None,
    registry: Registry | None = None,
) -> str:
    """Tune on the train set, fit, evaluate once on the test set, register.

    `key` names the training, for example by the run of a DAG. A second call with the same key returns the version that the first one
    registered. What a call left that was interrupted before that is deleted, and the training starts again.

    Returns:
        The number of the version.

    Raises:
        UnknownFamily: the data set is not trained with this family.
        ObjectNotFound: the ETL has not written this digest.
        UntrainableData: a class has too few rows.
    """
    contract = load_contract(dataset)
    require_family(contract, family)
    store, registry = store or ObjectStore.from_settings(), registry or Registry.from_settings()
    training_key = f"{dataset}/{family}/{key}"
    if version := registry.find(dataset, training_key):
        _LOGGER.info("%s was registered as version %s before", training_key, version.version, extra=about(dataset, version=version.version))
        return version.version
    source, origin = split_source(store, dataset, digest), read_manifest(store, dataset, digest).origin
    with open_split(store, contract, digest) as split:
        tuned = tune_family(contract, family, split, SearchPlan(digest, trials, seed, source), training_key, registry)
        selection = Selection(family, tuned.params, digest, seed, tuned.score, {"trials": trials, "seed": seed}, source, origin)
        return fit_and_register(contract, split, selection, training_key, registry).version


def tune_family(  # noqa: PLR0913, PLR0917 - what is tuned, on what, how, and where it is logged
    contract: Contract,
    family: str,
    split: Split,
    plan: SearchPlan,
    training_key: str,
    registry: Registry,
    on_trial: Callable[[TrialResult], None] = lambda _: None,
) -> TuningResult:
    """Tune a family on the train set; each trial is a run in the family's experiment, below the run that has the result.

    The family's row budget holds for the tuning, too.

    Raises:
        UntrainableData: a class has too few rows.
    """
    params: dict[str, str | float] = {"trials": plan.trials, "seed": plan.seed, "digest": plan.digest}
    used = within_budget(contract, family, split)
    with registry.study(
        contract.name,
        family,
        digest=plan.digest,
        training_key=training_key,
        metric=contract.metric,
        params=params,
        experiment=trials_experiment(contract, family),
        data=[input_data(contract, split, plan.digest, plan.source, "training")],
    ) as study:

        def log(trial: TrialResult) -> None:
            study.log_trial(trial)
            on_trial(trial)

        tuned = tune(
            contract,
            used.X_train,
            used.y_train,
            FAMILIES[family],
            trials=plan.trials,
            seed=plan.seed,
            jobs=plan.jobs,
            row_weights=row_weights(used),
            on_trial=log,
        )
        study.log_best(tuned)
    return tuned


def fit_and_register(contract: Contract, split: Split, selection: Selection, training_key: str, registry: Registry) -> RegisteredVersion:
    """Fit on the train set, or on the family's row budget of it, evaluate once on the test set, and register the result as a version.

    Raises:
        UntrainableData: a class has too few rows.
    """
    used = within_budget(contract, selection.family, split)
    fitted = fit_within_budget(contract, selection.family, used, selection.params, selection.seed)
    fitted_on = rows_text(len(used.train_codes), len(split.train_codes))
    _LOGGER.info("%s: %s is fitted on %s", contract.name, selection.family, fitted_on, extra=about(contract.name))
    pipeline, calibration = fitted.pipeline, fitted.calibration
    evaluation = evaluate(contract, pipeline, split.X_test, split.y_test)
    metrics, digest, source = evaluation.metrics, selection.digest, selection.source
    trust = replace(fitted.trust, unusual=fit_storable(contract, split.X_train, selection.seed, split.stored_train))
    about_probabilities = describe_probabilities(contract, calibration, trust, evaluation)
    with threadpool_limits(limits=1):  # trainings run side by side: one core each
        report = write_report(
            contract, split, pipeline, evaluation, selection, registry.revision, (about_probabilities,), fitted_rows=len(used.train_codes)
        )
    pictures, tables = _learning_curve(contract, used, selection)
    version = registry.register(
        NewVersion(
            dataset=contract.name,
            family=selection.family,
            digest=digest,
            training_key=training_key,
            pipeline=pipeline,
            example=split.X_test.head(_EXAMPLE_ROWS),
            params={**selection.params, **selection.search, "digest": selection.digest, "calibration": calibration.name},
            metrics={
                **metrics,
                f"cv_{contract.metric}": selection.cv_score,
                "cv_log_loss": calibration.log_loss,
                "cv_calibration_error": calibration.calibration_error,
                **set_metrics(contract, trust, evaluation),
                "train_rows": len(split.train_codes),
                "fitted_rows": len(used.train_codes),
                "test_rows": len(split.X_test),
            },
            pictures={**report.pictures, **pictures},
            files=report.files,
            tables={**report.tables, **tables},
            experiment=final_experiment(contract),
            data=[input_data(contract, split, digest, source, context) for context in ("training", "testing")],
            description=(
                f"{selection.family} for {contract.name}: {contract.metric} {metrics[contract.metric]:.4f} "
                f"on {len(split.X_test):,} test rows of data {digest}, fitted on {fitted_on}."
            ),
            about=f"{contract.title} {contract.description} Classes: {', '.join(contract.target.classes)}. Versions take raw records.",
            origin=selection.origin,
            trust=trust,
        )
    )
    _LOGGER.info(
        "%s is version %s with %s %.4f",
        training_key,
        version.version,
        contract.metric,
        metrics[contract.metric],
        extra=about(version.dataset, version=version.version),
    )
    return version


def fit_within_budget(contract: Contract, family: str, used: Split, params: Params, seed: int) -> Fitted:
    """Fit a family on what `within_budget` says; raises UntrainableData if a class has too few rows."""
    return fit_calibrated(
        contract,
        used.X_train,
        used.y_train,
        FAMILIES[family],
        params=params,
        seed=seed,
        row_weights=row_weights(used),
        stored=used.stored_train,
    )


def _learning_curve(contract: Contract, used: Split, selection: Selection) -> tuple[dict[str, bytes], dict[str, pd.DataFrame]]:
    """Return the picture and the table of a learning curve, by name; nothing if the contract wants none, or there are too few rows."""
    if not contract.training.learning_curve:
        return {}, {}
    family, weights = FAMILIES[selection.family], row_weights(used)
    curve = measure_curve(contract, used.X_train, used.y_train, family, seed=selection.seed, row_weights=weights)
    if curve is None:
        return {}, {}
    title = f"{contract.name}, {selection.family}, data {selection.digest}"
    return {PICTURE: curve_picture(curve, contract.metric, title)}, {TABLE: curve.table(contract.metric)}


def row_weights(split: Split) -> np.ndarray | None:
    """Return how much each train row counts, shape (rows,); None if all count the same."""
    return None if split.weights_train is None else split.weights_train.to_numpy()


def input_data(contract: Contract, split: Split, digest: str, source: str, context: Literal["training", "testing"]) -> InputData:
    """Describe the part of a split that a run reads."""
    X, y = (split.X_train, split.y_train) if context == "training" else (split.X_test, split.y_test)
    part, rows = ("train", len(split.train_codes)) if context == "training" else ("test", len(y))
    return InputData(f"{contract.name} {part}", digest, X.assign(**{str(y.name): y}), source, context, rows)


def require_family(contract: Contract, family: str) -> None:
    """Raise UnknownFamily if the data set is not trained with this family."""
    families = [name for name in contract.families if name in FAMILIES]
    if family not in families:
        raise UnknownFamily(contract.name, family, families)
