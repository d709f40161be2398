"""Which version gets which alias. Pure: scores in, decisions out; the metric is the contract's and higher is better.

All scores of a decision are from the same test split. A version whose model cannot be loaded has no score.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True)
class Standing:
    """A version with its score, or with the reason in `refused` why it could not be loaded."""

    version: str
    score: float | None
    refused: str = ""


@dataclass(frozen=True)
class Verdict:
    """Whether a version may have an alias, and why."""

    passed: bool
    reason: str


@dataclass(frozen=True)
class Decision:
    """The result of promoting a version: whether it has its family's alias, which version is champion, and why."""

    dataset: str
    family: str
    version: str
    passed: bool
    score: float | None
    champion: str | None
    reasons: tuple[str, ...]


def unseen_rows(X_test: pd.DataFrame, train_sets: Iterable[pd.DataFrame]) -> np.ndarray:
    """Return a mask of shape (rows,) of the test rows that are in none of the train sets.

    A version of earlier data may have been fitted on rows that are test rows now. A nearest-neighbour model would know them by heart, and
    no new version could be as good.
    """
    rows = _row_hashes(X_test, X_test.columns)
    unseen = np.ones(len(rows), dtype=bool)
    for train in train_sets:
        unseen &= ~np.isin(rows, _row_hashes(train, X_test.columns))
    return unseen


def decide(alias: str, metric: str, candidate: Standing, incumbent: Standing | None) -> Verdict:
    """Decide whether the candidate takes a family's alias from its present version: it must be no worse."""
    if candidate.score is None:
        return Verdict(passed=False, reason=f"version {candidate.version} does not get {alias!r}: {candidate.refused}")
    scored = f"version {candidate.version} has {metric} {candidate.score:.4f}"
    if incumbent is None:
        return Verdict(passed=True, reason=f"{scored}; {alias!r} was free")
    if incumbent.version == candidate.version:
        return Verdict(passed=True, reason=f"{scored}; it carries {alias!r} already")
    if incumbent.score is None:
        return Verdict(
            passed=True,
            reason=f"{scored}; version {incumbent.version}, which carried {alias!r}, could not be compared: {incumbent.refused}",
        )
    compared = f"version {incumbent.version}, which carries {alias!r}, has {incumbent.score:.4f} on the same split"
    passed = candidate.score >= incumbent.score
    return Verdict(passed, f"{scored}; {compared}{'' if passed else ': it stays'}")


def choose_champion(metric: str, families: Mapping[str, Standing], champion: Standing | None) -> tuple[str | None, str]:
    """Choose among the versions that carry the family aliases.

    The present champion stays unless one is better: in a tie nothing moves. Families that tie are taken in alphabetical order.

    Returns:
        The version for the alias `champion`, None if no family has a version that can be loaded; and why.
    """
    able = {name: standing.score for name, standing in sorted(families.items()) if standing.score is not None}
    if not able:
        return (champion.version if champion else None), "no family has a version that can be scored"
    best = max(able, key=lambda name: able[name])
    leader = f"{best} version {families[best].version} is the best family with {metric} {able[best]:.4f}"
    if champion is None:
        return families[best].version, f"{leader}; there was no champion"
    if champion.version == families[best].version:
        return champion.version, f"{leader}; it is the champion"
    if champion.score is None:
        return families[best].version, f"{leader}; champion version {champion.version} could not be compared: {champion.refused}"
    if able[best] > champion.score:
        return families[best].version, f"{leader}; champion version {champion.version} has {champion.score:.4f}"
    return champion.version, f"{leader}, no better than champion version {champion.version} with {champion.score:.4f}, which stays"


def _row_hashes(frame: pd.DataFrame, columns: pd.Index) -> np.ndarray:
    ordered = frame[list(columns)]
    numbers = ordered.select_dtypes("number").columns  # a column of whole numbers has another type once a value is missing
    return pd.util.hash_pandas_object(ordered.astype(dict.fromkeys(numbers, np.float64)), index=False).to_numpy()
