"""The standing of every version of a data set on the test set that was published last, written onto the versions."""

import logging

from hearth.contracts import load_contract
from hearth.data.processed import latest_digest, read_manifest
from hearth.errors import ModelUnavailable, ObjectNotFound
from hearth.jobs.version_bench import VersionBench
from hearth.logs import about
from hearth.modelling.standing import stand
from hearth.registry import Registry
from hearth.storage import ObjectStore

_LOGGER = logging.getLogger(__name__)


def update_standings(dataset: str, *, store: ObjectStore | None = None, registry: Registry | None = None) -> list[str]:
    """Score every version that has no standing on the present test set, each on the rows that it was not trained on.

    May run again, and beside itself, with the same result.

    Returns:
        The numbers of the versions that were scored, the latest first.
    """
    contract = load_contract(dataset)
    store, registry = store or ObjectStore.from_settings(), registry or Registry.from_settings()
    try:
        digest = latest_digest(store, dataset)
    except ObjectNotFound:
        _LOGGER.info("%s: nothing is published, so no version has a standing", dataset, extra=about(dataset))
        return []
    versions = [version for version in registry.versions(dataset) if version.standing is None or version.standing.digest != digest]
    if not versions:
        return []
    bench, origin = VersionBench(contract, store, registry, digest), read_manifest(store, dataset, digest).origin
    scored = []
    for version in versions:
        try:
            rows, entrants = bench.entrants([version.version])
        except ModelUnavailable:
            _LOGGER.info("%s was deleted meanwhile", version, extra=about(version.dataset, version=version.version))
            continue
        standing = stand(contract, rows, entrants[version.version], digest, origin)
        registry.record_standing(version, standing)
        bench.forget(version.version)
        scored.append(version.version)
        _LOGGER.info(
            "%s: %s %s on data %s",
            version,
            contract.metric,
            standing.score or standing.problem,
            digest,
            extra=about(version.dataset, version=version.version),
        )
    return scored
