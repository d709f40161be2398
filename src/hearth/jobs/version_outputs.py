"""How a version answers on its own test set, computed once: what its served answers are compared with."""

import logging

from hearth.contracts import Contract
from hearth.errors import ObjectNotFound, RefusedModel
from hearth.jobs.training_data import open_test_set
from hearth.logs import about
from hearth.modelling.evaluation import metric
from hearth.modelling.scorer import Scorer
from hearth.monitoring.live_quality import wrong
from hearth.monitoring.reference import Outputs, describe_outputs
from hearth.predictions.drift_store import DriftStore
from hearth.registry import RegisteredVersion, Registry
from hearth.storage import ObjectStore

_LOGGER = logging.getLogger(__name__)


def version_outputs(
    contract: Contract, version: RegisteredVersion, drift: DriftStore, store: ObjectStore, registry: Registry
) -> Outputs | None:
    """Return how a version answers on its test set; None if it or its test set cannot be loaded.

    What an earlier release has stored without the loss is computed again.
    """
    known = drift.outputs(contract.name, version.run_id)
    if known and known.loss is not None:
        return known
    try:
        with open_test_set(store, contract, version.digest) as parts:
            scores = Scorer(registry.load(version), contract).score_frame(parts.X_test)
    except (RefusedModel, ObjectNotFound) as error:
        _LOGGER.warning(
            "%s: its answers are not watched, only the records: %s", version, error, extra=about(version.dataset, version=version.version)
        )
        return known
    truth = parts.y_test.to_numpy()
    figures = metric(contract, truth, scores.codes), float(wrong(scores.codes, truth).mean())
    outputs = describe_outputs(contract, scores.codes, scores.probabilities, *figures)
    drift.write_outputs(contract.name, version.run_id, version.version, outputs)
    return outputs
