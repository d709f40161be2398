"""Deploys a version that has passed the gate: at once, in shadow, or on a share of the champion's requests first."""

import logging
from contextlib import nullcontext
from dataclasses import dataclass

from hearth.audit import Action, new_entry
from hearth.contracts import Contract, load_contract
from hearth.contracts.aliases import CANARY, CHALLENGER, CHAMPION
from hearth.contracts.deploy_words import WAYS, Way
from hearth.errors import AliasNotMoved, InvalidSettings, RegistryError, RolloutRunning
from hearth.jobs import audit_rows
from hearth.logs import about
from hearth.predictions.rollout_store import ROLLED_BACK, RolloutStore
from hearth.registry import RegisteredVersion, Registry, move_aliases, promotion
from hearth.rollouts.moves import OUTCOME
from hearth.rollouts.start import start_rollout
from hearth.settings import MonitorSettings

_LOGGER = logging.getLogger(__name__)
_ATTEMPTS = 10


@dataclass(frozen=True)
class Deployment:
    """What became of a version.

    Attributes:
        way: how it was deployed; empty if it was not, and `reason` says why.
        rollout: the id of the rollout that runs; empty without one.
        champion: the version that is champion now.
    """

    dataset: str
    version: str
    way: str
    rollout: str
    champion: str | None
    reason: str


def deploy(  # noqa: PLR0913 - all but three are named
    dataset: str,
    family: str,
    version: str,
    *,
    way: Way | None = None,
    started_by: str,
    store: RolloutStore | None = None,
    registry: Registry | None = None,
) -> Deployment:
    """Deploy a version as its contract says, or another `way`. May run again with the same result.

    The first champion of a data set is deployed directly, whatever the way. A version that was rolled back is not deployed again but by a
    person, and while a rollout of another version runs nothing is deployed by canary.

    Args:
        dataset: Of the version.
        family: Whose alias it gets when it becomes champion.
        version: Its number. The caller has asked the gate.
        way: In the place of the contract's.
        started_by: Who or what deploys it, for the history.
        store: Where rollouts are, by default that of HEARTH_MONITOR_URL. Only a canary needs it.
        registry: Where the version is.

    Raises:
        InvalidSettings: a canary needs HEARTH_MONITOR_URL, which is missing; or there is no such way.
        ModelUnavailable: there is no such version.
        PredictionsUnavailable, RegistryUnavailable: a server does not answer; calling again is safe.
    """
    contract = load_contract(dataset)
    registry = registry or Registry.from_settings()
    way = way or contract.deploy.way
    if way not in WAYS:
        raise InvalidSettings(f"There is no way {way!r} to deploy; there are: {', '.join(WAYS)}.")
    candidate = registry.version(dataset, version)
    champion = registry.aliases(dataset).get(CHAMPION)
    if champion == version:
        return Deployment(dataset, version, way, "", champion, f"version {version} is the champion already")
    if way == "canary" and champion and was_rolled_back(candidate):
        outcome = candidate.tags[OUTCOME]
        reason = f"version {version} is not deployed, since its rollout was {outcome}. A person can start another: hearth rollout start"
        return _logged(Deployment(dataset, version, "", "", champion, reason))
    if way == "direct" or champion is None:
        return _logged(_move(registry, contract, family, version))
    if way == "shadow":
        if registry.aliases(dataset).get(CHALLENGER) != version:
            registry.set_alias(dataset, CHALLENGER, version)
            audit_rows.record(new_entry(Action.PROMOTED, dataset=dataset, alias=CHALLENGER, version=version))
        return _logged(Deployment(dataset, version, way, "", champion, f"version {version} predicts in shadow, as challenger"))
    try:
        with nullcontext(store) if store else open_rollouts() as rollouts:
            rollout = start_rollout(contract, version, started_by, store=rollouts, registry=registry, family=family)
    except RolloutRunning as error:
        return _logged(Deployment(dataset, version, "", "", champion, f"version {version} is not deployed. {error}"))
    audit_rows.record(new_entry(Action.ROLLOUT_STARTED, dataset=dataset, version=version, subject=rollout.id, detail={"by": started_by}))
    reason = f"version {version} answers {rollout.share:.0%} of the champion's requests: rollout {rollout.id}"
    return _logged(Deployment(dataset, version, way, rollout.id, champion, reason))


def was_rolled_back(version: RegisteredVersion) -> bool:
    """Whether the last rollout of a version was rolled back: then only a person starts another."""
    return version.tags.get(OUTCOME, "").startswith(ROLLED_BACK)


def carried_alias(dataset: str, family: str, version: str, registry: Registry | None = None) -> str:
    """Return the alias under which a version that was promoted serves first: its family's, or that of a candidate."""
    aliases = (registry or Registry.from_settings()).aliases(dataset)
    return next((alias for alias in (family, CHAMPION, CANARY, CHALLENGER) if aliases.get(alias) == version), family)


def open_rollouts() -> RolloutStore:
    """Return the store of the environment; open it as a context.

    Raises:
        InvalidSettings: HEARTH_MONITOR_URL is missing.
    """
    try:
        url = MonitorSettings().monitor_url.get_secret_value()
    except InvalidSettings as error:
        raise InvalidSettings(f"A canary needs the predictions store, or deploy directly (deploy.way: direct). {error}") from error
    return RolloutStore(url, max_connections=1)


def _move(registry: Registry, contract: Contract, family: str, version: str) -> Deployment:
    """Give a version its family's alias and make it champion."""
    for _ in range(_ATTEMPTS):
        aliases = registry.aliases(contract.name)
        moves = {family: version, **promotion(CHAMPION, version, aliases)}
        try:
            is_moved = move_aliases(registry, contract.name, moves, aliases)
        except AliasNotMoved:
            continue
        if is_moved:
            audit_rows.record(*audit_rows.moved(contract.name, aliases, {**aliases, **moves}, {}))
        return Deployment(contract.name, version, "direct", "", version, f"version {version} is the champion")
    raise RegistryError(f"The aliases of {contract.name!r} moved {_ATTEMPTS} times while version {version} was deployed. Run this again.")


def _logged(deployment: Deployment) -> Deployment:
    _LOGGER.info("%s: %s", deployment.dataset, deployment.reason, extra=about(deployment.dataset))
    return deployment
