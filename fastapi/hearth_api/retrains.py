"""Decisions about training again, for REST and GraphQL alike."""

from datetime import UTC, datetime

from hearth.contracts import Contract
from hearth.contracts.aliases import CHAMPION
from hearth.errors import ModelUnavailable
from hearth.monitoring.retraining import decide
from hearth_api.schemas.retrain_builders import retrain_list
from hearth_api.schemas.retrains import RetrainList
from hearth_api.state import ServiceState


def read_retrains(service: ServiceState, contract: Contract, limit: int) -> RetrainList:
    """Return the newest decisions, and what would be decided now.

    Raises:
        PredictionsUnavailable: the store does not answer.
    """
    try:
        champion = service.models.get(contract.name, CHAMPION).version
    except ModelUnavailable:
        champion = None
    now = datetime.now(UTC)
    situation = service.retrains.situation(contract, champion, now)
    return retrain_list(contract, decide(contract, situation, now=now), situation, service.retrains.latest(contract.name, limit))
