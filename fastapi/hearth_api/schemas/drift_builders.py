"""The monitor's results as answers."""

from collections.abc import Sequence

from hearth.monitoring.check import ColumnLevel, DriftCheck, Quality
from hearth.monitoring.domain_classifier import SecondOpinion
from hearth.predictions import Cursor
from hearth.predictions.drift_store import PastCheck
from hearth_api.schemas import drift


def drift_info(check: DriftCheck) -> drift.DriftInfo:
    """Return a check."""
    first, last = check.first, check.last
    return drift.DriftInfo(
        dataset=check.dataset,
        level=check.level.value,
        found=check.found.value,
        since=check.since,
        summary=check.summary,
        version=check.version,
        checked_at=check.checked_at,
        records=check.records,
        refused=check.refused,
        refused_share=check.refused_share,
        minimum=check.minimum,
        tests=check.tests,
        first=first.scored_at if first else None,
        last=last.scored_at if last else None,
        cursor=Cursor(last.scored_at, last.message_id, last.row + 1).encode() if last else None,
        columns=[_column(column) for column in check.columns],
        quality=_quality(check.quality) if check.quality else None,
        second_opinion=_opinion(check.second_opinion) if check.second_opinion else None,
    )


def drift_history(dataset: str, checks: Sequence[PastCheck]) -> drift.DriftHistory:
    """Return earlier checks, oldest first."""
    return drift.DriftHistory(
        dataset=dataset,
        checks=[
            drift.PastDrift(
                checked_at=check.checked_at,
                version=check.version,
                level=check.level,
                records=check.records,
                estimate=check.estimate,
                auc=check.auc,
                columns=[
                    drift.PastColumn(name=past.name, role=past.role, level=past.level, psi=past.psi, p_value=past.p_value)
                    for past in check.columns
                ],
            )
            for check in checks
        ],
    )


def _column(column: ColumnLevel) -> drift.DriftColumn:
    difference = column.difference
    shares = zip(difference.bins, difference.before, difference.now, strict=True)
    return drift.DriftColumn(
        name=difference.name,
        role=difference.role,
        level=column.level,
        p_value=column.p_value,
        psi=difference.psi,
        detail=difference.detail,
        missing_reference=difference.missing_before,
        missing_now=difference.missing_now,
        mean_reference=difference.mean_before,
        mean_now=difference.mean_now,
        bins=[drift.DriftBin(name=name, reference=before, now=now) for name, before, now in shares],
    )


def _quality(quality: Quality) -> drift.EstimatedMetric:
    now, reference = quality.now, quality.reference
    return drift.EstimatedMetric(
        metric=now.metric,
        value=now.value,
        low=now.low,
        high=now.high,
        reference=reference.value if reference else None,
        measured=quality.metric,
    )


def _opinion(opinion: SecondOpinion) -> drift.SecondOpinionInfo:
    used = [drift.ClassifierUse(name=name, share=share) for name, share in opinion.columns]
    return drift.SecondOpinionInfo(auc=opinion.auc, low=opinion.low, high=opinion.high, columns=used)
