"""Compare all families of a data set by cross-validation, tune the best a little, register it: what the tasks of `mlops_pipeline` call.

A candidate lies in the bucket `processed` as `<dataset>/<digest>/candidates/<run>/<step>/<family>.json`; its key goes from task to task.
Each function may run again for the same run with the same result. The test set is opened once, by `register`, when the choice is made.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from hearth.contracts import Contract, load_contract
from hearth.data.processed import load_processed, processed_key
from hearth.jobs import train as training
from hearth.jobs.model_params import read_model_params
from hearth.modelling.evaluation import judge
from hearth.modelling.families import FAMILIES, Param
from hearth.modelling.figures import draw
from hearth.modelling.local_search import AS_TRAINED, cross_validate, local_search
from hearth.registry import CandidateRun, Registry
from hearth.storage import ObjectStore

_LOGGER = logging.getLogger(__name__)
_KEY_DIGITS = 16


@dataclass(frozen=True)
class Candidate:
    """Parameters that may become a version. `key` names the run; `scores` are the contract's metric of each fold, once it is judged."""

    dataset: str
    family: str
    digest: str
    seed: int
    key: str
    params: Mapping[str, Param]
    scores: tuple[float, ...] = ()
    label: str = AS_TRAINED

    @property
    def score(self) -> float:
        """Mean of the folds."""
        return float(np.mean(self.scores))

    def at(self, step: str) -> str:
        """Return its key in the bucket after a step."""
        run = hashlib.sha256(self.key.encode()).hexdigest()[:_KEY_DIGITS]
        return processed_key(self.dataset, self.digest, f"candidates/{run}/{step}/{self.family}.json")


_CANDIDATE = TypeAdapter(Candidate)


def train(  # noqa: PLR0913 - all but the first two are named
    dataset: str, family: str, *, digest: str, params_file: Path, seed: int, key: str, store: ObjectStore | None = None
) -> str:
    """Train a family on each fold of the train set, with the parameters of the file, and keep what it says of the rows held out.

    Returns:
        The key of the candidate.

    Raises:
        UnknownFamily: the data set is not trained with this family.
        InvalidModelParams: the file has a mistake.
        ObjectNotFound: the ETL has not written this digest.
        UntrainableData: a class has too few rows.
    """
    contract, store = load_contract(dataset), store or ObjectStore.from_settings()
    training.require_family(contract, family)
    params = read_model_params(params_file, contract, family)
    split = load_processed(store, dataset, digest)
    said = cross_validate(contract, split.X_train, split.y_train, FAMILIES[family], params=params, seed=seed)
    candidate = Candidate(dataset, family, digest, seed, key, params, said.scores(contract))
    columns = {f"p{code}": said.probabilities[:, code] for code in range(said.probabilities.shape[1])}
    frame = pd.DataFrame({"fold": said.fold, "truth": said.truth, **columns})
    store.put_frame(store.processed_bucket, f"{candidate.at('trained')}.parquet", frame)
    return _write(store, candidate, "trained")


def evaluate(dataset: str, trained_key: str, *, store: ObjectStore | None = None, registry: Registry | None = None) -> str:
    """Judge what a family said of the rows held out, and log it in experiment `<dataset>_mlops_pipeline`.

    Returns:
        The key of the judged candidate.
    """
    contract, store, registry = load_contract(dataset), store or ObjectStore.from_settings(), registry or Registry.from_settings()
    candidate = read(trained_key, store=store)
    frame = store.get_frame(store.processed_bucket, f"{trained_key}.parquet")
    probabilities = frame.filter(regex=r"^p\d+$").to_numpy()
    evaluation = judge(contract, frame["truth"].to_numpy(), probabilities)
    registry.log_candidate(
        _experiment(contract),
        CandidateRun(
            dataset=dataset,
            family=candidate.family,
            digest=candidate.digest,
            training_key=_training_key(candidate),
            params={**candidate.params, "seed": candidate.seed, "digest": candidate.digest},
            metrics={
                **{f"cv_{name}": value for name, value in evaluation.metrics.items()},
                f"cv_{contract.metric}": candidate.score,  # the mean of the folds, as everywhere; not of all rows at once
            },
            pictures=draw(evaluation, f"{dataset}, {candidate.family}, cross-validation on data {candidate.digest}"),
        ),
    )
    _LOGGER.info("%s %s: cross-validated %s %.4f", dataset, candidate.family, contract.metric, candidate.score)
    return _write(store, candidate, "judged")


