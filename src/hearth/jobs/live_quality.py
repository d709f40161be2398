"""Measure the quality of what is served, from labels, and test whether it has fallen; open an alert when it has.

A check is written when a label is new, when another version is looked at, and else once an hour, for the coverage.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np

from hearth.alerts import AlertStore, Severity
from hearth.contracts import Contract, load_contract
from hearth.contracts.aliases import CHALLENGER, CHAMPION
from hearth.errors import ModelUnavailable
from hearth.jobs.version_outputs import version_outputs
from hearth.logs import about
from hearth.modelling.groups import group_masks
from hearth.monitoring.e_process import bound_of
from hearth.monitoring.live_quality import (
    Cell,
    Coverage,
    Evidence,
    Paired,
    QualityCheck,
    QualityLevel,
    QualityPart,
    Subject,
    VersionQuality,
    cells_of,
    level_of,
    measure,
    measure_parts,
    paired,
    wrong,
)
from hearth.monitoring.window import features_of
from hearth.predictions.drift_store import DriftStore
from hearth.predictions.label import LabelledAnswer
from hearth.predictions.quality_store import DayCoverage
from hearth.predictions.quality_tests import Claim, QualityTests
from hearth.registry import RegisteredVersion, Registry
from hearth.settings import MonitorSettings
from hearth.storage import ObjectStore

_LOGGER = logging.getLogger(__name__)
ALERT = "quality"
_MOST_ROWS = 10_000  # newest labels of a version that groups and pairs are measured on
_MOST_OTHERS = 5  # versions that are no subject
_AT_LEAST_EVERY = timedelta(hours=1)


@dataclass(frozen=True)
class MeasuredQuality:
    """The result of a check: None where there is no champion yet; `is_new` says whether it was written."""

    check: QualityCheck | None
    is_new: bool = False
    changed: bool = False


@dataclass(frozen=True)
class _Subjects:
    """The versions that are looked at, by why."""

    versions: Mapping[Subject, RegisteredVersion]

    @property
    def numbers(self) -> dict[str, Subject]:
        return {version.version: subject for subject, version in reversed(list(self.versions.items()))}


class LiveQuality:
    """Measures data sets. Servers are those of the environment unless they are given."""

    def __init__(
        self,
        tests: QualityTests,
        drift: DriftStore,
        alerts: AlertStore,
        store: ObjectStore | None = None,
        registry: Registry | None = None,
    ) -> None:
        self._tests, self._drift, self._alerts = tests, drift, alerts
        self._store, self._registry = store or ObjectStore.from_settings(), registry or Registry.from_settings()

    def check(self, dataset: str, *, by_hand: bool = False, now: datetime | None = None) -> MeasuredQuality:
        """Measure one data set.

        Raises:
            PredictionsUnavailable: the store does not answer, or was not migrated.
        """
        contract, now = load_contract(dataset), now or datetime.now(UTC)
        subjects = self._subjects(dataset)
        if Subject.CHAMPION not in subjects.versions:
            _LOGGER.info("%s: no version is champion yet, so no quality is measured", dataset, extra=about(dataset))
            return MeasuredQuality(None)
        last, newest = self._tests.check_at(dataset), self._tests.newest_label(dataset)
        if last and not by_hand and not _is_due(last, subjects, newest, now):
            _LOGGER.info("%s: no label is new since the last check", dataset, extra=about(dataset))
            self._alert(last)
            return MeasuredQuality(last)
        check = self._measure(contract, subjects, newest, now)
        fallen = check.level is QualityLevel.FALLEN
        _LOGGER.log(logging.WARNING if fallen else logging.INFO, "%s: %s", dataset, check.summary, extra=about(dataset))
        self._alert(check)
        self._tests.write_check(check)  # last: a retry computes the same again
        return MeasuredQuality(check, is_new=True, changed=not last or (last.level, last.version) != (check.level, check.version))

    def _subjects(self, dataset: str) -> _Subjects:
        aliases, canary = self._registry.aliases(dataset), self._tests.canary(dataset)
        named = {Subject.CHAMPION: aliases.get(CHAMPION), Subject.CHALLENGER: aliases.get(CHALLENGER), Subject.CANARY: canary}
        versions: dict[Subject, RegisteredVersion] = {}
        for subject, number in named.items():
            if number is None or (subject is not Subject.CHAMPION and number == named[Subject.CHAMPION]):
                continue
            try:
                versions[subject] = self._registry.version(dataset, number)
            except ModelUnavailable as error:
                _LOGGER.warning("%s", error)
        return _Subjects(versions)

    def _measure(self, contract: Contract, subjects: _Subjects, newest: datetime | None, now: datetime) -> QualityCheck:
        since, dataset = now - timedelta(days=contract.quality.days), contract.name
        cells = self._tests.cells(dataset, len(contract.target.classes), since)
        delay = self._tests.delay_seconds(dataset, since)
        covered = self._coverage(contract, delay, now)
        answers = {
            subject: self._labelled(contract, version.version, _role(subject), since) for subject, version in subjects.versions.items()
        }
        self._tests.end(dataset, [subject for subject in _TESTED if subject not in subjects.versions], now)
        evidence = {subject: self._evidence(contract, subject, version, now) for subject, version in subjects.versions.items()}
        versions = [
            _version(contract, number, subject, cells, covered, evidence.get(subject), answers.get(subject, ()))
            for number, subject in _listed(subjects, cells)
        ]
        champion = versions[0]
        labels = champion.evidence.labels if champion.evidence else champion.measured.rows
        return QualityCheck(
            dataset=dataset,
            checked_at=now,
            metric=contract.metric,
            version=champion.version,
            level=level_of(labels, contract.quality.minimum, champion.evidence),
            days=contract.quality.days,
            minimum=contract.quality.minimum,
            labels=champion.measured.rows,
            delay_seconds=delay,
            classes=contract.target.classes,
            versions=tuple(versions),
            paired=_paired(contract, subjects, answers),
            newest_label=newest,
        )

    def _labelled(self, contract: Contract, version: str, role: str, since: datetime) -> list[LabelledAnswer]:
        classes = len(contract.target.classes)
        answers = self._tests.labelled(contract.name, since=since, version=version, limit=_MOST_ROWS, role=role)
        return [answer for answer in answers if len(answer.probabilities) == classes and answer.truth < classes]

    def _coverage(self, contract: Contract, delay: float | None, now: datetime) -> list[DayCoverage]:
        if delay is None:
            return []
        until = now - timedelta(seconds=delay)
        return self._tests.coverage(contract.name, until - timedelta(days=contract.quality.days), until)

    def _evidence(self, contract: Contract, subject: Subject, version: RegisteredVersion, now: datetime) -> Evidence | None:
        """Count new labels in the test of a version; None without a test set to compare with."""
        outputs, words = version_outputs(contract, version, self._drift, self._store, self._registry), contract.quality
        if outputs is None or outputs.loss is None:
            return None
        bound = bound_of(outputs.loss, outputs.rows, words.tolerance)
        if bound >= 1:
            return None
        claim = Claim(contract.name, subject, version.version, _role(subject), version.created, outputs.loss, bound, words.level)
        test, mean = self._tests.count(claim, wrong, now)
        enough = test.state.labels >= words.minimum
        return Evidence(
            value=test.state.value,
            threshold=1 / words.level,
            reference=outputs.loss,
            bound=bound,
            labels=test.state.labels,
            mean=mean,
            highest=test.state.highest,
            started_at=test.started_at,
            alarmed_at=test.alarmed_at if enough else None,
        )

    def _alert(self, check: QualityCheck) -> None:
        """Open the alert of the data set, or resolve it; both change nothing if it is so already."""
        evidence = check.champion.evidence
        if check.level is QualityLevel.FALLEN and evidence:
            detail = {
                "version": check.version,
                "evidence": evidence.value,
                "threshold": evidence.threshold,
                "labels": evidence.labels,
                "mean_loss": evidence.mean,
                "bound": evidence.bound,
            }
            self._alerts.open(ALERT, check.dataset, Severity.CRITICAL, check.summary, detail)
        else:
            self._alerts.resolve(ALERT, check.dataset, check.summary)


_TESTED = (Subject.CHAMPION, Subject.CHALLENGER, Subject.CANARY)


def measure_quality(dataset: str, *, by_hand: bool = False) -> MeasuredQuality:
    """Measure one data set on the servers of the environment; raises what `LiveQuality.check` raises."""
    url = MonitorSettings().monitor_url.get_secret_value()
    with (
        QualityTests(url, max_connections=1) as tests,
        DriftStore(url, max_connections=1) as drift,
        AlertStore(url, max_connections=1) as alerts,
    ):
        return LiveQuality(tests, drift, alerts).check(dataset, by_hand=by_hand)


def _is_due(last: QualityCheck, subjects: _Subjects, newest: datetime | None, now: datetime) -> bool:
    looked_at = {version.version: version.subject for version in last.versions if version.subject is not Subject.OTHER}
    return newest != last.newest_label or looked_at != subjects.numbers or now - last.checked_at >= _AT_LEAST_EVERY


def _role(subject: Subject) -> str:
    return "challenger" if subject is Subject.CHALLENGER else "answer"


def _listed(subjects: _Subjects, cells: Sequence[Cell]) -> list[tuple[str, Subject]]:
    """Return the versions to measure, the champion first, then what else is tested, then the newest of the others with labels."""
    numbers = subjects.numbers
    others = sorted({cell.version for cell in cells if cell.role == "answer"} - numbers.keys(), key=lambda number: (len(number), number))
    order = sorted(numbers.items(), key=lambda item: _TESTED.index(item[1]))
    return [*order, *((number, Subject.OTHER) for number in others[::-1][:_MOST_OTHERS])]


def _version(  # noqa: PLR0913, PLR0917 - what a version's quality is made of
    contract: Contract,
    number: str,
    subject: Subject,
    cells: Sequence[Cell],
    covered: Sequence[DayCoverage],
    evidence: Evidence | None,
    answers: Sequence[LabelledAnswer],
) -> VersionQuality:
    own = [cell for cell in cells if cell.version == number and cell.role == _role(subject)]
    by_day = {day.day: Coverage(day.predictions, day.labelled) for day in covered if day.version == number and _role(subject) == "answer"}
    total = Coverage(sum(day.predictions for day in by_day.values()), sum(day.labelled for day in by_day.values()))
    return VersionQuality(
        version=number,
        subject=subject,
        measured=measure(contract, own),
        coverage=total if by_day else None,
        evidence=evidence,
        days=_days(contract, own, by_day),
        aliases=measure_parts(contract, own, "alias"),
        groups=_groups(contract, answers),
    )


def _days(contract: Contract, cells: Sequence[Cell], covered: Mapping[date, Coverage]) -> tuple[QualityPart, ...]:
    """Return the days with labels, and those whose labels have not come though they should have."""
    measured = {part.name: part.measured for part in measure_parts(contract, cells, "day")}
    days = sorted({*measured, *(str(day) for day in covered)})
    none = measure(contract, ())
    return tuple(QualityPart(day, measured.get(day, none), coverage=covered.get(date.fromisoformat(day))) for day in days)


def _groups(contract: Contract, answers: Sequence[LabelledAnswer]) -> tuple[QualityPart, ...]:
    if not answers:
        return ()
    truth, codes, probabilities = _arrays(answers)
    confidence = probabilities[np.arange(len(codes)), codes]
    masks = group_masks(contract, features_of(contract, [answer.record for answer in answers]))
    return tuple(
        QualityPart(group, measure(contract, cells_of(truth[rows], codes[rows], confidence[rows])), column)
        for column, groups in masks.items()
        for group, rows in groups.items()
    )


def _paired(contract: Contract, subjects: _Subjects, answers: Mapping[Subject, Sequence[LabelledAnswer]]) -> Paired | None:
    """Compare champion and challenger on the labelled records that both have scored."""
    if Subject.CHALLENGER not in answers:
        return None
    champions = {(answer.message_id, answer.row): answer for answer in answers[Subject.CHAMPION]}
    both = [(champions[key], answer) for answer in answers[Subject.CHALLENGER] if (key := (answer.message_id, answer.row)) in champions]
    if not both:
        return None
    truth, _, champion = _arrays([one for one, _ in both])
    _, _, challenger = _arrays([other for _, other in both])
    versions = subjects.versions[Subject.CHAMPION].version, subjects.versions[Subject.CHALLENGER].version
    return paired(contract, versions, truth, champion, challenger)


def _arrays(answers: Sequence[LabelledAnswer]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return true and predicted classes, shape (rows,), and probabilities, shape (rows, classes)."""
    truth, codes = (np.array([getattr(answer, word) for answer in answers]) for word in ("truth", "code"))
    return truth, codes, np.array([answer.probabilities for answer in answers], dtype=np.float64)
