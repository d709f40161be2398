"""Delete old versions."""

import logging

from hearth.audit import Action, new_entry
from hearth.errors import ModelUnavailable
from hearth.jobs import audit_rows
from hearth.logs import about
from hearth.registry import Registry

_LOGGER = logging.getLogger(__name__)


def remove_old_versions(dataset: str, keep: int, *, registry: Registry | None = None) -> list[str]:
    """Delete all versions of a data set except the latest `keep`, those with an alias, and those that wait for a person.

    The aliases are read again before each version, so an alias that was moved meanwhile protects its version. Runs, with parameters,
    metrics and pictures, stay.

    Returns:
        The numbers of the deleted versions.
    """
    registry = registry or Registry.from_settings()
    removed: list[str] = []
    try:
        _remove(dataset, keep, registry, removed)
    finally:  # what is gone is gone, whatever stopped the rest
        if removed:
            detail = {"why": f"older than the latest {keep}"}
            audit_rows.record(*(new_entry(Action.VERSION_REMOVED, dataset=dataset, version=number, detail=detail) for number in removed))
    return removed


def _remove(dataset: str, keep: int, registry: Registry, removed: list[str]) -> None:
    """Add the numbers of versions that are deleted to `removed`."""
    for version in registry.versions(dataset)[keep:]:
        waits = version.approval is not None and version.approval.state == "waiting"
        if waits or version.version in registry.aliases(dataset).values():
            continue
        try:
            registry.remove(version)
        except ModelUnavailable:
            _LOGGER.info("%s was deleted meanwhile", version, extra=about(version.dataset, version=version.version))
            continue
        removed.append(version.version)
        _LOGGER.info("%s is deleted", version, extra=about(version.dataset, version=version.version))
