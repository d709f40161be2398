"""Metrics of a process for Prometheus.

A process makes one registry, passes it to a class for each of its subjects, and serves it: REST as `GET /metrics`, the others on a port of
their own. Label values are names of ours, never input of a caller. docs/metrics.md lists all metrics.
"""

from collections import Counter as Counts
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    start_http_server,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from hearth.errors import InvalidSettings
from hearth.monitoring.check import DriftCheck
from hearth.predictions.rollout_store import Rollout
from hearth.serving.alias_view import FollowerStatus
from hearth.serving.loaded_model import Split
from hearth.serving.recording.recorder import RecorderCounts
from hearth.serving.recording.store_queue import LOSSES
from hearth.serving.rollouts.controller import RolloutStatus

COMPARED_HELP = "Stored answers whose version knows what is unusual."
UNUSUAL_HELP = "Stored answers to records that are unlike the train set of the version."
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


def new_registry() -> CollectorRegistry:
    """Return a registry with metrics of the process: memory, processor time, open files and garbage collections."""
    disable_created_metrics()  # type: ignore[no-untyped-call]  # else each has a second series, with the time of its first sample
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


@contextmanager
def serve_metrics(registry: CollectorRegistry, host: str, port: int) -> Iterator[None]:
    """Answer every GET on a port with the metrics while the context is open; port 0 serves nothing.

    Raises:
        InvalidSettings: the port is taken.
    """
    if port == 0:
        yield
        return
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise InvalidSettings(
            f"Metrics cannot be served on {host}:{port}: {error}. Each process needs a metrics port of its own; 0 turns it off."
        ) from error
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def metrics_text(registry: CollectorRegistry, accept: str) -> tuple[bytes, str]:
    """Return all metrics and their media type, in the format of the scraper's Accept header."""
    encoder, media_type = choose_encoder(accept)
    return encoder(registry), media_type


class Errors:
    """Errors that were answered to callers, by code."""

    def __init__(self, registry: CollectorRegistry, protocol: str) -> None:
        self._protocol = protocol
        self._errors = Counter("hearth_errors", "Errors that were answered to callers.", ["protocol", "code"], registry=registry)

    def count(self, code: str) -> None:
        self._errors.labels(self._protocol, code).inc()


class Requests:
    """Requests and their durations; `kind` names the metrics, `by` the labels of requests, `outcome` the label of their result."""

    def __init__(self, registry: CollectorRegistry, kind: str, by: tuple[str, ...], outcome: str) -> None:
        self._requests = Counter(f"hearth_{kind}s", "Requests that were answered.", [*by, outcome], registry=registry)
        self._seconds = Histogram(
            f"hearth_{kind}_seconds",
            "Seconds from the first byte of a request to the last byte of its answer.",
            by,
            registry=registry,
            buckets=_SECONDS,
        )
        self._series: dict[tuple[str, ...], tuple[Callable[[], None], Callable[[float], None]]] = {}

    def observe(self, labels: tuple[str, ...], seconds: float) -> None:
        """Count a request; `labels` are the values of `by`, then the outcome."""
        series = self._series.get(labels)
        if series is None:  # prometheus_client's lookup takes longer than counting
            series = self._series[labels] = (self._requests.labels(*labels).inc, self._seconds.labels(*labels[:-1]).observe)
        count, time = series
        count()
        time(seconds)


