"""Pass the gate, move the aliases. Trainings of several families may do this at the same time.

A move is made only if the aliases still are as they were decided about, and then everything is decided again, until there is nothing to
move.

Guaranteed: when all promotions that were started have ended, `champion` is the best of the family aliases. An interrupted promotion does
no harm, because after each move every alias is on a version that passed; the next promotion, or the same one run again, finishes it. Not
guaranteed: `previous` can be a version that was champion only for a moment, and an alias that a person moves in the same instant can be
moved back.
"""

import logging
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from hearth.contracts import Contract, load_contract
from hearth.contracts.aliases import CHAMPION
from hearth.data.processed import load_processed
from hearth.errors import AliasNotMoved, ObjectNotFound, RefusedModel, RegistryError
from hearth.modelling.evaluation import metric
from hearth.modelling.gate import Decision, Standing, Verdict, choose_champion, decide, unseen_rows
from hearth.modelling.scorer import Scorer
from hearth.registry import RegisteredVersion, Registry, move_aliases, promotion
from hearth.storage import ObjectStore

_LOGGER = logging.getLogger(__name__)
_ATTEMPTS = 10


def promote(dataset: str, family: str, version: str, *, store: ObjectStore | None = None, registry: Registry | None = None) -> Decision:
    """Give a version its family's alias if it is no worse than the one that has it, and make the best family champion.

    All are scored on the test set of the data that this version was trained on. The decision and its reasons are written onto the version.

    Raises:
        ModelUnavailable: there is no such version.
        ObjectNotFound: the data that it was trained on are gone.
    """
    contract = load_contract(dataset)
    store, registry = store or ObjectStore.from_settings(), registry or Registry.from_settings()
    candidate = registry.version(dataset, version)
    bench = _Bench(contract, store, registry, candidate.digest)
    verdict, score = _pass_gate(contract, registry, bench, family, candidate)
    champion, why = _settle_champion(contract, registry, bench)
    decision = Decision(dataset, family, version, verdict.passed, score, champion, (verdict.reason, why))
    for reason in decision.reasons:
        _LOGGER.info("%s: %s", dataset, reason)
    tags = {"hearth.gate": "passed" if verdict.passed else "refused"}
    registry.annotate(candidate, tags, "\n\n".join(decision.reasons))
    return decision


class _Bench:
    """Scores versions on the test set of one digest; each model is loaded once."""

    def __init__(self, contract: Contract, store: ObjectStore, registry: Registry, digest: str) -> None:
        self._contract, self._store, self._registry, self._digest = contract, store, registry, digest
        split = load_processed(store, contract.name, digest)
        self._X, self._y = split.X_test, split.y_test.to_numpy()
        self._versions: dict[str, RegisteredVersion] = {}
        self._codes: dict[str, np.ndarray] = {}
        self._refused: dict[str, str] = {}
        self._train_sets: dict[str, pd.DataFrame | None] = {}

    def standings(self, versions: Iterable[str]) -> dict[str, Standing]:
        """Score versions on the same rows: the test rows that none of them was trained on."""
        names = list(dict.fromkeys(versions))
        for name in names:
            self._score(name)
        able = [name for name in names if name not in self._refused]
        train_sets = [train for train in (self._train_set(self._versions[name].digest) for name in able) if train is not None]
        rows = unseen_rows(self._X, train_sets)
        refused = dict(self._refused)
        if len(np.unique(self._y[rows])) < len(np.unique(self._y)):
            rows[:] = True
            refused |= {name: "it was trained on these test rows" for name in able if self._versions[name].digest != self._digest}
        return {
            name: Standing(name, None, refused[name])
            if name in refused
            else Standing(name, metric(self._contract, self._y[rows], self._codes[name][rows]))
            for name in names
        }

    def _score(self, name: str) -> None:
        if name in self._versions:
            return
        version = self._versions[name] = self._registry.version(self._contract.name, name)
        try:
            scorer = Scorer(self._registry.load(version), self._contract)
            scorer.require_contract(str(version))
        except RefusedModel as error:
            self._refused[name] = str(error)
        else:
            self._codes[name] = scorer.score_frame(self._X).codes

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


def _pass_gate(
    contract: Contract, registry: Registry, bench: _Bench, family: str, candidate: RegisteredVersion
) -> tuple[Verdict, float | None]:
    for _ in range(_ATTEMPTS):
        aliases = registry.aliases(contract.name)
        holder = aliases.get(family)
        standings = bench.standings(version for version in (candidate.version, holder) if version is not None)
        verdict = decide(family, contract.metric, standings[candidate.version], standings[holder] if holder else None)
        try:
            if verdict.passed:
                move_aliases(registry, contract.name, promotion(family, candidate.version, aliases), aliases)
        except AliasNotMoved:
            continue
        return verdict, standings[candidate.version].score
    raise RegistryError(f"The aliases of {contract.name!r} moved {_ATTEMPTS} times while {family!r} was decided about. Run this again.")


def _settle_champion(contract: Contract, registry: Registry, bench: _Bench) -> tuple[str | None, str]:
    """Move `champion` until there is nothing left to move; return the champion and the reason for it."""
    moved = ""
    for _ in range(_ATTEMPTS):
        aliases = registry.aliases(contract.name)
        families = {family: aliases[family] for family in contract.families if family in aliases}
        champion = aliases.get(CHAMPION)
        chosen, reason = _choose(contract, bench, families, champion)
        try:
            moves = promotion(CHAMPION, chosen, aliases) if chosen else {}
            if not move_aliases(registry, contract.name, moves, aliases):
                return chosen, moved or reason
        except AliasNotMoved:
            continue  # another training moved one meanwhile
        moved = reason
    raise RegistryError(f"The aliases of {contract.name!r} moved {_ATTEMPTS} times while the champion was chosen. Run this again.")


def _choose(contract: Contract, bench: _Bench, families: Mapping[str, str], champion: str | None) -> tuple[str | None, str]:
    standings = bench.standings([*families.values(), *([champion] if champion else [])])
    by_family = {family: standings[version] for family, version in families.items()}
    return choose_champion(contract.metric, by_family, standings[champion] if champion else None)
