"""Groups of records by sensitive columns: which rows belong to whom, and how differently a model treats two groups. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
import pandas as pd

from hearth.contracts import CategoryColumn, Contract
from hearth.modelling.comparison import Interval, share_difference

FEWEST = 100  # positives, or rows, below which a group's figure says too little
MISSING = "missing"


@dataclass(frozen=True)
class Gap:
    """The difference of a share between two groups, the larger first; `counted` is the smaller of the numbers that they are shares of."""

    groups: tuple[str, str]
    interval: Interval
    counted: int


def group_masks(contract: Contract, X: pd.DataFrame) -> dict[str, dict[str, np.ndarray]]:
    """Return by sensitive column, by group, which rows belong to it, shape (rows,).

    Groups without a row are left out, and columns that X does not have: `Split.described_test` has all.
    """
    return {name: dict(_masks(contract, name, cuts, X[name])) for name, cuts in contract.sensitive.items() if name in X}


def recall_gaps(groups: Mapping[str, np.ndarray], truth: np.ndarray, codes: np.ndarray, code: int, level: float) -> list[Gap]:
    """Return the differences of the share of a class's rows that are found, for each pair of groups."""
    return _gaps(groups, codes == code, truth == code, level)


def selection_rate_gaps(groups: Mapping[str, np.ndarray], codes: np.ndarray, code: int, level: float) -> list[Gap]:
    """Return the differences of the share of rows that a class is predicted for, for each pair of groups."""
    return _gaps(groups, codes == code, np.ones(len(codes), dtype=bool), level)


def precision_gaps(groups: Mapping[str, np.ndarray], truth: np.ndarray, codes: np.ndarray, code: int, level: float) -> list[Gap]:
    """Return the differences of the share of right rows among those that a class is predicted for, for each pair of groups."""
    return _gaps(groups, truth == code, codes == code, level)


def base_rate_gaps(groups: Mapping[str, np.ndarray], truth: np.ndarray, code: int, level: float) -> list[Gap]:
    """Return the differences of the share of rows that have a class, for each pair of groups: what a selection rate has to be seen with."""
    return _gaps(groups, truth == code, np.ones(len(truth), dtype=bool), level)


def _gaps(groups: Mapping[str, np.ndarray], hit: np.ndarray, among: np.ndarray, level: float) -> list[Gap]:
    pairs = list(combinations(groups, 2))
    corrected = 1 - (1 - level) / max(1, len(pairs))  # Bonferroni: of many pairs one would stick out by chance
    gaps = []
    for names in pairs:
        rows = {name: int((among & groups[name]).sum()) for name in names}
        hits = {name: int((hit & among & groups[name]).sum()) for name in names}
        larger, smaller = sorted(names, key=lambda name, rows=rows, hits=hits: -hits[name] / max(rows[name], 1))  # type: ignore[misc]
        interval = share_difference(hits[larger], rows[larger], hits[smaller], rows[smaller], corrected)
        gaps.append(Gap((larger, smaller), interval, min(rows.values())))
    return gaps


def _masks(contract: Contract, name: str, cuts: tuple[float, ...], column: pd.Series) -> Iterator[tuple[str, np.ndarray]]:
    described = contract.columns[name]
    missing = column.isna().to_numpy()
    if isinstance(described, CategoryColumn):
        meanings = described.meanings or described.texts
        labelled = [(meaning, (column == text).to_numpy()) for text, meaning in zip(described.texts, meanings, strict=True)]
    else:
        band = np.searchsorted(cuts, column.to_numpy(dtype=np.float64), side="right")  # a missing number sorts last, and is masked
        limits = [f"{cut:g}" for cut in cuts]
        names = [
            f"below {limits[0]}",
            *(f"{low} to {high}" for low, high in pairwise(limits)),
            f"{limits[-1]} or more",
        ]
        labelled = [(label, (band == position) & ~missing) for position, label in enumerate(names)]
    for label, mask in [*labelled, (MISSING, missing)]:
        if mask.any():
            yield label, mask
