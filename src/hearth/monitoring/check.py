"""A check: the newest window of a version's answers against its reference, with a level of alarm. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from pydantic import TypeAdapter

from hearth.contracts import Contract
from hearth.contracts.drift_words import Drift
from hearth.monitoring.differences import Difference, differences
from hearth.monitoring.domain_classifier import SecondOpinion
from hearth.monitoring.quality import EstimatedQuality, estimate_quality
from hearth.monitoring.reference import Reference
from hearth.monitoring.window import Position, Window


class Level(StrEnum):
    """What a check says; each word has one meaning, and docs/drift.md has them."""

    NOT_ENOUGH = "not_enough"
    OK = "ok"
    WARN = "warn"
    DRIFT = "drift"
    ACT = "act"

    @property
    def rank(self) -> int:
        """Its place among the levels, for comparisons and metrics: -1 for not enough, 0 for ok, up to 3 for act."""
        return list(Level).index(self) - 1

    @property
    def alarms(self) -> bool:
        """Whether somebody should look."""
        return self.rank > 0


@dataclass(frozen=True)
class Quality:
    """The metric of the version's test set beside its estimates from probabilities, which hold while labels keep their meaning."""

    metric: float | None
    reference: EstimatedQuality | None
    now: EstimatedQuality


@dataclass(frozen=True)
class ColumnLevel:
    """A variable of a window: its difference from the reference, corrected over all tests of the check, and its level."""

    difference: Difference
    p_value: float
    level: Level

    @property
    def name(self) -> str:
        return self.difference.name


@dataclass(frozen=True)
class DriftCheck:
    """One check.

    Attributes:
        checked_at: when.
        records: of the window.
        first: place of the oldest record; None without records, as `last`.
        found: the level of this window by itself.
        level: the level that is shown: it falls only when a window that shares no record with the last one at that level is lower.
        since: when the level that is shown, or a higher one, was reached; None below warn.
        tests: how many p-values the correction counts.
        columns: the most different first.
        refused: records of the stream that broke the contract while those of the window were answered; they are in no window.
        held_from: place of the newest record of the last window that had the level that is shown.
        of_batches: records of the window that are of samples of batches.
    """

    dataset: str
    version: str
    checked_at: datetime
    records: int
    minimum: int
    first: Position | None
    last: Position | None
    found: Level
    level: Level
    since: datetime | None
    tests: int
    columns: tuple[ColumnLevel, ...]
    quality: Quality | None = None
    second_opinion: SecondOpinion | None = None
    held_from: Position | None = None
    refused: int = 0
    of_batches: int = 0

    @property
    def refused_share(self) -> float:
        """The share of refused records among those that came in, 0 to 1; where not all answers are stored, it is too high."""
        return self.refused / (self.refused + self.records) if self.refused else 0.0

    @property
    def alarming(self) -> tuple[ColumnLevel, ...]:
        """The columns of the alert, the most different first."""
        return tuple(column for column in self.columns if column.level.alarms)

    @property
    def summary(self) -> str:
        """The check in a sentence."""
        records = f"{self.records} records" + (f" ({self.of_batches} of batches)" if self.of_batches else "")
        if self.level is Level.NOT_ENOUGH:
            return f"{records} of version {self.version}: not enough, {self.minimum} are needed."
        named = "; ".join(f"{column.name}: {column.difference.detail}" for column in self.alarming[:_NAMED])
        more = f"; and {len(self.alarming) - _NAMED} more" if len(self.alarming) > _NAMED else ""
        held = (
            "" if self.found is self.level else f" (this window: {self.found}; the alarm holds until a window without old records is lower)"
        )
        return f"{records} of version {self.version}: {self.level}{held}" + (f". {named}{more}." if named else ".")

    def to_json(self) -> bytes:
        """Write the check as the store holds it."""
        return _CHECK.dump_json(self)

    @staticmethod
    def from_json(content: bytes | str) -> "DriftCheck":
        """Read what `to_json` wrote; raises pydantic's ValidationError for anything else."""
        return _CHECK.validate_json(content)


