"""The quality of what is served, from labels: by version, day, group and alias, and of two versions on the same records. Pure.

Answers of classes are counted in cells, so that a million of them are a few hundred numbers: metric, calibration and confusion follow from
cells. The rest of a check (coverage, evidence, levels) knows nothing of classes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

import numpy as np
from pydantic import TypeAdapter

from hearth.contracts import Contract
from hearth.modelling.bounds import bins_interval
from hearth.modelling.comparison import Interval, compare, metric_interval, share
from hearth.modelling.evaluation import CALIBRATION_BINS, ReliabilityBin

LEVEL = 0.95
"""The confidence level of all intervals."""
FEWEST = 30
"""Labels below which a part, such as a day, has counts and no figures."""


class QualityLevel(StrEnum):
    """What a check says of the champion."""

    NOT_ENOUGH = "not_enough"
    OK = "ok"
    FALLEN = "fallen"

    @property
    def rank(self) -> int:
        """Its place for metrics: -1 for not enough, 0 for ok, 1 for fallen."""
        return list(QualityLevel).index(self) - 1


class Subject(StrEnum):
    """Why a version is looked at."""

    CHAMPION = "champion"
    CHALLENGER = "challenger"
    CANARY = "canary"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Cell:
    """Labelled answers that are alike: their number and the sum of the probabilities of the class that they chose.

    `truth` and `code` are positions of classes, `bin` that of the probability among `CALIBRATION_BINS` of equal width; `day` is that of the
    scoring, in UTC; `role` is answer, or challenger for what was predicted in shadow.
    """

    version: str
    role: str
    alias: str
    day: date
    truth: int
    code: int
    bin: int
    rows: int
    confidence: float


@dataclass(frozen=True)
class Measured:
    """What labelled answers show. The figures are None below `FEWEST` of them.

    `metric` is the contract's, `confusion` has true classes down and predicted classes across; empty for other targets than classes.
    """

    rows: int
    metric: Interval | None
    accuracy: Interval | None
    calibration_error: Interval | None
    confusion: tuple[tuple[int, ...], ...] = ()


@dataclass(frozen=True)
class Coverage:
    """How many predictions have a label, of those that are so old that 95 % of the labels would have come."""

    predictions: int
    labelled: int

    @property
    def share(self) -> float | None:
        """None without a prediction that is old enough."""
        return self.labelled / self.predictions if self.predictions else None


@dataclass(frozen=True)
class QualityPart:
    """A part of a version's answers: a day, an alias, or a group of a sensitive column, which `column` names."""

    name: str
    measured: Measured
    column: str = ""
    coverage: Coverage | None = None


@dataclass(frozen=True)
class Evidence:
    """The test whether the loss has risen beyond a bound, after the labels of one version (`hearth.monitoring.e_process`).

    Attributes:
        value: the evidence E; it alarms from `threshold` on, until all is gone.
        reference: the mean loss on the version's test set; of classes the share of wrong answers.
        bound: the mean loss that is tested against.
        mean: the mean loss of the labelled answers.
        highest: the largest E so far.
        started_at: when the test began; answers of earlier are not in it.
        alarmed_at: when the alarm that holds began; None without one.
    """

    value: float
    threshold: float
    reference: float
    bound: float
    labels: int
    mean: float
    highest: float
    started_at: datetime
    alarmed_at: datetime | None = None


@dataclass(frozen=True)
class VersionQuality:
    """What labels show of one version."""

    version: str
    subject: Subject
    measured: Measured
    coverage: Coverage | None = None
    evidence: Evidence | None = None
    days: tuple[QualityPart, ...] = ()
    aliases: tuple[QualityPart, ...] = ()
    groups: tuple[QualityPart, ...] = ()


@dataclass(frozen=True)
class Paired:
    """Challenger minus champion on records that both have scored and that have a label."""

    champion: str
    challenger: str
    rows: int
    metric: Interval
    log_loss: Interval
    changed: Interval


