"""Candidates of a retraining: a family on one way of the data, tuned and fitted, with its predictions of the records held out.

A candidate lies in the bucket `processed` as `<dataset>/<digest>/candidates/<run>/retrain/<family>.json`, beside its predictions. It is no
version: only the best one of a run is registered.
"""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import TypeAdapter
from threadpoolctl import threadpool_limits

from hearth.contracts import Contract
from hearth.data.processed import processed_key, read_manifest, split_source
from hearth.jobs.search import SearchPlan, tune_family
from hearth.jobs.train import fit_within_budget, require_family
from hearth.jobs.training_data import open_split, within_budget
from hearth.modelling.families import Param
from hearth.modelling.scorer import predict_in_parts
from hearth.registry import Registry
from hearth.storage import ObjectStore

_LOGGER = logging.getLogger(__name__)
_KEY_DIGITS = 16


@dataclass(frozen=True)
class RetrainCandidate:
    """A family with parameters on the data `digest`.

    `score` is the contract's metric in cross-validation, `has_reference` whether the data hold the train set that was published last, too.
    """

    dataset: str
    family: str
    digest: str
    seed: int
    trials: int
    run: str
    params: Mapping[str, Param]
    score: float
    has_reference: bool

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"{self.family} on {'reference and window' if self.has_reference else 'the window alone'}"

    @property
    def key(self) -> str:
        """Its place in the bucket."""
        return candidate_key(self.dataset, self.digest, self.run, self.family)


_CANDIDATE = TypeAdapter(RetrainCandidate)


def candidate_key(dataset: str, digest: str, run: str, family: str) -> str:
    """Return where a candidate lies in the bucket `processed`."""
    name = hashlib.sha256(run.encode()).hexdigest()[:_KEY_DIGITS]
    return processed_key(dataset, digest, f"candidates/{name}/retrain/{family}.json")


def train(  # noqa: PLR0913, PLR0917 - what is trained, on what, for which run
    contract: Contract, store: ObjectStore, registry: Registry, run: str, family: str, digest: str, *, trials: int, seed: int
) -> str:
    """Make a candidate, unless the run has made it before; returns its key.

    Raises:
        UnknownFamily: the data set is not trained with this family.
        ObjectNotFound: the data are gone.
        UntrainableData: a class has too few rows.
    """
    require_family(contract, family)
    key = candidate_key(contract.name, digest, run, family)
    if store.exists(store.processed_bucket, key):
        _LOGGER.info("s3://%s/%s is there already", store.processed_bucket, key)
        return key
    manifest = read_manifest(store, contract.name, digest)
    plan = SearchPlan(digest, trials, seed, split_source(store, contract.name, digest))
    with open_split(store, contract, digest) as split:
        tuned = tune_family(contract, family, split, plan, f"{contract.name}/{family}/retrain/{run}/{digest}", registry)
        fitted = fit_within_budget(contract, family, within_budget(contract, family, split), tuned.params, seed)
    with threadpool_limits(limits=1):
        predicted = predict_in_parts(fitted.pipeline, split.X_test)
    frame = pd.DataFrame({f"p{code}": predicted[:, code] for code in range(predicted.shape[1])})
    store.put_frame(store.processed_bucket, f"{key}.parquet", frame)
    has_reference = bool(manifest.served and manifest.served.reference)
    made = RetrainCandidate(contract.name, family, digest, seed, trials, run, tuned.params, tuned.score, has_reference)
    store.put(store.processed_bucket, key, _CANDIDATE.dump_json(made, indent=2))  # last: a candidate that is there is whole
    return key


def read(store: ObjectStore, key: str) -> RetrainCandidate:
    """Read a candidate; raises ObjectNotFound without one."""
    return _CANDIDATE.validate_json(store.get(store.processed_bucket, key))


def probabilities(store: ObjectStore, candidate: RetrainCandidate) -> np.ndarray:
    """Return its probabilities of the records held out, shape (records, classes)."""
    return np.asarray(store.get_frame(store.processed_bucket, f"{candidate.key}.parquet").to_numpy(), dtype=np.float64)
