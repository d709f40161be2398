"""Compare the newest answers of a champion with what it was trained on, store the result, and report what moved.

A check costs a few requests and is written once for each state of the store: with no new answer nothing is written. Windows hold answers of
the present champion alone, so they start anew after a promotion.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np
from pydantic import BaseModel, ValidationError

from hearth.alerts import AlertStore
from hearth.contracts import Contract, load_contract
from hearth.contracts.aliases import CHAMPION
from hearth.contracts.experiment_names import monitor_experiment
from hearth.contracts.names import metric_name
from hearth.data.processed import REPORT, load_profile, processed_key
from hearth.errors import ModelUnavailable, ObjectNotFound
from hearth.jobs.drift_alerts import report_check
from hearth.jobs.version_outputs import version_outputs
from hearth.logs import about
from hearth.monitoring.check import DriftCheck, check
from hearth.monitoring.domain_classifier import second_opinion
from hearth.monitoring.reference import Incomplete, Reference
from hearth.monitoring.report import html_report
from hearth.monitoring.window import Position, Window, features_of
from hearth.predictions.drift_store import DriftStore, ServedAnswer
from hearth.predictions.prediction import BATCH
from hearth.registry import MonitorRun, RegisteredVersion, Registry
from hearth.settings import MonitorSettings
from hearth.storage import ObjectStore
from hearth.training.drift_figures import draw_check

_LOGGER = logging.getLogger(__name__)
_HISTORY = 50  # checks in the picture of the history


@dataclass(frozen=True)
class Monitored:
    """The result of a check: None where there is no champion yet.

    `is_new` says whether it was written; `changed` whether its level differs from that of the check before it; `run_id` names the run of
    the report in MLflow, empty without one.
    """

    check: DriftCheck | None
    is_new: bool = False
    changed: bool = False
    run_id: str = ""


class Monitor:
    """Checks data sets. Servers are those of the environment unless they are given; without `alerts` a check opens none."""

    def __init__(
        self, drift: DriftStore, store: ObjectStore | None = None, registry: Registry | None = None, alerts: AlertStore | None = None
    ) -> None:
        self._drift, self._alerts = drift, alerts
        self._store, self._registry = store or ObjectStore.from_settings(), registry or Registry.from_settings()

    def check(self, dataset: str, *, by_hand: bool = False, now: datetime | None = None) -> Monitored:
        """Check one data set.

        A report is logged when the level has changed to an alarm or from one, and `by_hand`. The second opinion is asked by hand and at the
        first check of a UTC day.

        Raises:
            ObjectNotFound: the profile of the version's data is gone.
            PredictionsUnavailable: the store does not answer, or was not migrated.
        """
        contract, now = load_contract(dataset), now or datetime.now(UTC)
        try:
            version = self._registry.version(dataset, CHAMPION)
        except ModelUnavailable as error:
            _LOGGER.info("%s", error)
            return Monitored(None)
        size, last = contract.drift.window, self._drift.check_at(dataset)
        answers = self._drift.newest_answers(dataset, version.version, 2 * size, version.created, size)
        if last and not by_hand and last.version == version.version and last.last == _place(answers):
            _LOGGER.info("%s: no answer is new since the last check", dataset, extra=about(dataset))
            return Monitored(last)
        window, before = _window(contract, answers[-size:]), _window(contract, answers[:-size])
        judged = check(contract, version.version, self._reference(contract, version), window, before, now=now, last=last)
        if window and judged.columns and (by_hand or (last and last.checked_at.date() < now.date())):
            train = self._store.get_frame(self._store.processed_bucket, processed_key(dataset, version.digest, "X_train.parquet"))
            judged = replace(judged, second_opinion=second_opinion(train, window.features))
        judged = replace(judged, of_batches=sum(answer.source == BATCH for answer in answers[-size:]))
        if judged.first and judged.last:
            judged = replace(judged, refused=self._drift.refused(dataset, judged.first.scored_at, judged.last.scored_at))
        _LOGGER.log(logging.WARNING if judged.level.alarms else logging.INFO, "%s: %s", dataset, judged.summary, extra=about(dataset))
        previous = last if last and last.version == version.version else None
        changed = judged.level is not (previous.level if previous else None)
        moved = changed and (judged.level.alarms or bool(previous and previous.level.alarms))
        run_id = self._report(contract, judged) if judged.columns and (moved or by_hand) else ""
        if self._alerts:
            report_check(self._alerts, judged)
        self._drift.write_check(judged)  # last: where the report or the alert fails, a retry finds the same change of level
        return Monitored(judged, is_new=True, changed=changed, run_id=run_id)

    def _reference(self, contract: Contract, version: RegisteredVersion) -> Reference:
        profile = load_profile(self._store, contract.name, version.digest)
        outputs = version_outputs(contract, version, self._drift, self._store, self._registry)
        return Reference(profile, outputs, self._incomplete(contract, version.digest))

    def _incomplete(self, contract: Contract, digest: str) -> Incomplete | None:
        """Return how many records of the raw file had too many missing features, from the report of the ETL; None without one."""
        try:
            content = self._store.get(self._store.processed_bucket, processed_key(contract.name, digest, REPORT))
            report = _EtlCounts.model_validate_json(content)
        except (ObjectNotFound, ValidationError) as error:
            _LOGGER.warning("%s: the share of incomplete records is not watched: %s", contract.name, error, extra=about(contract.name))
            return None
        of = report.validation.rows_in - report.validation.rejected - report.dropped.get("no_target", 0)
        return Incomplete(report.dropped.get("too_many_missing", 0), of)

    def _report(self, contract: Contract, judged: DriftCheck) -> str:
        past = [check for check in self._drift.checks(contract.name, _HISTORY) if check.version == judged.version]
        pictures = draw_check(judged, [check for check in past if check.checked_at < judged.checked_at])
        page = html_report(judged, f"Drift of {contract.name}: {contract.title}", pictures)
        figures = {f"figures/{metric_name('drift', name)}.png": content for name, content in pictures.items()}
        metrics = {metric_name("psi", column.name): column.difference.psi for column in judged.columns}
        if judged.quality:
            metrics[f"estimated_{judged.quality.now.metric}"] = judged.quality.now.value
        if judged.second_opinion:
            metrics["second_opinion_auc"] = judged.second_opinion.auc
        return self._registry.log_monitoring(
            monitor_experiment(contract),
            MonitorRun(
                dataset=contract.name,
                version=judged.version,
                level=judged.level,
                summary=judged.summary,
                metrics={**metrics, "level": judged.level.rank, "records": judged.records},
                files={"report.html": page, "check.json": judged.to_json(), **figures},
            ),
        )


class _EtlRows(BaseModel):
    rows_in: int
    rejected: int


class _EtlCounts(BaseModel):
    """What is read of the report of an ETL."""

    validation: _EtlRows
    dropped: dict[str, int]


def monitor(dataset: str, *, by_hand: bool = False) -> Monitored:
    """Check one data set on the servers of the environment; raises what `Monitor.check` raises."""
    url = MonitorSettings().monitor_url.get_secret_value()
    with DriftStore(url, max_connections=1) as drift, AlertStore(url, max_connections=1) as alerts:
        return Monitor(drift, alerts=alerts).check(dataset, by_hand=by_hand)


def _window(contract: Contract, answers: Sequence[ServedAnswer]) -> Window | None:
    if not answers:
        return None
    probabilities = np.array([answer.probabilities for answer in answers], dtype=np.float64)
    first, last = (Position(answer.scored_at, answer.message_id, answer.row) for answer in (answers[0], answers[-1]))
    codes = np.array([answer.code for answer in answers])
    return Window(features_of(contract, [answer.record for answer in answers]), codes, probabilities, first, last)


def _place(answers: Sequence[ServedAnswer]) -> Position | None:
    return Position(answers[-1].scored_at, answers[-1].message_id, answers[-1].row) if answers else None
