"""How far a train set has moved from the one before it: another coding of the same columns keeps the contract and changes the shares.

A column is compared by the share of its rows that would have to change their value, the total variation distance: of its categories, of the
classes, of the bins of a number's profile with one more below and above its range, and of missing values as one more. Two draws from the
same source differ too, the more the fewer rows they have: the distance is at most half the root of Pearson's statistic of homogeneity,
whose quantile for these numbers of rows says how much chance explains. Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.stats import chi2

from hearth.contracts import Contract
from hearth.data.profile import CategoryProfile, NumericProfile, Profile, bin_shares, category_shares

NOTEWORTHY = 0.1
"""A smaller change is not worth a warning, however sure it is."""

_CHANCE = 0.001  # how often a draw from the same source has any column beyond chance, at most


@dataclass(frozen=True)
class Shift:
    """One column, or the classes, against the reference.

    Attributes:
        name: the column.
        moved: the share of the rows that would have to change their value, 0 to 1.
        chance: what two draws from one source may differ by.
        detail: the part that changed most, in words.
    """

    name: str
    moved: float
    chance: float
    detail: str

    def exceeds(self, limit: float) -> bool:
        """Return whether more rows have moved than the limit, and than chance explains."""
        return self.moved > max(limit, self.chance)

    def __str__(self) -> str:
        return f"{self.name}: {self.moved:.0%} of the rows would have to change, chance explains {self.chance:.0%} ({self.detail})"


def shifts(contract: Contract, reference: Profile, X: pd.DataFrame, y: pd.Series) -> list[Shift]:
    """Compare raw features and class codes with a profile: each feature and the target, the farthest beyond chance first.

    Features or classes that the profile does not have are left out: another contract made it.
    """
    parts: list[tuple[str, Mapping[str, float], Mapping[str, float]]] = []
    for name in contract.feature_names:
        column, missing = X[name], float(X[name].isna().mean())
        if number := reference.numbers.get(name):
            parts.append((name, *_number_shares(number, column.to_numpy(dtype=np.float64), missing)))
        elif (category := reference.categories.get(name)) and set(category.shares) == set(contract.categorical_features[name]):
            parts.append((name, *_category_shares(category, column, missing)))
    labels = contract.target.classes
    if set(reference.classes) == set(labels):
        counts = np.bincount(y.to_numpy(), minlength=len(labels)) / max(len(y), 1)
        parts.append((contract.target.column, reference.classes, dict(zip(labels, counts.tolist(), strict=True))))
    rows = len(X) * reference.rows / (len(X) + reference.rows)
    found = [_shift(name, before, after, rows, len(parts)) for name, before, after in parts]
    return sorted(found, key=lambda shift: shift.chance - shift.moved)


def _shift(name: str, before: Mapping[str, float], after: Mapping[str, float], rows: float, columns: int) -> Shift:
    occurring = [part for part in before if before[part] or after[part]]
    changes = {part: after[part] - before[part] for part in occurring}
    moved = sum(abs(change) for change in changes.values()) / 2
    quantile = float(chi2.isf(_CHANCE / columns, max(len(occurring) - 1, 1)))
    most = max(occurring, key=lambda part: abs(changes[part]))
    return Shift(name, moved, (quantile / rows) ** 0.5 / 2, f"{most}: {before[most]:.1%} before, {after[most]:.1%} now")


def _number_shares(profile: NumericProfile, values: np.ndarray, missing: float) -> tuple[Mapping[str, float], Mapping[str, float]]:
    lowest, highest = profile.minimum, profile.maximum
    if lowest is None or highest is None:  # the reference had no value
        names: Sequence[str] = ("missing", "any number")
        return dict(zip(names, (1.0, 0.0), strict=True)), dict(zip(names, (missing, 1 - missing), strict=True))
    edges = [f"{edge:g}" for edge in (lowest, *profile.edges)]
    names = [
        f"below {lowest:g}",
        *(f"from {low} to below {high}" for low, high in pairwise(edges)),
        f"from {edges[-1]} to {highest:g}",
        f"above {highest:g}",
        "missing",
    ]
    present = 1 - profile.missing_share
    before = [0.0, *(share * present for share in profile.shares), 0.0, profile.missing_share]
    shares = bin_shares(values, (lowest, *profile.edges, np.nextafter(highest, np.inf)))
    after = [*(share * (1 - missing) for share in shares), missing]
    return dict(zip(names, before, strict=True)), dict(zip(names, after, strict=True))


def _category_shares(profile: CategoryProfile, values: pd.Series, missing: float) -> tuple[Mapping[str, float], Mapping[str, float]]:
    def shares(present: Mapping[str, float], absent: float) -> dict[str, float]:
        return {**{f"{name!r}": share * (1 - absent) for name, share in present.items()}, "missing": absent}

    return shares(profile.shares, profile.missing_share), shares(category_shares(values, tuple(profile.shares)), missing)
