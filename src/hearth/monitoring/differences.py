"""Each variable of a window against its reference: features, and what the version answered. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from hearth.contracts import Contract
from hearth.data.profile import CategoryProfile, NumericProfile, bin_shares, category_shares
from hearth.monitoring.reference import INCOMPLETE, Incomplete, Reference, output_frame
from hearth.monitoring.statistics import NEGLIGIBLE, chi_square, pool_rare_bins, population_stability, share_difference, welch
from hearth.monitoring.window import Window, complete_rows, sees_missing

Role = Literal["input", "output"]


@dataclass(frozen=True)
class Difference:
    """One variable.

    Attributes:
        name: the column, or one of `reference.OWN_NAMES`.
        role: a feature of the records, or something that the version answered.
        p_values: of each test, not corrected: `bins` (chi-square), `mean` (Welch), `missing` (Fisher).
        psi: how large the difference is, beyond chance: the population stability index of the bins or of the missing values, the larger.
        bins: names of the bins, in their order.
        before: shares of the reference's values in the bins; they add up to 1, as those of the window do.
        now: shares of the window's values.
        missing_before: share of the reference's rows.
        mean_before: None for categories.
        std_before: None for categories.
    """

    name: str
    role: Role
    p_values: Mapping[str, float]
    psi: float
    bins: tuple[str, ...]
    before: tuple[float, ...]
    now: tuple[float, ...]
    missing_before: float
    missing_now: float
    mean_before: float | None = None
    mean_now: float | None = None
    std_before: float | None = None

    @property
    def p_value(self) -> float:
        """The smallest of its tests."""
        return min(self.p_values.values(), default=1.0)

    @property
    def detail(self) -> str:
        """What changed most, in words."""
        parts = {bin_: (before, now) for bin_, before, now in zip(self.bins, self.before, self.now, strict=True)}
        if "missing" in self.p_values and abs(self.missing_now - self.missing_before) > max(
            (abs(now - before) for before, now in parts.values()), default=0
        ):
            return f"missing in {self.missing_before:.1%} before, {self.missing_now:.1%} now"
        if self.mean_before is not None and self.mean_now is not None and self.std_before:
            moved = (self.mean_now - self.mean_before) / self.std_before
            return f"mean {self.mean_before:.4g} before, {self.mean_now:.4g} now ({moved:+.2f} standard deviations)"
        if not parts:
            return ""
        most = max(parts, key=lambda bin_: abs(parts[bin_][1] - parts[bin_][0]))
        return f"{most}: {parts[most][0]:.1%} before, {parts[most][1]:.1%} now"


def differences(contract: Contract, reference: Reference, window: Window) -> list[Difference]:
    """Compare each feature that is stored and not ignored, and each output; what the reference does not have is left out.

    Records with more missing features than the ETL keeps are not compared, since the profile has none; their share is, as a variable of
    its own. Where the reference does not know that share, they are compared as all others. Where the window does not show which these
    are, there is no such share, and missing values are not compared: those of the reference are of complete records.
    """
    counts_missing = sees_missing(contract)
    knows_incomplete = counts_missing and bool(reference.incomplete and reference.incomplete.of)
    complete = complete_rows(contract, window.features) if knows_incomplete else np.ones(len(window), dtype=bool)
    features = window.features[complete]
    compared = [name for name in features.columns if name not in contract.drift.ignore]
    found = _of_frame(features[compared], reference.profile.numbers, reference.profile.categories, "input", counts_missing=counts_missing)
    if reference.incomplete and knows_incomplete:
        found.append(_incomplete(reference.incomplete, int((~complete).sum()), len(complete)))
    outputs = reference.outputs
    if outputs and window.probabilities.ndim == 2 and window.probabilities.shape[1] == len(contract.target.classes):  # noqa: PLR2004 - rows and classes
        answers = output_frame(contract.target.classes, window.codes, window.probabilities)
        found += _of_frame(answers, outputs.numbers, outputs.categories, "output")
    return found


def _of_frame(
    frame: pd.DataFrame,
    numbers: Mapping[str, NumericProfile],
    categories: Mapping[str, CategoryProfile],
    role: Role,
    *,
    counts_missing: bool = True,
) -> list[Difference]:
    found = []
    for name in frame.columns:
        if name in numbers:
            found.append(_number(name, role, numbers[name], frame[name].to_numpy(dtype=np.float64), counts_missing))
        elif name in categories:
            found.append(_category(name, role, categories[name], frame[name], counts_missing))
    return found


def _number(name: str, role: Role, profile: NumericProfile, values: np.ndarray, counts_missing: bool) -> Difference:
    present = values[~np.isnan(values)]
    before, now = np.array(profile.shares or (1.0,)) * profile.count, np.array(bin_shares(values, profile.edges)) * len(present)
    p_bins, psi = _bins(before, now)
    p_missing, psi_missing, missing = _missing(profile.count, profile.missing_share, len(present), len(values))
    mean, std = profile.mean, profile.std
    p_mean = welch(mean, std, profile.count, present, NEGLIGIBLE) if mean is not None and std is not None else 1.0
    return Difference(
        name=name,
        role=role,
        p_values={"bins": p_bins, "mean": p_mean, **({"missing": p_missing} if counts_missing else {})},
        psi=max(psi, psi_missing) if counts_missing else psi,
        bins=_bin_names(profile.edges),
        before=tuple(profile.shares) or (1.0,),
        now=bin_shares(values, profile.edges),
        missing_before=profile.missing_share,
        missing_now=missing,
        mean_before=mean,
        mean_now=float(present.mean()) if len(present) else None,
        std_before=std,
    )


def _category(name: str, role: Role, profile: CategoryProfile, values: pd.Series, counts_missing: bool) -> Difference:
    categories, present = tuple(profile.shares), int(values.count())
    shares = tuple(category_shares(values, categories).values())
    p_bins, psi = _bins(np.array(list(profile.shares.values())) * profile.count, np.array(shares) * present)
    p_missing, psi_missing, missing = _missing(profile.count, profile.missing_share, present, len(values))
    return Difference(
        name=name,
        role=role,
        p_values={"bins": p_bins, **({"missing": p_missing} if counts_missing else {})},
        psi=max(psi, psi_missing) if counts_missing else psi,
        bins=categories,
        before=tuple(profile.shares.values()),
        now=shares,
        missing_before=profile.missing_share,
        missing_now=missing,
    )


def _incomplete(reference: Incomplete, rows: int, of: int) -> Difference:
    before, now = reference.rows / reference.of, rows / of if of else 0.0
    return Difference(
        name=INCOMPLETE,
        role="input",
        p_values={"missing": share_difference(reference.rows, reference.of, rows, of)},
        psi=population_stability(_two(reference.rows, reference.of), _two(rows, of)),
        bins=(),
        before=(),
        now=(),
        missing_before=before,
        missing_now=now,
    )


def _bins(before: np.ndarray, now: np.ndarray) -> tuple[float, float]:
    """Return the p-value and the effect of counts in bins; rare bins are pooled first."""
    pooled = pool_rare_bins(before, now)
    return chi_square(*pooled, negligible=NEGLIGIBLE), population_stability(*pooled)


def _missing(count: int, share: float, present: int, rows: int) -> tuple[float, float, float]:
    """Return the p-value and the effect of missing values, and their share now."""
    rows_before = round(count / (1 - share)) if share < 1 else _MANY
    missing_before, missing_now = rows_before - count, rows - present
    p_value = share_difference(missing_before, rows_before, missing_now, rows)
    psi = population_stability(_two(missing_before, rows_before), _two(missing_now, rows))
    return p_value, psi, missing_now / rows if rows else 0.0


_MANY = 1_000  # rows of a profile without a value, whose number it does not keep


def _two(hits: int, rows: int) -> np.ndarray:
    return np.array([hits, rows - hits], dtype=np.float64)


def _bin_names(edges: tuple[float, ...]) -> tuple[str, ...]:
    if not edges:
        return ("all",)
    between = (f"{low:g} to {high:g}" for low, high in pairwise(edges))
    return (f"below {edges[0]:g}", *between, f"from {edges[-1]:g}")
