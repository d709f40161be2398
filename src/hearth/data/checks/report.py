"""Findings about a raw file, and the report that holds them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from pydantic import TypeAdapter

Level = Literal["info", "warn", "stop"]
LEVELS: tuple[Level, ...] = ("stop", "warn", "info")  # the most severe first
MOST_LINES = 20
"""Line numbers of a finding, at most."""


@dataclass(frozen=True)
class Finding:
    """Something suspicious.

    Attributes:
        check: the name of the check.
        level: `stop`: what is trained on these rows says nothing; `warn`: a person has to look; `info`: worth knowing.
        what: what was found, in a sentence.
        advice: what to do.
        columns: where: the columns that are concerned.
        figures: what was measured, by name.
        count: how many rows are concerned; 0 if it is about whole columns.
        lines: where the first of these rows start in the file, counted from 1; at most MOST_LINES.
    """

    check: str
    level: Level
    what: str
    advice: str
    columns: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    count: int = 0
    lines: tuple[int, ...] = ()

    def __str__(self) -> str:
        where = f" ({', '.join(self.columns)})" if self.columns else ""
        lines = f" Lines: {', '.join(map(str, self.lines))}{', …' if self.count > len(self.lines) else ''}." if self.lines else ""
        return f"{self.level} {self.check}{where}: {self.what}{lines} {self.advice}"


@dataclass(frozen=True)
class CheckReport:
    """What the checks of a raw file say: `check.json`.

    `rows` are those with a target that keep the contract. `failed` holds by check why it could not be made. `seconds` are those of the
    checks.
    """

    dataset: str
    source: str
    rows: int
    findings: tuple[Finding, ...]
    failed: Mapping[str, str] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    seconds: float = 0.0

    def at(self, *levels: Level) -> tuple[Finding, ...]:
        """Return the findings of these levels."""
        return tuple(finding for finding in self.findings if finding.level in levels)

    def to_json(self) -> bytes:
        """Write the report as `check.json` holds it."""
        return _REPORT.dump_json(self, indent=2)

    @staticmethod
    def from_json(content: bytes) -> "CheckReport":
        """Read what `to_json` wrote; raises pydantic's ValidationError for anything else."""
        return _REPORT.validate_json(content)

    def lines(self) -> Iterator[str]:
        """Yield the report as text, the most severe findings first."""
        counts = ", ".join(f"{len(self.at(level))} {level}" for level in LEVELS)
        yield f"{self.source}: {self.rows:,} rows of {self.dataset!r} checked in {self.seconds:.1f} s: {counts}"
        yield from (f"  {finding}" for finding in self.findings)
        yield from (f"  not checked: {name}: {reason}" for name, reason in self.failed.items())


_REPORT = TypeAdapter(CheckReport)


def sorted_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Sort findings, the most severe first."""
    return tuple(sorted(findings, key=lambda finding: LEVELS.index(finding.level)))


def first_lines(lines: np.ndarray) -> tuple[int, ...]:
    """Return the first lines of a finding, as many as a report shows."""
    return tuple(int(line) for line in lines[:MOST_LINES])
