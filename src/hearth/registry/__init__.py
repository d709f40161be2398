"""MLflow: where runs are tracked and versions are registered. The only part of Hearth that knows MLflow."""

from hearth.registry.alias_moves import move_aliases, promotion, rollback
from hearth.registry.inventory import Inventory, TrackedModel, TrackedRun
from hearth.registry.model_files import StoredModel, stored_size
from hearth.registry.policy import ModelPolicy
from hearth.registry.provenance import library_versions
from hearth.registry.registry import Registry
from hearth.registry.study import Study
from hearth.registry.tracking import BatchRun, CandidateRun, FinishedTrial, InputData, MonitorRun
from hearth.registry.traffic import Traffic
from hearth.registry.versions import ModelFiles, NewVersion, RegisteredModel, RegisteredVersion

__all__ = [
    "BatchRun",
    "CandidateRun",
    "FinishedTrial",
    "InputData",
    "Inventory",
    "ModelFiles",
    "ModelPolicy",
    "MonitorRun",
    "NewVersion",
    "RegisteredModel",
    "RegisteredVersion",
    "Registry",
    "StoredModel",
    "Study",
    "TrackedModel",
    "TrackedRun",
    "Traffic",
    "library_versions",
    "move_aliases",
    "promotion",
    "rollback",
    "stored_size",
]