_CHECK = TypeAdapter(DriftCheck)
_NAMED = 5


def check(  # noqa: PLR0913 - what a check is made of
    contract: Contract,
    version: str,
    reference: Reference,
    window: Window | None,
    before: Window | None,
    *,
    now: datetime,
    last: DriftCheck | None = None,
) -> DriftCheck:
    """Judge the newest window.

    `before` is the window that ends where `window` begins; None while it has fewer records than the minimum. `last` is the last check of
    the data set, whose alarm is held if it was of the same version: windows of another start anew.
    """
    words, records = contract.drift, len(window) if window else 0
    if window is None or records < words.minimum:
        return _held(_not_enough(contract, version, window, now), last)
    found = differences(contract, reference, window)
    tests = sum(len(difference.p_values) for difference in found)
    columns = _levels(words, found, tests)
    drifts = any(column.level is Level.DRIFT for column in columns)
    if drifts and before is not None and len(before) >= words.minimum:
        columns = _confirmed(columns, _levels(words, differences(contract, reference, before), tests))
    ordered = sorted(columns, key=lambda column: (-column.level.rank, -column.difference.psi, column.p_value))
    level = max((column.level for column in columns), key=lambda level: level.rank, default=Level.OK)
    outputs = reference.outputs
    estimate = estimate_quality(contract.metric, window.probabilities)
    quality = Quality(outputs.metric if outputs else None, outputs.estimate if outputs else None, estimate) if estimate else None
    judged = DriftCheck(
        dataset=contract.name,
        version=version,
        checked_at=now,
        records=records,
        minimum=words.minimum,
        first=window.first,
        last=window.last,
        found=level,
        level=level,
        since=now if level.alarms else None,
        tests=tests,
        columns=tuple(ordered),
        quality=quality,
        held_from=window.last if level.alarms else None,
    )
    return _held(judged, last)


def _not_enough(contract: Contract, version: str, window: Window | None, now: datetime) -> DriftCheck:
    return DriftCheck(
        dataset=contract.name,
        version=version,
        checked_at=now,
        records=len(window) if window else 0,
        minimum=contract.drift.minimum,
        first=window.first if window else None,
        last=window.last if window else None,
        found=Level.NOT_ENOUGH,
        level=Level.NOT_ENOUGH,
        since=None,
        tests=0,
        columns=(),
    )


def _levels(words: Drift, found: Sequence[Difference], tests: int) -> list[ColumnLevel]:
    columns = []
    for difference in found:
        corrected = min(1.0, difference.p_value * tests)
        is_large = difference.psi >= words.psi
        level = Level.OK if corrected >= words.level else Level.DRIFT if is_large else Level.WARN
        columns.append(ColumnLevel(difference, corrected, level))
    return columns


def _confirmed(columns: Sequence[ColumnLevel], before: Sequence[ColumnLevel]) -> list[ColumnLevel]:
    """Raise to `act` what drifts in both windows."""
    drifted = {column.name for column in before if column.level is Level.DRIFT}
    return [replace(column, level=Level.ACT) if column.level is Level.DRIFT and column.name in drifted else column for column in columns]


def _held(judged: DriftCheck, last: DriftCheck | None) -> DriftCheck:
    """Keep the level of the last check while this window shares records with the last window at that level."""
    if last is None or last.version != judged.version or not last.level.alarms:
        return judged
    since = last.since if judged.level.alarms else None
    if judged.level.rank >= last.level.rank:
        return replace(judged, since=since)
    is_disjoint = judged.first is not None and last.held_from is not None and judged.first > last.held_from
    if is_disjoint and judged.found is not Level.NOT_ENOUGH:
        return replace(judged, since=since)
    return replace(judged, level=last.level, since=last.since, held_from=last.held_from)
