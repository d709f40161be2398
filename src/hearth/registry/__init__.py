"""MLflow: where runs are tracked and versions are registered. The only part of Hearth that knows MLflow."""

from hearth.registry.alias_moves import move_aliases, promotion, rollback
from hearth.registry.registry import NewVersion, RegisteredVersion, Registry
from hearth.registry.study import Study
from hearth.registry.tracking import CandidateRun, FinishedTrial, InputData

__all__ = [
    "CandidateRun",
    "FinishedTrial",
    "InputData",
    "NewVersion",
    "RegisteredVersion",
    "Registry",
    "Study",
    "move_aliases",
    "promotion",
    "rollback",
]
