"""A version that serves: read from the registry, compiled and compared with scikit-learn, which also warms it up."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from hearth.contracts import Contract
from hearth.contracts.examples import random_columns
from hearth.errors import ModelUnavailable, RefusedModel, RegistryError
from hearth.modelling.trust import Trust
from hearth.registry import RegisteredModel, RegisteredVersion, StoredModel
from hearth.serving.compiled.scorer import CompiledScorer
from hearth.serving.compiled.unusual_kernel import UnusualScorer

_LOGGER = logging.getLogger(__name__)
_IN_PLACE_SECONDS = 0.002  # other requests wait this long, at most, for one that the event loop scores
_MOST_IN_PLACE = 128


class ModelSource(Protocol):
    """The part of a registry that loads models."""

    def aliases(self, dataset: str) -> dict[str, str]: ...

    def registered_model(self, dataset: str) -> RegisteredModel: ...

    def registered_models(self, datasets: Sequence[str]) -> dict[str, RegisteredModel]: ...

    def version(self, dataset: str, name: str) -> RegisteredVersion: ...

    def load_with_example(self, version: RegisteredVersion) -> StoredModel: ...


@dataclass(frozen=True)
class LoadedModel:
    """A version that an alias serves."""

    alias: str
    registered: RegisteredVersion  # the registry's entry at the time of loading
    scorer: CompiledScorer
    loaded_at: datetime
    records_in_place: int = 0  # up to this many are scored faster than a thread takes over
    trust: Trust | None = None  # what the version knows of its limits; None for versions of earlier releases
    unusual: UnusualScorer | None = None  # the compiled form of what it knows to be unusual
    rollout: str = ""  # of a candidate that answers in the champion's place: the rollout that lets it
    fallback: "LoadedModel | None" = None  # of such a candidate: the champion, which answers where it fails

    @property
    def dataset(self) -> str:
        return self.registered.dataset

    @property
    def version(self) -> str:
        return self.registered.version

    @property
    def family(self) -> str:
        return self.registered.family

    @property
    def run_id(self) -> str:
        return self.registered.run_id


@dataclass(frozen=True, slots=True)
class Split:
    """The champion of a data set and the candidate that answers a share of its requests, both loaded."""

    rollout: str
    share: float
    champion: LoadedModel
    candidate: LoadedModel


def load_version(registry: ModelSource, contract: Contract, alias: str, number: str) -> LoadedModel:
    """Load a version for an alias.

    Raises:
        ModelUnavailable: there is no such version.
        RefusedModel: it must not be loaded, or cannot be served; any unexpected error of the version becomes this.
        RegistryError: the registry does not answer.
    """
    where = f"models:/{contract.name}/{number}"
    try:
        version = registry.version(contract.name, number)
        stored = registry.load_with_example(version)
        scorer = CompiledScorer(stored.pipeline, contract, stored.example)
        scorer.require_contract(where)
        in_place = scorer.records_within(_IN_PLACE_SECONDS, _MOST_IN_PLACE)
        unusual = _unusual_scorer(stored.trust, contract, where)
        return LoadedModel(alias, version, scorer, datetime.now(UTC), in_place, stored.trust, unusual)
    except (ModelUnavailable, RefusedModel, RegistryError):
        raise
    except Exception as error:  # a registered model can make libraries raise anything
        _LOGGER.exception("%s cannot be loaded", where)
        raise RefusedModel(f"{where} cannot be served ({type(error).__name__}: {error}). Train again.") from error


def _unusual_scorer(trust: Trust | None, contract: Contract, where: str) -> UnusualScorer | None:
    if trust is None or trust.unusual is None:
        return None
    trust.unusual.require_contract(contract, where)
    scorer = UnusualScorer(trust.unusual, contract)
    scorer.raw_scores(random_columns(contract, 1))  # compiles, if no process has yet
    return scorer
