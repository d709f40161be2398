"""Training: tune a family, fit it, evaluate it once on the test set and register it. May run again with the same result."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd
from lightgbm.basic import LightGBMError
from threadpoolctl import threadpool_limits

from hearth.contracts import Contract, load_contract
from hearth.contracts.experiment_names import final_experiment
from hearth.contracts.origins import UNKNOWN, Origin
from hearth.data.cleaning import Split
from hearth.data.processed import read_manifest, split_source
from hearth.errors import UnknownFamily
from hearth.jobs.probabilities import describe_probabilities, set_metrics
from hearth.jobs.report import write_report
from hearth.jobs.search import SearchPlan, input_data, name_training, tune_family
from hearth.jobs.shared_search import finish
from hearth.jobs.training_data import open_split, row_weights, rows_text, within_budget
from hearth.logs import about
from hearth.modelling.evaluation import evaluate
from hearth.modelling.families import FAMILIES, Params
from hearth.modelling.trials import TuningResult
from hearth.modelling.unusual_fit import fit_storable
from hearth.registry import NewVersion, RegisteredVersion, Registry
from hearth.storage import ObjectStore
from hearth.training.calibrating import Fitted, fit_calibrated
from hearth.training.learning_curve import TABLE, measure_curve
from hearth.training.learning_curve_figure import PICTURE, curve_picture
from hearth.training.study_store import StudyStore

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
    training_key = name_training(dataset, family, key)
    if version := _registered_before(registry, dataset, training_key):
        return version
    plan = SearchPlan(digest, trials, seed, split_source(store, dataset, digest))
    with open_split(store, contract, digest) as split:
        tuned = tune_family(contract, family, split, plan, training_key, registry)
        selection = _select(family, tuned, plan, read_manifest(store, dataset, digest).origin)
        return fit_and_register(contract, split, selection, training_key, registry).version


def finish_training(
    dataset: str, family: str, *, key: str, store: ObjectStore | None = None, registry: Registry | None = None
) -> str | None:
    """End the search that other tasks have worked on, then do as `train` does, and remove the search.

    Returns:
        The number of the version; None if no search of this key is there: `train` searches then.

    Raises what `shared_search.finish` and `train` raise.
    """
    contract = load_contract(dataset)
    store, registry = store or ObjectStore.from_settings(), registry or Registry.from_settings()
    training_key = name_training(dataset, family, key)
    with StudyStore.from_settings() as studies:
        if version := _registered_before(registry, dataset, training_key):
            studies.discard(training_key)  # a call that was killed right after it had registered has left it
            return version
        search = studies.find(training_key)
        if search is None:
            return None
        tuned = finish(search, registry, studies)
        plan = SearchPlan(search.digest, search.trials, search.seed, search.source)
        selection = _select(family, tuned, plan, read_manifest(store, dataset, search.digest).origin)
        with open_split(store, contract, search.digest) as split:
            registered = fit_and_register(contract, split, selection, training_key, registry)
        studies.discard(training_key)
    return registered.version


def _registered_before(registry: Registry, dataset: str, training_key: str) -> str:
    """Return the version that this training has registered, an empty text if it has not."""
    version = registry.find(dataset, training_key)
    if version is None:
        return ""
    _LOGGER.info("%s was registered as version %s before", training_key, version.version, extra=about(dataset, version=version.version))
    return version.version


def _select(family: str, tuned: TuningResult, plan: SearchPlan, origin: Origin) -> Selection:
    search: dict[str, str | float] = {"trials": plan.trials, "seed": plan.seed}
    return Selection(family, tuned.params, plan.digest, plan.seed, tuned.score, search, plan.source, origin)


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
    """Return the picture and the table of a learning curve, by name; nothing if the contract wants none, or there are too few rows.

    Rows that the family cannot be fitted on with its default parameters cost the version no more than the curve.
    """
    if not contract.training.learning_curve:
        return {}, {}
    family, weights = FAMILIES[selection.family], row_weights(used)
    try:
        curve = measure_curve(contract, used.X_train, used.y_train, family, seed=selection.seed, row_weights=weights)
    except (ValueError, LightGBMError) as error:  # what scikit-learn and LightGBM say of such rows
        _LOGGER.warning("%s: %s has no learning curve: %s", contract.name, selection.family, error, extra=about(contract.name))
        return {}, {}
    if curve is None:
        return {}, {}
    title = f"{contract.name}, {selection.family}, data {selection.digest}"
    return {PICTURE: curve_picture(curve, contract.metric, title)}, {TABLE: curve.table(contract.metric)}


def require_family(contract: Contract, family: str) -> None:
    """Raise UnknownFamily if the data set is not trained with this family."""
    families = [name for name in contract.families if name in FAMILIES]
    if family not in families:
        raise UnknownFamily(contract.name, family, families)
