"""Metrics of what labels show of the quality of each version that is tested."""

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily

from hearth.monitoring.live_quality import QualityCheck, Subject
from hearth.serving.metrics import Collected


def register_quality_metrics(registry: CollectorRegistry, checks: Callable[[], Sequence[QualityCheck]]) -> None:
    """Register metrics of the newest check of quality of each data set."""
    registry.register(Collected(lambda: _quality(checks())))


def _quality(checks: Sequence[QualityCheck]) -> Iterator[Metric]:
    one, each = ["dataset", "version"], ["dataset", "version", "subject"]
    level = GaugeMetricFamily("hearth_quality_level", "What labels say of the champion: -1 not enough, 0 ok, 1 fallen.", labels=one)
    checked = GaugeMetricFamily("hearth_quality_check_timestamp_seconds", "Time of the check, in seconds since 1970.", labels=one)
    metric = GaugeMetricFamily("hearth_quality", "The metric of the contract, from labels.", labels=[*each, "metric"])
    low = GaugeMetricFamily("hearth_quality_low", "Lower end of its interval of 95 %.", labels=[*each, "metric"])
    high = GaugeMetricFamily("hearth_quality_high", "Upper end of its interval of 95 %.", labels=[*each, "metric"])
    calibration = GaugeMetricFamily("hearth_quality_calibration_error", "Expected calibration error, from labels.", labels=each)
    labels = GaugeMetricFamily("hearth_quality_labels", "Answers with a label that were measured.", labels=each)
    coverage = GaugeMetricFamily("hearth_quality_coverage", "Share of old enough answers that have a label.", labels=each)
    evidence = GaugeMetricFamily("hearth_quality_evidence", "Evidence that quality has fallen.", labels=each)
    threshold = GaugeMetricFamily("hearth_quality_evidence_threshold", "Evidence from which it is an alarm.", labels=each)
    for check in checks:
        level.add_metric([check.dataset, check.version], check.level.rank)
        checked.add_metric([check.dataset, check.version], check.checked_at.timestamp())
        for version in check.versions:
            if version.subject is Subject.OTHER:
                continue
            names = [check.dataset, version.version, version.subject]
            labels.add_metric(names, version.measured.rows)
            if found := version.measured.metric:
                for family, value in ((metric, found.figure), (low, found.low), (high, found.high)):
                    family.add_metric([*names, check.metric], value)
            if found := version.measured.calibration_error:
                calibration.add_metric(names, found.figure)
            if version.coverage and version.coverage.share is not None:
                coverage.add_metric(names, version.coverage.share)
            if version.evidence:
                evidence.add_metric(names, version.evidence.value)
                threshold.add_metric(names, version.evidence.threshold)
    yield from (level, checked, metric, low, high, calibration, labels, coverage, evidence, threshold)
