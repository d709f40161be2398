"""The version that scores a batch."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hearth.contracts import Contract
from hearth.contracts.record_parser import Columns
from hearth.modelling.prediction_sets import PredictionSets
from hearth.modelling.scorer import Scorer
from hearth.modelling.unusual import Unusual
from hearth.registry import Registry

UnusualScores = Callable[[Columns], tuple[np.ndarray, np.ndarray]]
"""From columns to scores, (n,) from 0 to 1, and which records are unusual, (n,) bool."""
Explain = Callable[[Columns, np.ndarray], np.ndarray]
"""From columns and the predicted codes (n,) to what each feature adds to the predicted class, (n, features) in contract order."""


@dataclass(frozen=True)
class BatchModel:
    """A version with its scorer, and what it knows of its limits.

    `digest` names the data that it was trained on; `unusual` is in the form that scores fastest here.
    """

    dataset: str
    alias: str
    version: str
    family: str
    run_id: str
    scorer: Scorer
    sets: PredictionSets | None = None
    unusual: UnusualScores | None = None


def load_model(registry: Registry, contract: Contract, name: str, alias: str = "") -> BatchModel:
    """Load the version of an alias, or of a number, to be scored by scikit-learn itself; `alias` is what it was found by, if not `name`.

    Raises:
        ModelUnavailable: there is no such version.
        RefusedModel: it must not be loaded, or is of another contract.
        RegistryError: the registry does not answer, or refuses.
    """
    version = registry.version(contract.name, name)
    stored = registry.load_with_example(version)
    scorer = Scorer(stored.pipeline, contract)
    where = f"models:/{contract.name}/{version.version}"
    scorer.require_contract(where)
    trust, unusual = stored.trust, None
    if trust is not None and trust.unusual is not None:
        trust.unusual.require_contract(contract, where)
        unusual = plain_unusual(trust.unusual)
    sets = trust.sets if trust is not None else None
    return BatchModel(contract.name, alias or name, version.version, version.family, version.run_id, scorer, sets, unusual)


def plain_unusual(unusual: Unusual) -> UnusualScores:
    """Return the scores of unusual records by numpy alone."""

    def scores(columns: Columns) -> tuple[np.ndarray, np.ndarray]:
        raw = unusual.raw_scores(columns)
        return unusual.scores(raw), raw > unusual.threshold

    return scores
