"""Compare all families of a data set by cross-validation, tune the best a little, register it: what the tasks of `mlops_pipeline` call.

A candidate lies in the bucket `processed` as `<dataset>/<digest>/candidates/<run>/<step>/<family>.json`; its key goes from task to task.
Each function may run again for the same run with the same result. The test set is read once, by `register_candidate`, after the choice.
"""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from hearth.contracts import load_contract
from hearth.contracts.experiment_names import pipeline_experiment
from hearth.data.processed import processed_key, read_manifest, split_source
from hearth.jobs.model_params import read_model_params
from hearth.jobs.search import input_data
from hearth.jobs.train import Selection, fit_and_register, require_family
from hearth.jobs.training_data import open_split
from hearth.logs import about
from hearth.modelling.evaluation import evaluate_probabilities
from hearth.modelling.families import FAMILIES, Param
from hearth.modelling.gate import ComparedRows, Entrant, choose_leader
from hearth.registry import CandidateRun, Registry
from hearth.storage import ObjectStore
from hearth.training.calibrating import Held, choose
from hearth.training.figures import draw
from hearth.training.local_search import AS_TRAINED, cross_validate, local_search

_LOGGER = logging.getLogger(__name__)
_KEY_DIGITS = 16
_PROBABILITY = r"^p\d+$"  # columns of the stored predictions


@dataclass(frozen=True)
class Candidate:
    """A family with parameters that may become a version. `key` names the run; `scores` are the contract's metric of each fold."""

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


def cross_validate_family(  # noqa: PLR0913 - all but the first two are named
    dataset: str, family: str, *, digest: str, params_file: Path, seed: int, key: str, store: ObjectStore | None = None
) -> str:
    """Fit a family on each fold of the train set, with the parameters of the file, and store its predictions of the rows held out.

    They are calibrated as those of a version are, by what helps in the other folds, so that families compete as they would serve.

    Returns:
        The key of the candidate.

    Raises:
        UnknownFamily: the data set is not trained with this family.
        InvalidModelParams: the file has a mistake.
        ObjectNotFound: the ETL has not written this digest.
        UntrainableData: a class has too few rows.
    """
    contract, store = load_contract(dataset), store or ObjectStore.from_settings()
    require_family(contract, family)
    params = read_model_params(params_file, contract, family)
    with open_split(store, contract, digest) as split:
        predictions = cross_validate(contract, split.X_train, split.y_train, FAMILIES[family], params=params, seed=seed)
    candidate = Candidate(dataset, family, digest, seed, key, params, predictions.scores(contract))
    probabilities = choose(contract, Held.of_probabilities(predictions.fold, predictions.truth, predictions.probabilities)).probabilities
    columns = {f"p{code}": probabilities[:, code] for code in range(probabilities.shape[1])}
    frame = pd.DataFrame({"fold": predictions.fold, "row": predictions.row, "truth": predictions.truth, **columns})
    store.put_frame(store.processed_bucket, f"{candidate.at('trained')}.parquet", frame)
    return _write(store, candidate, "trained")


