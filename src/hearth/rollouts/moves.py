"""What the registry must say at each state of a rollout: moves in an order that a crash cannot harm, and that may be repeated.

    start      alias `canary` on the candidate, `challenger` too if it is free, then the share
    step       the share
    finish     `previous`, `champion` and the family's alias, then no share, then the aliases of the candidate
    roll back  no share, then the aliases of the candidate

A share is only routed where champion and candidate are the versions that it names, so whatever is missing means that the champion answers.
"""

from collections.abc import Mapping
from typing import Protocol

from hearth.contracts.aliases import CANARY, CHALLENGER, CHAMPION
from hearth.predictions.rollout_store import Rollout
from hearth.registry import RegisteredModel, RegisteredVersion, Traffic, promotion

OUTCOME = "hearth.rollout"
"""The tag of a version with the outcome of its last rollout: finished, rolled_back or cancelled, and why."""


class RolloutRegistry(Protocol):
    """The part of a registry that rollouts move."""

    def registered_model(self, dataset: str) -> RegisteredModel: ...

    def version(self, dataset: str, name: str) -> RegisteredVersion: ...

    def set_alias(self, dataset: str, alias: str, version: str) -> None: ...

    def delete_alias(self, dataset: str, alias: str) -> None: ...

    def set_traffic(self, dataset: str, traffic: Traffic | None) -> None: ...

    def annotate(self, version: RegisteredVersion, tags: Mapping[str, str], decision: str | None = None) -> None: ...


def show(registry: RolloutRegistry, rollout: Rollout, model: RegisteredModel) -> None:
    """Make the registry say what a running rollout says; `model` is what it says now. Sends nothing where they agree."""
    _set(registry, rollout, model, CANARY)
    if rollout.detail.get("challenger") and CHALLENGER not in model.aliases:
        registry.set_alias(rollout.dataset, CHALLENGER, rollout.version)  # scores what the champion answers: pairs for a comparison
    traffic = Traffic(rollout=rollout.id, version=rollout.version, champion=rollout.champion, share=rollout.share)
    if model.traffic != traffic:
        registry.set_traffic(rollout.dataset, traffic)


def finish(registry: RolloutRegistry, rollout: Rollout, model: RegisteredModel) -> None:
    """Make the candidate champion, and give it its family's alias."""
    for alias, number in promotion(CHAMPION, rollout.version, model.aliases).items():
        if model.aliases.get(alias) != number:
            registry.set_alias(rollout.dataset, alias, number)
    if rollout.family:
        _set(registry, rollout, model, rollout.family)
    release(registry, rollout, model)


def release(registry: RolloutRegistry, rollout: Rollout, model: RegisteredModel) -> None:
    """Give the candidate no more requests, and take the aliases of a rollout from it, if they are still on it."""
    if model.traffic is not None and model.traffic.rollout == rollout.id:
        registry.set_traffic(rollout.dataset, None)
    for alias in (CANARY, CHALLENGER):
        if model.aliases.get(alias) == rollout.version and (alias == CANARY or rollout.detail.get("challenger")):
            registry.delete_alias(rollout.dataset, alias)


def record(registry: RolloutRegistry, rollout: Rollout, outcome: str, reason: str) -> None:
    """Write the outcome onto the version, for people and for the next training."""
    version = registry.version(rollout.dataset, rollout.version)
    registry.annotate(version, {OUTCOME: f"{outcome}: {reason}"[:2_000]})


def _set(registry: RolloutRegistry, rollout: Rollout, model: RegisteredModel, alias: str) -> None:
    if model.aliases.get(alias) != rollout.version:
        registry.set_alias(rollout.dataset, alias, rollout.version)