def select(keys: Sequence[str], *, store: ObjectStore | None = None) -> str:
    """Return the key of the candidate with the best score; among equals the first."""
    store = store or ObjectStore.from_settings()
    return max(keys, key=lambda key: read(key, store=store).score)


def tune(  # noqa: PLR0913 - all but the first two are named
    dataset: str,
    judged_key: str,
    *,
    steps: int,
    factors: Sequence[float],
    store: ObjectStore | None = None,
    registry: Registry | None = None,
) -> str:
    """Vary the candidate's numbers by the factors, and keep the best variant; log all of them in experiment `<dataset>_mlops_pipeline`.

    Returns:
        The key of the candidate with the best variant's parameters, which may be those that it had.
    """
    contract, store, registry = load_contract(dataset), store or ObjectStore.from_settings(), registry or Registry.from_settings()
    candidate = read(judged_key, store=store)
    split = load_processed(store, dataset, candidate.digest)
    asked: dict[str, str | float] = {"seed": candidate.seed, "steps": steps, "factors": ", ".join(f"{factor:g}" for factor in factors)}
    with registry.study(
        dataset,
        candidate.family,
        digest=candidate.digest,
        training_key=f"{_training_key(candidate)}/variants",
        metric=contract.metric,
        params=asked,
        experiment=_experiment(contract),
    ) as study:
        varied = local_search(
            contract,
            split.X_train,
            split.y_train,
            FAMILIES[candidate.family],
            params=candidate.params,
            steps=steps,
            factors=factors,
            seed=candidate.seed,
            on_trial=study.log_trial,
        )
        study.log_best(varied.tuned)
    best = next(trial for trial in varied.tuned.trials if trial.params == varied.tuned.params)
    _LOGGER.info("%s %s: %s: %s %.4f", dataset, candidate.family, varied.label, contract.metric, best.score)
    return _write(store, replace(candidate, params=best.params, scores=best.fold_scores, label=varied.label), "tuned")


def register(dataset: str, tuned_key: str, *, store: ObjectStore | None = None, registry: Registry | None = None) -> str:
    """Fit the candidate on the whole train set, judge it once on the test set, and register it.

    Returns:
        The number of the version; that of the earlier one if this run has registered one before.
    """
    contract, store, registry = load_contract(dataset), store or ObjectStore.from_settings(), registry or Registry.from_settings()
    candidate = read(tuned_key, store=store)
    training_key = _training_key(candidate)
    if found := registry.find(dataset, training_key):
        _LOGGER.info("%s was registered as version %s before", training_key, found.version)
        return found.version
    split = load_processed(store, dataset, candidate.digest)
    search: dict[str, str | float] = {"seed": candidate.seed, "tuning": candidate.label}
    chosen = training.Chosen(candidate.family, candidate.params, candidate.digest, candidate.seed, candidate.score, search)
    return training.register(contract, split, chosen, training_key, registry).version


def read(key: str, *, store: ObjectStore | None = None) -> Candidate:
    """Read a candidate; raises ObjectNotFound without one."""
    store = store or ObjectStore.from_settings()
    return _CANDIDATE.validate_json(store.get(store.processed_bucket, key))


def _write(store: ObjectStore, candidate: Candidate, step: str) -> str:
    key = candidate.at(step)
    store.put(store.processed_bucket, key, _CANDIDATE.dump_json(candidate, indent=2))
    return key


def _experiment(contract: Contract) -> str:
    return f"{contract.name}_mlops_pipeline"


def _training_key(candidate: Candidate) -> str:
    return f"{candidate.dataset}/{candidate.family}/best of {candidate.key}"
