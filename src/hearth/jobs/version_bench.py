"""Versions on the same test rows: loads them, scores them, and says which rows all of them may be compared on."""

import logging
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from hearth.contracts import Contract
from hearth.contracts.origins import UNKNOWN, Origin
from hearth.data.processed import last_real_digest, load_processed, read_manifest
from hearth.errors import ObjectNotFound, RefusedModel
from hearth.jobs.training_data import open_test_set
from hearth.modelling.gate import TRAINED_ON_ROWS, ComparedRows, Entrant, unseen_rows
from hearth.modelling.scorer import Scorer
from hearth.registry import RegisteredVersion, Registry, stored_size
from hearth.storage import ObjectStore

_LOGGER = logging.getLogger(__name__)


class VersionBench:
    """Scores versions on the test set of one digest; each model is loaded once."""

    def __init__(self, contract: Contract, store: ObjectStore, registry: Registry, digest: str) -> None:
        self._contract, self._store, self._registry, self._digest = contract, store, registry, digest
        with open_test_set(store, contract, digest) as split:
            self._X, self._y = split.described_test, split.y_test.to_numpy()
            self._features = list(split.X_test.columns)
        self._real = last_real_digest(store, contract.name)
        self._versions: dict[str, RegisteredVersion] = {}
        self._entrants: dict[str, Entrant] = {}
        self._train_sets: dict[str, pd.DataFrame | None] = {}

    def entrants(self, versions: Iterable[str]) -> tuple[ComparedRows, dict[str, Entrant]]:
        """Score versions on the same rows: the test rows that none of them was trained on."""
        names = list(dict.fromkeys(versions))
        for name in names:
            self._score(name)
        entrants = {name: self._entrants[name] for name in names}
        able = [name for name, entrant in entrants.items() if entrant.probabilities is not None]
        train_sets = [train for train in (self._train_set(self._versions[name].digest) for name in able) if train is not None]
        rows = unseen_rows(self._X[self._features], train_sets)
        if len(np.unique(self._y[rows])) < len(np.unique(self._y)):
            rows[:] = True
            for name in able:
                if self._versions[name].digest != self._digest:
                    entrants[name] = replace(entrants[name], probabilities=None, refused=TRAINED_ON_ROWS)
        chosen = {
            name: entrant if entrant.probabilities is None else replace(entrant, probabilities=entrant.probabilities[rows])
            for name, entrant in entrants.items()
        }
        return ComparedRows(self._X[rows].reset_index(drop=True), self._y[rows], self._real), chosen

    @property
    def digest(self) -> str:
        """The data whose test set versions are scored on."""
        return self._digest

    def forget(self, version: str) -> None:
        """Free the probabilities of a version; it is loaded again if it is asked for."""
        self._versions.pop(version, None)
        self._entrants.pop(version, None)

    def _score(self, name: str) -> None:
        if name in self._versions:
            return
        version = self._versions[name] = self._registry.version(self._contract.name, name)
        origin = origin_of(self._store, version)
        try:
            pipeline = self._registry.load(version)
            scorer = Scorer(pipeline, self._contract)
            scorer.require_contract(str(version))
        except RefusedModel as error:
            self._entrants[name] = Entrant(name, None, origin=origin, refused=str(error))
        else:
            self._entrants[name] = Entrant(name, scorer.score_frame(self._X).probabilities, stored_size(pipeline), origin)

    def _train_set(self, digest: str) -> pd.DataFrame | None:
        """Return what a version of another digest was trained on; nothing for our own digest, whose train set holds no test row."""
        if digest == self._digest:
            return None
        if digest not in self._train_sets:
            try:
                self._train_sets[digest] = load_processed(self._store, self._contract.name, digest).X_train
            except ObjectNotFound as error:
                _LOGGER.warning("%s Versions trained on it are scored on all test rows, some of which they may know.", error)
                self._train_sets[digest] = None
        return self._train_sets[digest]


def origin_of(store: ObjectStore, version: RegisteredVersion) -> Origin:
    """Return where the data of a version came from: what the manifest of its data says, and once that is gone, what the version says.

    The manifest comes first because anyone who reaches MLflow may write a tag.
    """
    try:
        origin = read_manifest(store, version.dataset, version.digest).origin
    except ObjectNotFound:
        return version.origin
    return version.origin if origin == UNKNOWN else origin
