"""Checks of quality of made-up labels."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from hearth.contracts import Contract
from hearth.monitoring.live_quality import (
    Coverage,
    Evidence,
    Measured,
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
)
from tests.support.labels import right_labels

LABELS = 900


def made_quality(contract: Contract, moment: datetime, share_wrong: float = 0.15, version: str = "2") -> QualityCheck:
    """Return a check of a champion of version 2, version 3 its challenger, over three days, with an alarm from 0.2 wrong answers on."""
    classes = len(contract.target.classes)
    probabilities = np.random.default_rng(1).dirichlet([4, 2, 1][:classes], LABELS)
    codes = probabilities.argmax(axis=1)
    truth = right_labels(codes, classes, share_wrong, 1)
    cells = cells_of(truth, codes, probabilities.max(axis=1))
    named = [
        replace(cell, version=version, role="answer", alias=("champion", "knn")[place % 2], day=(moment - timedelta(days=place % 3)).date())
        for place, cell in enumerate(cells)
    ]
    days = tuple(replace(part, coverage=Coverage(400, part.measured.rows)) for part in measure_parts(contract, named, "day"))
    mean = float((codes != truth).mean())
    evidence = Evidence(
        value=4_000.0 if mean >= 0.2 else 0.3,
        threshold=50.0,
        reference=0.15,
        bound=0.17,
        labels=LABELS,
        mean=mean,
        highest=5_000.0,
        started_at=moment - timedelta(days=3),
        alarmed_at=moment - timedelta(hours=1) if mean >= 0.2 else None,
    )
    whole = measure(contract, cells)
    champion = VersionQuality(
        version=version,
        subject=Subject.CHAMPION,
        measured=whole,
        coverage=Coverage(1_200, LABELS),
        evidence=evidence,
        days=days,
        aliases=measure_parts(contract, named, "alias"),
        groups=tuple(QualityPart(name, part, "Gender") for name, part in (("Female", whole), ("Male", _few(contract)))),
    )
    better = np.eye(classes)[truth]
    challenger = VersionQuality("3", Subject.CHALLENGER, measure(contract, cells_of(truth, truth, better.max(axis=1))), days=days)
    return QualityCheck(
        dataset=contract.name,
        checked_at=moment,
        metric=contract.metric,
        version=version,
        level=level_of(LABELS, contract.quality.minimum, evidence),
        days=contract.quality.days,
        minimum=contract.quality.minimum,
        labels=LABELS,
        delay_seconds=5_400.0,
        classes=contract.target.classes,
        versions=(champion, challenger),
        paired=paired(contract, (version, "3"), truth, probabilities, better),
        newest_label=moment,
    )


def without_labels(contract: Contract, moment: datetime = datetime(2026, 11, 29, tzinfo=UTC)) -> QualityCheck:
    """Return the check of a champion before the first label."""
    champion = VersionQuality("2", Subject.CHAMPION, measure(contract, ()))
    return QualityCheck(
        contract.name, moment, contract.metric, "2", QualityLevel.NOT_ENOUGH, 30, 100, 0, None, contract.target.classes, (champion,)
    )


def _few(contract: Contract) -> Measured:
    return measure(contract, cells_of(np.zeros(7, dtype=int), np.zeros(7, dtype=int), np.full(7, 0.9)))