@dataclass(frozen=True)
class QualityCheck:
    """One check.

    Attributes:
        version: the champion.
        labels: of its answers, in the days that are looked at.
        delay_seconds: within which 95 % of the labels come; None without any.
        versions: the champion first.
        newest_label: when the newest label came that was looked at.
    """

    dataset: str
    checked_at: datetime
    metric: str
    version: str
    level: QualityLevel
    days: int
    minimum: int
    labels: int
    delay_seconds: float | None
    classes: tuple[str, ...]
    versions: tuple[VersionQuality, ...]
    paired: Paired | None = None
    newest_label: datetime | None = None

    @property
    def champion(self) -> VersionQuality:
        """What labels show of the champion."""
        return self.versions[0]

    @property
    def summary(self) -> str:
        """The check in a sentence."""
        if self.level is QualityLevel.NOT_ENOUGH:
            return f"{self.labels} labels of version {self.version}: not enough, {self.minimum} are needed."
        figure = self.champion.measured.metric
        measured = f"{self.metric} {figure.figure:.3f} ({figure.low:.3f} to {figure.high:.3f})" if figure else "no figure"
        words = f"{self.labels} labels of version {self.version}: {self.level}, {measured}"
        evidence = self.champion.evidence
        if evidence is None or self.level is not QualityLevel.FALLEN:
            return f"{words}."
        value = f"{evidence.value:,.0f}" if evidence.value < _LONGEST_FIGURE else f"{evidence.value:.3g}"
        return (
            f"{words}. {evidence.mean:.1%} of {evidence.labels} answers are wrong, {evidence.reference:.1%} were on the test set:"
            f" evidence {value}, and {evidence.threshold:g} is an alarm."
        )

    def to_json(self) -> bytes:
        """Write the check as the store holds it."""
        return _CHECK.dump_json(self)

    @staticmethod
    def from_json(content: bytes | str) -> "QualityCheck":
        """Read what `to_json` wrote; raises pydantic's ValidationError for anything else."""
        return _CHECK.validate_json(content)


_CHECK = TypeAdapter(QualityCheck)
_LONGEST_FIGURE = 1e6


def measure(contract: Contract, cells: Iterable[Cell]) -> Measured:
    """Return what the answers of cells show."""
    classes = len(contract.target.classes)
    confusion = np.zeros((classes, classes), dtype=np.int64)
    rows, right, confidence = (np.zeros(CALIBRATION_BINS) for _ in range(3))
    for cell in cells:
        confusion[cell.truth, cell.code] += cell.rows
        rows[cell.bin] += cell.rows
        right[cell.bin] += cell.rows * (cell.truth == cell.code)
        confidence[cell.bin] += cell.confidence
    total = int(confusion.sum())
    counts = tuple(tuple(line) for line in confusion.tolist())
    if total < FEWEST:
        return Measured(total, None, None, None, counts)
    filled = np.flatnonzero(rows)
    bins = tuple(
        ReliabilityBin(float(confidence[place] / rows[place]), float(right[place] / rows[place]), int(rows[place])) for place in filled
    )
    accuracy = share(int(np.trace(confusion)), total, LEVEL)
    metric = metric_interval(contract.metric, confusion, level=LEVEL) if contract.metric != "accuracy" else accuracy
    return Measured(total, metric, accuracy, bins_interval(bins, LEVEL), counts)


def cells_of(truth: np.ndarray, codes: np.ndarray, confidence: np.ndarray) -> list[Cell]:
    """Return the cells of answers, each of the shape (rows,), without saying whose they are."""
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    keys, places = np.unique(np.stack([truth, codes, bins]), axis=1, return_inverse=True)
    rows = np.bincount(places.ravel(), minlength=keys.shape[1])
    sums = np.bincount(places.ravel(), weights=confidence, minlength=keys.shape[1])
    return [
        Cell("", "", "", date.min, int(true), int(code), int(bin_), int(count), float(total))
        for true, code, bin_, count, total in zip(*keys, rows, sums, strict=True)
    ]


def measure_parts(contract: Contract, cells: Sequence[Cell], word: str) -> tuple[QualityPart, ...]:
    """Return what cells show by a word of theirs, `day` or `alias`, in its order."""
    names = sorted({getattr(cell, word) for cell in cells})
    return tuple(QualityPart(str(name), measure(contract, (cell for cell in cells if getattr(cell, word) == name))) for name in names)


def paired(contract: Contract, versions: tuple[str, str], truth: np.ndarray, champion: np.ndarray, challenger: np.ndarray) -> Paired | None:
    """Compare two versions on the same records; None below `FEWEST`.

    `versions` are champion and challenger; `truth` has the shape (rows,), the probabilities (rows, classes).
    """
    if len(truth) < FEWEST:
        return None
    found = compare(contract.metric, truth, challenger, champion, level=LEVEL)
    return Paired(*versions, found.rows, found.metric, found.log_loss, found.changed)


def level_of(labels: int, minimum: int, evidence: Evidence | None) -> QualityLevel:
    """Return what the labels of a champion say; without a test, which needs a test set, a champion never has fallen."""
    if labels < minimum:
        return QualityLevel.NOT_ENOUGH
    return QualityLevel.FALLEN if evidence and evidence.alarmed_at else QualityLevel.OK


def wrong(codes: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the loss of classes, each of the shape (rows,): 1 for another one than the true, else 0."""
    return np.asarray(codes != truth, dtype=np.float64)