class Collected(Collector):
    """Metrics that are computed when they are scraped."""

    def __init__(self, collect: Callable[[], Iterator[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterator[Metric]:
        return self._collect()

    def describe(self) -> list[Metric]:
        """Return nothing: a description would compute the metrics."""
        return []


def register_model_metrics(registry: CollectorRegistry, status: Callable[[], FollowerStatus]) -> None:
    """Register metrics of served versions, of the poll of the registry, and of moved aliases."""
    registry.register(Collected(lambda: _models(status())))


def register_recorder_metrics(registry: CollectorRegistry, counts: Callable[[], RecorderCounts]) -> None:
    """Register metrics of scored and stored records, and of challengers."""
    registry.register(Collected(lambda: _recorder(counts())))


def register_drift_metrics(registry: CollectorRegistry, checks: Callable[[], Sequence[DriftCheck]]) -> None:
    """Register metrics of the newest check for drift of each data set."""
    registry.register(Collected(lambda: _drift(checks())))


def register_alert_metrics(
    registry: CollectorRegistry,
    open_counts: Callable[[], Mapping[tuple[str, str, str], int]],
    deliveries: Callable[[], Mapping[tuple[str, str], int]],
) -> None:
    """Register metrics of alerts that are not resolved, and of those that this process has sent."""
    registry.register(Collected(lambda: _alerts(open_counts(), deliveries())))


def _alerts(open_counts: Mapping[tuple[str, str, str], int], deliveries: Mapping[tuple[str, str], int]) -> Iterator[Metric]:
    counts: Counts[tuple[str, str]] = Counts()
    for (kind, _, severity), count in open_counts.items():
        counts[kind.partition("/")[0], severity] += count  # what is behind the slash may come from outside
    alerts = GaugeMetricFamily("hearth_alerts_open", "Alerts that are not resolved.", labels=["kind", "severity"])
    for labels, count in counts.items():
        alerts.add_metric(list(labels), count)
    yield alerts
    sent = CounterMetricFamily(
        "hearth_alert_deliveries", "Attempts to send alerts, by outcome: sent, failed or given_up.", labels=["channel", "outcome"]
    )
    for labels, count in dict(deliveries).items():
        sent.add_metric(list(labels), count)
    yield sent


def register_label_metrics(registry: CollectorRegistry, counts: Callable[[], Mapping[tuple[str, str, str], int]]) -> None:
    """Register the metric of received labels, by door, data set and outcome."""
    registry.register(Collected(lambda: _labels(counts())))


def _labels(counts: Mapping[tuple[str, str, str], int]) -> Iterator[Metric]:
    received = CounterMetricFamily(
        "hearth_labels_received", "Reports of what records turned out to be.", labels=["source", "dataset", "outcome"]
    )
    for key, count in counts.items():
        received.add_metric(list(key), count)
    yield received


def register_rollout_metrics(
    registry: CollectorRegistry,
    splits: Callable[[], Mapping[str, Split]],
    counts: Callable[[], Mapping[tuple[str, str], tuple[int, int]]],
    statuses: Callable[[], Sequence[RolloutStatus]] = tuple,
    ended: Callable[[], Sequence[Rollout]] = tuple,
) -> None:
    """Register metrics of candidates in this process, and of rollouts; `counts` has answers and errors by data set and version."""
    registry.register(Collected(lambda: _rollouts(splits(), counts(), statuses())))
    registry.register(Collected(lambda: _ended_rollouts(ended())))


def _rollouts(
    splits: Mapping[str, Split], counts: Mapping[tuple[str, str], tuple[int, int]], statuses: Sequence[RolloutStatus]
) -> Iterator[Metric]:
    labels = ["dataset", "version"]
    share = GaugeMetricFamily("hearth_rollout_share", "Share of the champion's requests that a candidate answers here.", labels=labels)
    for dataset, split in splits.items():
        share.add_metric([dataset, split.candidate.version], split.share)
    yield share
    answers = CounterMetricFamily("hearth_rollout_answers", "Answers of both versions while a rollout ran.", labels=labels)
    errors = CounterMetricFamily("hearth_rollout_errors", "Of them, those that failed.", labels=labels)
    for (dataset, version), (answered, failed) in counts.items():
        answers.add_metric([dataset, version], answered)
        errors.add_metric([dataset, version], failed)
    yield from (answers, errors)
    state = GaugeMetricFamily("hearth_rollout_state", "1 for the state of a rollout that runs.", labels=[*labels, "state"])
    for status in statuses:
        state.add_metric([status.rollout.dataset, status.rollout.version, status.rollout.state], 1.0)
    yield state


def _ended_rollouts(rollouts: Sequence[Rollout]) -> Iterator[Metric]:
    ended = GaugeMetricFamily(
        "hearth_rollout_ended_timestamp_seconds",
        "When the last rollout of a version ended, in seconds since 1970; for an hour.",
        labels=["dataset", "version", "outcome"],
    )
    newest = {(each.dataset, each.version, each.state): each.ended_at for each in rollouts}  # the oldest come first
    for labels, at in newest.items():
        if at is not None:
            ended.add_metric(list(labels), at.timestamp())
    yield ended


def _drift(checks: Sequence[DriftCheck]) -> Iterator[Metric]:
    version, column = ["dataset", "version"], ["dataset", "version", "column"]
    level = GaugeMetricFamily("hearth_drift_level", "Level of drift: -1 not enough, 0 ok, 1 warn, 2 drift, 3 act.", labels=version)
    records = GaugeMetricFamily("hearth_drift_records", "Records of the window that was compared.", labels=version)
    refused = GaugeMetricFamily("hearth_drift_refused_share", "Share of the stream's records that broke the contract.", labels=version)
    checked = GaugeMetricFamily("hearth_drift_check_timestamp_seconds", "Time of the check, in seconds since 1970.", labels=version)
    estimate = GaugeMetricFamily("hearth_estimated_quality", "The metric, estimated without labels.", labels=[*version, "metric"])
    psi = GaugeMetricFamily("hearth_drift_psi", "Population stability index beyond chance.", labels=column)
    by_column = GaugeMetricFamily("hearth_drift_column_level", "Level of one column: 0 ok, 1 warn, 2 drift, 3 act.", labels=column)
    for check in checks:
        labels = [check.dataset, check.version]
        level.add_metric(labels, check.level.rank)
        records.add_metric(labels, check.records)
        refused.add_metric(labels, check.refused_share)
        checked.add_metric(labels, check.checked_at.timestamp())
        if check.quality:
            estimate.add_metric([*labels, check.quality.now.metric], check.quality.now.value)
        for found in check.columns:
            psi.add_metric([*labels, found.name], found.difference.psi)
            by_column.add_metric([*labels, found.name], found.level.rank)
    yield from (level, records, refused, checked, estimate, psi, by_column)


def _models(status: FollowerStatus) -> Iterator[Metric]:
    problem = GaugeMetricFamily("hearth_model_follower_problem", "1 while the registry does not answer or is not polled, else 0.")
    problem.add_metric([], float(bool(status.problem) or not status.following))
    yield problem
    last_poll = GaugeMetricFamily(
        "hearth_model_follower_last_look_timestamp_seconds", "Time of the last poll of the registry, in seconds since 1970; 0: never."
    )
    last_poll.add_metric([], status.last_poll.timestamp() if status.last_poll else 0.0)
    yield last_poll
    serving = GaugeMetricFamily("hearth_model_serving", "1 for the version that an alias serves.", labels=["dataset", "alias", "version"])
    differing = GaugeMetricFamily(
        "hearth_model_alias_problem", "1 while an alias does not serve its version in the registry, else 0.", labels=["dataset", "alias"]
    )
    for alias in status.aliases:
        if alias.serving:
            serving.add_metric([alias.dataset, alias.alias, alias.serving], 1.0)
        if alias.registered or alias.serving:
            differing.add_metric([alias.dataset, alias.alias], float(alias.serving != alias.registered))
    yield serving
    yield differing
    reloads = CounterMetricFamily(
        "hearth_model_reloads",
        "Versions that an alias was moved to, by outcome: swapped, refused or failed.",
        labels=["dataset", "alias", "outcome"],
    )
    for (dataset, alias_name, outcome), count in status.reloads.items():
        reloads.add_metric([dataset, alias_name, outcome], count)
    yield reloads


def _recorder(counts: RecorderCounts) -> Iterator[Metric]:
    scored = CounterMetricFamily(
        "hearth_records_scored", "Records that were scored for an answer.", labels=["dataset", "alias", "version", "source"]
    )
    for key, count in counts.scored.items():
        scored.add_metric(list(key), count)
    yield scored
    storing = counts.storing
    stored = CounterMetricFamily("hearth_predictions_stored", "Predictions that were stored.", labels=["source", "role"])
    for (source, role), count in storing.stored.items():
        stored.add_metric([source, role], count)
    yield stored
    lost = CounterMetricFamily("hearth_predictions_not_stored", "Predictions that were not stored.", labels=["reason", "source", "role"])
    # Every loss of a source from its first answer on: Prometheus sees no increase in a series that begins with its first event
    losses = {(reason, *key): 0 for key in storing.stored for reason in LOSSES}
    for (reason, source, role), count in {**losses, **storing.not_stored}.items():
        lost.add_metric([reason, source, role], count)
    yield lost
    by_model = ["dataset", "alias", "version", "source"]
    compared = CounterMetricFamily("hearth_records_compared", COMPARED_HELP, labels=by_model)
    unusual = CounterMetricFamily("hearth_records_unusual", UNUSUAL_HELP, labels=by_model)
    for model, (records, strange) in storing.unusual.items():
        compared.add_metric(list(model), records)
        unusual.add_metric(list(model), strange)
    yield from (compared, unusual)
    waiting = GaugeMetricFamily("hearth_predictions_waiting", "Predictions that wait to be stored.")
    waiting.add_metric([], storing.waiting)
    yield waiting
    problem = GaugeMetricFamily("hearth_predictions_store_problem", "1 while predictions cannot be stored, else 0.")
    problem.add_metric([], float(bool(storing.problem)))
    yield problem
    yield from _challenges(counts)


def _challenges(counts: RecorderCounts) -> Iterator[Metric]:
    pair = ["dataset", "champion_version", "challenger_version"]
    compared = CounterMetricFamily("hearth_challenger_compared", "Records that the challenger scored too.", labels=pair)
    agreed = CounterMetricFamily("hearth_challenger_agreed", "Records with the same prediction of champion and challenger.", labels=pair)
    classes = CounterMetricFamily(
        "hearth_challenger_classes", "Predictions of champion and challenger, by class.", labels=[*pair, "role", "class"]
    )
    skipped = CounterMetricFamily(
        "hearth_challenger_skipped", "Records that the challenger did not score: behind or failed.", labels=["dataset", "reason"]
    )
    not_scored: Counts[tuple[str, str]] = Counts()
    for report in counts.challenges:
        labels = [report.dataset, report.champion_version, report.challenger_version]
        compared.add_metric(labels, report.compared)
        agreed.add_metric(labels, report.agreed)
        for role, predicted in (("champion", report.champion_classes), ("challenger", report.challenger_classes)):
            for name, count in predicted.items():
                classes.add_metric([*labels, role, name], count)
        for reason, count in report.skipped.items():
            not_scored[report.dataset, reason] += count
    for (dataset, reason), count in not_scored.items():
        skipped.add_metric([dataset, reason], count)
    yield from (compared, agreed, classes, skipped)
