"""Retrainings and erasures as answers."""

from collections.abc import Sequence
from datetime import datetime

from hearth.contracts import Contract
from hearth.modelling.comparison import Comparison
from hearth.modelling.retrain_gate import RetrainVerdict
from hearth.monitoring.retraining import Choice, Situation
from hearth.predictions.erasure_store import Erasure
from hearth.predictions.retrain_store import Retrain
from hearth_api.schemas import retrains as schemas


def retrain_list(contract: Contract, choice: Choice, situation: Situation, retrains: Sequence[Retrain]) -> schemas.RetrainList:
    """Return decisions, and what would be decided now."""
    return schemas.RetrainList(
        dataset=contract.name,
        next=schemas.NextRetrain(
            state=choice.state.value,
            trigger=choice.trigger,
            why=choice.why,
            until=choice.until,
            labels=situation.labels,
            new_labels=situation.new_labels,
            needed=contract.retrain.needed,
        ),
        retrains=[_info(retrain) for retrain in retrains],
    )


def erasure_info(erasure: Erasure) -> schemas.ErasureInfo:
    """Return what was erased."""
    return schemas.ErasureInfo(
        message_id=erasure.message_id,
        row=erasure.row,
        dataset=erasure.dataset,
        predictions=erasure.predictions,
        labels=erasure.labels,
        trained_on=[
            schemas.TrainedOnInfo.model_validate({"id": each.id, "state": each.state, "digest": each.digest, "version": each.version})
            for each in erasure.trained_on
        ],
    )


def _info(retrain: Retrain) -> schemas.RetrainInfo:
    detail, verdict = retrain.detail, retrain.detail.get("verdict")
    judged = RetrainVerdict.from_json(verdict) if isinstance(verdict, str) else None
    records, family, times, last_at = (detail.get(name) for name in ("records", "family", "times", "last_at"))
    return schemas.RetrainInfo(
        id=retrain.id,
        trigger=retrain.trigger,
        state=retrain.state.value,
        decided_at=retrain.decided_at,
        ended_at=retrain.ended_at,
        why=retrain.why,
        times=times if isinstance(times, int) else 1,
        last_at=datetime.fromisoformat(last_at) if isinstance(last_at, str) else None,
        records=records if isinstance(records, int) else None,
        digest=retrain.digest,
        version=retrain.version,
        family=family if isinstance(family, str) else None,
        champion=judged.champion or None if judged else None,
        recent=_difference(judged.recent) if judged and judged.recent else None,
        old=_difference(judged.old) if judged and judged.old else None,
        trace_id=retrain.trace_id,
    )


def _difference(comparison: Comparison) -> schemas.MetricDifference:
    metric = comparison.metric
    return schemas.MetricDifference(rows=comparison.rows, value=metric.figure, low=metric.low, high=metric.high)