def evaluate_candidate(dataset: str, trained_key: str, *, store: ObjectStore | None = None, registry: Registry | None = None) -> str:
    """Evaluate the predictions of the rows held out, and log the result in experiment `<dataset>_mlops_pipeline`.

    Returns:
        The key of the evaluated candidate.
    """
    contract, store, registry = load_contract(dataset), store or ObjectStore.from_settings(), registry or Registry.from_settings()
    candidate = read_candidate(trained_key, store=store)
    frame = store.get_frame(store.processed_bucket, f"{trained_key}.parquet")
    probabilities = frame.filter(regex=_PROBABILITY).to_numpy()
    evaluation = evaluate_probabilities(contract, frame["truth"].to_numpy(), probabilities)
    registry.log_candidate(
        pipeline_experiment(contract),
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
    _LOGGER.info("%s %s: cross-validated %s %.4f", dataset, candidate.family, contract.metric, candidate.score, extra=about(dataset))
    return _write(store, candidate, "judged")


def select_best(keys: Sequence[str], *, store: ObjectStore | None = None) -> str:
    """Return the key of the best candidate by the gate's rule: within noise of the best metric, the lowest log loss.

    They are compared by their predictions of the train rows that all of them have predicted while these were held out.
    """
    store = store or ObjectStore.from_settings()
    candidates = {key: read_candidate(key, store=store) for key in keys}
    contract = load_contract(next(iter(candidates.values())).dataset)
    held_out = {
        key: store.get_frame(store.processed_bucket, f"{candidate.at('trained')}.parquet").set_index("row").sort_index()
        for key, candidate in candidates.items()
    }
    common = sorted(set.intersection(*(set(frame.index) for frame in held_out.values())))
    truth = next(iter(held_out.values())).loc[common, "truth"].to_numpy()
    by_family = {candidate.family: key for key, candidate in candidates.items()}
    entrants = {
        family: Entrant(family, held_out[key].loc[common].filter(regex=_PROBABILITY).to_numpy()) for family, key in by_family.items()
    }
    family, why = choose_leader(contract, ComparedRows(pd.DataFrame(index=common), truth), entrants)
    _LOGGER.info("%s: %s %s", contract.name, family, why, extra=about(contract.name))
    return by_family[family]


def search_locally(  # noqa: PLR0913 - all but the first two are named
    dataset: str,
    evaluated_key: str,
    *,
    steps: int,
    factors: Sequence[float],
    store: ObjectStore | None = None,
    registry: Registry | None = None,
) -> str:
    """Multiply the candidate's numbers by the factors and keep the best variant; log all in experiment `<dataset>_mlops_pipeline`.

    Returns:
        The key of the candidate with the parameters of the best variant, which may be its own.
    """
    contract, store, registry = load_contract(dataset), store or ObjectStore.from_settings(), registry or Registry.from_settings()
    candidate = read_candidate(evaluated_key, store=store)
    settings: dict[str, str | float] = {
        "seed": candidate.seed,
        "steps": steps,
        "factors": ", ".join(f"{factor:g}" for factor in factors),
    }
    source = split_source(store, dataset, candidate.digest)
    with (
        open_split(store, contract, candidate.digest) as split,
        registry.study(
            dataset,
            candidate.family,
            digest=candidate.digest,
            training_key=f"{_training_key(candidate)}/variants",
            metric=contract.metric,
            params=settings,
            experiment=pipeline_experiment(contract),
            data=[input_data(contract, split, candidate.digest, source, "training")],
        ) as study,
    ):
        result = local_search(
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
        study.log_best(result.tuning)
    best = next(trial for trial in result.tuning.trials if trial.params == result.tuning.params)
    _LOGGER.info("%s %s: %s: %s %.4f", dataset, candidate.family, result.label, contract.metric, best.score, extra=about(dataset))
    return _write(store, replace(candidate, params=best.params, scores=best.fold_scores, label=result.label), "tuned")


def register_candidate(dataset: str, tuned_key: str, *, store: ObjectStore | None = None, registry: Registry | None = None) -> str:
    """Fit the candidate on the whole train set, evaluate it once on the test set, and register it.

    Returns:
        The number of the version; that of the earlier one if this run has registered one before.
    """
    contract, store, registry = load_contract(dataset), store or ObjectStore.from_settings(), registry or Registry.from_settings()
    candidate = read_candidate(tuned_key, store=store)
    training_key = _training_key(candidate)
    if version := registry.find(dataset, training_key):
        _LOGGER.info("%s was registered as version %s before", training_key, version.version, extra=about(dataset, version=version.version))
        return version.version
    search: dict[str, str | float] = {"seed": candidate.seed, "tuning": candidate.label}
    source, origin = split_source(store, dataset, candidate.digest), read_manifest(store, dataset, candidate.digest).origin
    selection = Selection(candidate.family, candidate.params, candidate.digest, candidate.seed, candidate.score, search, source, origin)
    with open_split(store, contract, candidate.digest) as split:
        return fit_and_register(contract, split, selection, training_key, registry).version


def read_candidate(key: str, *, store: ObjectStore | None = None) -> Candidate:
    """Read a candidate; raises ObjectNotFound without one."""
    store = store or ObjectStore.from_settings()
    return _CANDIDATE.validate_json(store.get(store.processed_bucket, key))


def _write(store: ObjectStore, candidate: Candidate, step: str) -> str:
    key = candidate.at(step)
    store.put(store.processed_bucket, key, _CANDIDATE.dump_json(candidate, indent=2))
    return key


def _training_key(candidate: Candidate) -> str:
    return f"{candidate.dataset}/{candidate.family}/best of {candidate.key}"
