"""MLflow: where runs are tracked and versions are registered. The only part of Hearth that knows MLflow."""

from hearth.registry.alias_moves import move_aliases, promotion, rollback
from hearth.registry.model_files import stored_size
from hearth.registry.registry import NewVersion, RegisteredVersion, Registry
from hearth.registry.study import Study
from hearth.registry.tracking import CandidateRun

__all__ = ["CandidateRun", "NewVersion", "RegisteredVersion", "Registry", "Study", "move_aliases", "promotion", "rollback", "stored_size"]
