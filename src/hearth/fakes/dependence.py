"""How the columns of a stratum depend on each other: rank correlations, and the normal scores that give them again."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import rankdata

from hearth.contracts import Contract
from hearth.fakes.generator import Stratum, build_stratum, correlation_factor
from hearth.fakes.statistics import MarginalStatistics, StratumStatistics

Floats = npt.NDArray[np.float64]

OWN_SIGMAS = 3.0  # a stratum has a correlation of its own if it is so many standard errors away from that of all strata together
SHARED_SIGMAS = 2.0  # and that one is none if it is not so many away from 0
WEAKEST = 0.02
STRONGEST = 0.98
CALIBRATION_ROWS = 20_000
CALIBRATION_ROUNDS = 8


@dataclass(frozen=True)
class Part:
    """The rows of one stratum as numbers (categories by position, dates by ordinal), with a 0-1 column for each that has missing values."""

    target: tuple[float, float] | None
    frame: pd.DataFrame
    marginals: dict[str, MarginalStatistics]
    missing: dict[str, float]


def rank_correlations(parts: list[Part]) -> list[pd.DataFrame]:
    """Return the rank correlations of each stratum, with those that are noise set to that of all strata together, or to 0."""
    own = [part.frame.corr("spearman").fillna(0) for part in parts]
    names = list(dict.fromkeys(name for frame in own for name in frame))
    weights = np.array([len(part.frame) for part in parts], dtype=np.float64)
    stacked = np.stack([frame.reindex(index=names, columns=names).to_numpy() for frame in own])
    present = ~np.isnan(stacked) * weights[:, None, None]
    rows = np.maximum(present.sum(axis=0), 1)
    pooled = (np.nan_to_num(stacked) * present).sum(axis=0) / rows
    pooled[np.abs(pooled) < np.maximum(WEAKEST, SHARED_SIGMAS / np.sqrt(rows))] = 0
    chosen = []
    for part, frame in zip(parts, own, strict=True):
        shared = pd.DataFrame(pooled, index=names, columns=names).loc[frame.index, frame.columns]
        chosen.append(shared.where((frame - shared).abs() <= OWN_SIGMAS / np.sqrt(len(part.frame)), frame))
    return chosen


def latent_correlations(contract: Contract, part: Part, target: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Find the correlations of normal scores that give the wanted rank correlations once the marginals have rounded them off."""
    bare = StratumStatistics(target=part.target, rows=len(part.frame), marginals=part.marginals, missing=part.missing, dependence={})
    stratum = build_stratum(contract, bare)
    goal = target.loc[list(stratum.variables), list(stratum.variables)].to_numpy()
    dependent = goal != 0
    np.fill_diagonal(dependent, val=False)
    normals = np.random.default_rng(0).standard_normal((CALIBRATION_ROWS, len(stratum.variables)))
    latent = np.where(dependent, goal, np.eye(len(goal)))
    for _ in range(CALIBRATION_ROUNDS):
        drawn = Stratum(stratum.variables, stratum.marginals, correlation_factor(_possible(latent))).draw(normals)
        latent = latent + np.where(dependent, goal - _spearman(np.column_stack(list(drawn.values()))), 0)
        latent = np.where(dependent, latent.clip(-STRONGEST, STRONGEST), np.eye(len(goal)))
    latent = _possible(latent).round(3)
    dependence: dict[str, dict[str, float]] = {}
    for i, first in enumerate(stratum.variables):
        others = {second: float(latent[i, j]) for j, second in enumerate(stratum.variables) if j > i and latent[i, j]}
        if others:
            dependence[first] = others
    return dependence


def _spearman(columns: Floats) -> Floats:
    """Return rank correlations; 0 for a column that does not vary."""
    ranks = np.apply_along_axis(rankdata, 0, columns)
    ranks -= ranks.mean(axis=0)
    norms = np.linalg.norm(ranks, axis=0)
    norms[norms == 0] = 1
    ranks /= norms
    return np.asarray(ranks.T @ ranks, dtype=np.float64)


def _possible(correlations: Floats) -> Floats:
    """Shrink correlations just so much that they can hold together."""
    smallest = float(np.linalg.eigvalsh(correlations)[0])
    keep = 1.0 if smallest >= 0 else 1 / (1 - smallest)
    return keep * correlations + (1 - keep) * np.eye(len(correlations))
