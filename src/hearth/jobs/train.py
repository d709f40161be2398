"""Training, in two steps that may each run again with the same result: train a version and register it, then decide about its aliases."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hearth.contracts import Contract, load_contract
from hearth.data.cleaning import Split
from hearth.data.processed import load_processed
from hearth.errors import UnknownFamily
from hearth.modelling.evaluation import evaluate
from hearth.modelling.families import FAMILIES, Params
from hearth.modelling.figures import draw
from hearth.modelling.tuning import TrialResult, Tuned, fit, tune
from hearth.registry import NewVersion, RegisteredVersion, Registry
from hearth.storage import ObjectStore

_LOGGER = logging.getLogger(__name__)
_EXAMPLE_ROWS = 5


@dataclass(frozen=True)
class Chosen:
    """Parameters that a version shall be trained with, and how they were found.

    `cv_score` is the contract's metric in cross-validation, `search` what the search was told, for the record.
    """

    family: str
    params: Params
    digest: str
    seed: int
    cv_score: float
    search: Mapping[str, str | float]


@dataclass(frozen=True)
class Search:
    """How parameters are searched: on which data, so many trials, so many of them at the same time."""

    digest: str
    trials: int
    seed: int
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
    """Tune on the train set, fit, judge once on the test set, register.

    `key` names the occasion, for example the run of a DAG. A second call for the same occasion returns the version that the first one has
    registered; of one that was interrupted before that, it deletes what is there and starts again.

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
    if found := registry.find(dataset, training_key):
        _LOGGER.info("%s was registered as version %s before", training_key, found.version)
        return found.version
    split = load_processed(store, dataset, digest)
    tuned = search(contract, family, split, Search(digest, trials, seed), training_key, registry)
    searched: dict[str, str | float] = {"trials": trials, "seed": seed}
    return register(contract, split, Chosen(family, tuned.params, digest, seed, tuned.score, searched), training_key, registry).version


def search(  # noqa: PLR0913, PLR0917 - what is searched, on what, how, and where it is kept
    contract: Contract,
    family: str,
    split: Split,
    asked: Search,
    training_key: str,
    registry: Registry,
    on_trial: Callable[[TrialResult], None] = lambda _: None,
) -> Tuned:
    """Tune a family on the train set; trials are runs in experiment `<family>_optuna`, below one that has the outcome.

    Raises:
        UntrainableData: a class has too few rows.
    """
    searched: dict[str, str | float] = {"trials": asked.trials, "seed": asked.seed, "digest": asked.digest}
    with registry.study(
        contract.name, family, digest=asked.digest, training_key=training_key, metric=contract.metric, params=searched
    ) as study:

        def keep(trial: TrialResult) -> None:
            study.log_trial(trial)
            on_trial(trial)

        tuned = tune(
            contract,
            split.X_train,
            split.y_train,
            FAMILIES[family],
            trials=asked.trials,
            seed=asked.seed,
            jobs=asked.jobs,
            on_trial=keep,
        )
        study.log_best(tuned)
    return tuned


def register(contract: Contract, split: Split, chosen: Chosen, training_key: str, registry: Registry) -> RegisteredVersion:
    """Fit on the train set, judge once on the test set, and register the outcome as a version.

    Raises:
        UntrainableData: a class has too few rows.
    """
    pipeline = fit(contract, split.X_train, split.y_train, FAMILIES[chosen.family], params=chosen.params, seed=chosen.seed)
    evaluation = evaluate(contract, pipeline, split.X_test, split.y_test)
    version = registry.register(
        NewVersion(
            dataset=contract.name,
            family=chosen.family,
            digest=chosen.digest,
            training_key=training_key,
            pipeline=pipeline,
            example=split.X_test.head(_EXAMPLE_ROWS),
            params={**chosen.params, **chosen.search, "digest": chosen.digest},
            metrics={
                **evaluation.metrics,
                f"cv_{contract.metric}": chosen.cv_score,
                "train_rows": len(split.X_train),
                "test_rows": len(split.X_test),
            },
            pictures=draw(evaluation, f"{contract.name}, {chosen.family}, test set of data {chosen.digest}"),
        )
    )
    _LOGGER.info("%s is version %s with %s %.4f", training_key, version.version, contract.metric, evaluation.metrics[contract.metric])
    return version


def require_family(contract: Contract, family: str) -> None:
    """Raise UnknownFamily if the data set is not trained with this family."""
    known = [name for name in contract.families if name in FAMILIES]
    if family not in known:
        raise UnknownFamily(contract.name, family, known)
