"""Training, in two steps that may each run again with the same result: train a version and register it, then decide about its aliases."""

import logging

from hearth.contracts import Contract, load_contract
from hearth.errors import UnknownFamily
from hearth.evaluation import evaluate
from hearth.families import FAMILIES
from hearth.figures import draw
from hearth.pipeline.processed import load_processed
from hearth.registry import NewVersion, Registry
from hearth.storage import ObjectStore
from hearth.training import fit, tune

_LOGGER = logging.getLogger(__name__)
_EXAMPLE_ROWS = 5


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
    _require_family(contract, family)
    store, registry = store or ObjectStore.from_settings(), registry or Registry.from_settings()
    training_key = f"{dataset}/{family}/{key}"
    if found := registry.find(dataset, training_key):
        _LOGGER.info("%s was registered as version %s before", training_key, found.version)
        return found.version
    split = load_processed(store, dataset, digest)
    searched: dict[str, str | float] = {"trials": trials, "seed": seed}
    with registry.study(
        dataset, family, digest=digest, training_key=training_key, metric=contract.metric, params={**searched, "digest": digest}
    ) as study:
        tuned = tune(contract, split.X_train, split.y_train, FAMILIES[family], trials=trials, seed=seed, on_trial=study.log_trial)
        study.log_best(tuned)
    pipeline = fit(contract, split.X_train, split.y_train, FAMILIES[family], params=tuned.params, seed=seed)
    evaluation = evaluate(contract, pipeline, split.X_test, split.y_test)
    version = registry.register(
        NewVersion(
            dataset=dataset,
            family=family,
            digest=digest,
            training_key=training_key,
            pipeline=pipeline,
            example=split.X_test.head(_EXAMPLE_ROWS),
            params={**tuned.params, **searched, "digest": digest},
            metrics={
                **evaluation.metrics,
                f"cv_{contract.metric}": tuned.score,
                "train_rows": len(split.X_train),
                "test_rows": len(split.X_test),
            },
            pictures=draw(evaluation, f"{dataset}, {family}, test set of data {digest}"),
        )
    )
    _LOGGER.info("%s is version %s with %s %.4f", training_key, version.version, contract.metric, evaluation.metrics[contract.metric])
    return version.version


def _require_family(contract: Contract, family: str) -> None:
    known = [name for name in contract.families if name in FAMILIES]
    if family not in known:
        raise UnknownFamily(contract.name, family, known)
