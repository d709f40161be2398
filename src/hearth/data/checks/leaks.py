"""Columns that give the target away, or look made from it.

A column alone says the class if the most frequent class of its value, class shares evened out, is right on rows that were not counted: the
score is the mean recall of the classes, scaled so that 0 is chance and 1 is always right. Of a target that is a number, a copy has the
same order (Spearman). A column that was made from such a target by a rule jumps at one value of it, and is flat on both sides.
"""

from collections.abc import Iterator

import numpy as np
from scipy.stats import rankdata

from hearth.data.checks.report import Finding, Level
from hearth.data.checks.table import CheckedRows

STOP_SCORE, WARN_SCORE = 0.97, 0.9
STOP_ORDER, WARN_ORDER = 0.995, 0.975
_SEED = 20_261_129
_FEWEST = 20  # rows on both sides of a jump
_EXPLAINED, _FLAT = 0.3, 0.15  # of a jump: share of the variance, and rank correlation beside it at most
_SAME_PLACE = 0.02  # of the range of the target


def find_leaks(rows: CheckedRows) -> Iterator[Finding]:
    """Yield a finding for each feature that alone nearly says the class, or is a copy of the target in another form."""
    for name, bins in rows.bins.items():
        score = class_score(bins, rows.codes, len(rows.contract.target.classes))
        order = (
            _rank_correlation(rows.features[name], rows.numeric_target) if rows.numeric_target is not None and rows.is_number[name] else 0.0
        )
        level = _level(score, order)
        if level is None:
            continue
        copied = order >= WARN_ORDER
        what = f"it has the order of the target (rank correlation {order:.3f})" if copied else f"alone it says the class of {score:.1%}"
        yield Finding(
            "gives_away",
            level,
            f"{what}{' beyond chance' if not copied else ''}.",
            "Is it known before the target is? If not, name it under drop.",
            (name,),
            {"class_score": score, "rank_correlation": order},
        )


def find_jumps(rows: CheckedRows) -> Iterator[Finding]:
    """Yield a finding for the features that jump at one value of a numeric target and are flat on both sides, by the place of the jump."""
    target = rows.numeric_target
    if target is None or len(rows) < 2 * _FEWEST:
        return
    found = {name: jump for name, values in rows.features.items() if (jump := _jump(values, target)) is not None}
    span = float(np.ptp(target)) or 1.0
    while found:
        place = min(place for place, _ in found.values())
        near = {name: jump for name, jump in found.items() if jump[0] - place <= _SAME_PLACE * span}
        found = {name: jump for name, jump in found.items() if name not in near}
        explained = {name: share for name, (_, share) in sorted(near.items(), key=lambda item: -item[1][1])}
        plural = len(near) > 1
        yield Finding(
            "made_from_target",
            "warn",
            f"{len(near)} column{'s jump' if plural else ' jumps'} just above {place:g} of {rows.contract.target.column} and "
            f"{'say' if plural else 'says'} nothing more about it on either side: people and measurements do not differ like that.",
            "Ask how they were made; if from the target, name them under drop.",
            tuple(explained),
            {"jump_above": place, **{f"explained {name}": share for name, share in explained.items()}},
        )


def class_score(bins: np.ndarray, codes: np.ndarray, classes: int) -> float:
    """Return how well one column says the class, 0 is chance and 1 is always right; negative scores are noise.

    Args:
        bins: The interval of each row, shape (rows,), from 0.
        codes: The class of each row, shape (rows,).
        classes: How many classes there are.
    """
    half = np.random.default_rng(_SEED).permutation(len(codes)) % 2 == 0
    recalls: list[float] = []
    for counted in (half, ~half):
        table = np.bincount(bins[counted] * classes + codes[counted], minlength=(int(bins.max()) + 1) * classes).reshape(-1, classes)
        guess = (table / np.maximum(table.sum(axis=0), 1)).argmax(axis=1)
        right = guess[bins[~counted]] == codes[~counted]
        totals = np.bincount(codes[~counted], minlength=classes)
        hits = np.bincount(codes[~counted], weights=right, minlength=classes)
        recalls.append(float(np.mean(hits[totals > 0] / totals[totals > 0])) if totals.any() else 0.0)
    return float((np.mean(recalls) - 1 / classes) / (1 - 1 / classes))


def _level(score: float, order: float) -> Level | None:
    if score >= STOP_SCORE or order >= STOP_ORDER:
        return "stop"
    return "warn" if score >= WARN_SCORE or order >= WARN_ORDER else None


def _rank_correlation(values: np.ndarray, target: np.ndarray) -> float:
    """Return the absolute rank correlation of the rows that have both; 0 without variance."""
    known = ~np.isnan(values)
    if known.sum() < _FEWEST:
        return 0.0
    first, second = rankdata(values[known]), rankdata(target[known])
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float(abs(np.corrcoef(first, second)[0, 1]))


def _jump(values: np.ndarray, target: np.ndarray) -> tuple[float, float] | None:
    """Return where the column jumps, as the last target below the jump, and the share of its variance that the jump explains; else None."""
    known = ~np.isnan(values)
    order = np.argsort(target[known], kind="stable")
    x, y = values[known][order], target[known][order]
    if len(x) < 2 * _FEWEST or np.ptp(x) == 0:
        return None
    places = np.flatnonzero(np.diff(y) > 0) + 1  # rows below each possible jump
    places = places[(places >= _FEWEST) & (places <= len(x) - _FEWEST)]
    if not len(places):
        return None
    sums = np.cumsum(x)[places - 1]
    mean = x.mean()
    between = (sums - places * mean) ** 2 / places + (sums - places * mean) ** 2 / (len(x) - places)
    best = int(np.argmax(between))
    explained, place = float(between[best] / ((x - mean) ** 2).sum()), int(places[best])
    beside = max(_rank_correlation(x[:place], y[:place]), _rank_correlation(x[place:], y[place:]))
    return (float(y[place - 1]), explained) if explained >= _EXPLAINED and beside < _FLAT else None
