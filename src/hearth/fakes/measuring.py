"""Measure the statistics that fake rows are drawn from.

They are aggregates only: no stratum of fewer than 100 rows, no value and no end of a range that fewer than 10 rows hold, and as many rows
between two quantiles. Strata are classes, or intervals of a target that is cut; a regression tree finds those, which cuts the target
where the other columns change most.
"""

from datetime import UTC, date, datetime
from itertools import pairwise

import numpy as np
import pandas as pd
from sklearn.tree import DecisionTreeRegressor

from hearth.contracts import CategoryColumn, Column, Contract, DateColumn, IdentifierColumn, NumberColumn
from hearth.errors import InvalidRawData
from hearth.fakes.dependence import Part, latent_correlations, rank_correlations
from hearth.fakes.statistics import (
    FEWEST_ROWS,
    MISSING,
    About,
    ColumnStatistics,
    MarginalStatistics,
    Statistics,
    StratumStatistics,
    ordered_values,
)

MOST_STRATA = 14
FEWEST_IN_CELL = 10  # rows: a rarer value is given to none, a range ends where so many rows lie beyond or at its end
MOST_VALUES = 30  # more different values than this are measured by quantiles
MOST_RARE = 0.02  # the same if more of the rows than this would be in cells that are too small
QUANTILES = 25
_EPOCH = date(1970, 1, 1).toordinal()


def measure(contract: Contract, accepted: pd.DataFrame, edges: list[float], how: str) -> Statistics:
    """Measure a typed frame as `validate` accepts it.

    Raises:
        InvalidRawData: a stratum has too few rows.
    """
    numbers = pd.DataFrame(
        {name: _numbers(column, accepted[name]) for name, column in contract.columns.items() if not isinstance(column, IdentifierColumn)}
    )
    if contract.cleaning.drop_duplicates:
        numbers = numbers.drop_duplicates()  # copies of one row are no further evidence, and hide how few there are
    decimals = {name: _decimals(numbers[name]) for name, column in contract.columns.items() if isinstance(column, NumberColumn)}
    parts = [_part(contract, rows, decimals) for rows in _strata(contract, numbers, edges)]
    strata = tuple(
        StratumStatistics(
            target=part.target,
            rows=len(part.frame),
            marginals=part.marginals,
            missing=part.missing,
            dependence=latent_correlations(contract, part, correlations),
        )
        for part, correlations in zip(parts, rank_correlations(parts), strict=True)
    )
    columns = {name: _column_statistics(column, accepted[name], decimals.get(name)) for name, column in contract.columns.items()}
    about = About(dataset=contract.name, how=how, measured_on=datetime.now(tz=UTC).date(), rows=sum(len(part.frame) for part in parts))
    return Statistics(about=about, columns=columns, strata=strata)


def _column_statistics(column: Column, values: pd.Series, decimals: int | None) -> ColumnStatistics:
    if isinstance(column, IdentifierColumn):
        return ColumnStatistics(lengths=_shares(values.str.len().dropna()))
    return ColumnStatistics() if decimals is None else ColumnStatistics(decimals=decimals)


def find_edges(contract: Contract, numbers: pd.DataFrame) -> list[float]:
    """Return where the target is to be cut so that the other columns differ most between the strata."""
    target = contract.target.column
    if not contract.target.cuts:
        column = contract.columns[target]
        codes = sorted(range(len(column.categories)) if isinstance(column, CategoryColumn) else map(int, contract.class_codes))
        return [(low + high) / 2 for low, high in pairwise(codes)]
    present = numbers[numbers[target].notna()]
    others = present.drop(columns=target).rank(pct=True).fillna(0.5)
    fewest = max(FEWEST_ROWS, len(present) // 50)
    tree = DecisionTreeRegressor(max_leaf_nodes=MOST_STRATA, min_samples_leaf=fewest, random_state=0).fit(present[[target]], others)
    return sorted(round(float(edge), 6) for edge in tree.tree_.threshold[tree.tree_.feature >= 0])


def _strata(contract: Contract, numbers: pd.DataFrame, edges: list[float]) -> list[pd.DataFrame]:
    target = numbers[contract.target.column]
    number = np.digitize(target, edges or find_edges(contract, numbers), right=True)
    strata = [numbers[(number == i) & target.notna()] for i in range(int(number.max(initial=0)) + 1)]
    for stratum in strata:
        if len(stratum) < FEWEST_ROWS:
            bounds = f"{stratum[target.name].min():g} to {stratum[target.name].max():g}" if len(stratum) else "some edges"
            raise InvalidRawData(f"Only {len(stratum)} rows have {target.name!r} within {bounds}: a stratum needs {FEWEST_ROWS}.")
    without = numbers[target.isna()].drop(columns=[contract.target.column])
    return [*strata, without] if len(without) >= FEWEST_ROWS else strata


def _part(contract: Contract, rows: pd.DataFrame, decimals: dict[str, int]) -> Part:
    marginals, missing, frame = {}, {}, rows.copy()
    for name in rows:
        present = rows[name].dropna()
        marginals[str(name)] = _marginal(contract.columns[str(name)], present, decimals.get(str(name), 0))
        if len(rows) - len(present) >= FEWEST_IN_CELL:
            missing[str(name)] = round(1 - len(present) / len(rows), 4)
            frame[f"{MISSING}{name}"] = rows[name].isna().astype(float)
    name = contract.target.column
    held = ordered_values(contract.columns[name], marginals[name]) if name in rows else []
    return Part((min(held), max(held)) if held else None, frame, marginals, missing)


def _marginal(column: Column, present: "pd.Series[float]", decimals: int) -> MarginalStatistics:
    counts = present.value_counts()
    common = counts[counts >= FEWEST_IN_CELL]
    if isinstance(column, CategoryColumn) or (len(common) <= MOST_VALUES and common.sum() >= (1 - MOST_RARE) * len(present)):
        return _shares(present.map(lambda value: _as_text(column, value, decimals)))
    ordered = np.sort(present.to_numpy())
    inner = ordered[FEWEST_IN_CELL - 1 : len(ordered) - FEWEST_IN_CELL + 1]
    quantiles = max(2, min(QUANTILES, len(ordered) // FEWEST_IN_CELL + 1))  # between two of them lie enough rows
    cuts = np.quantile(ordered, np.linspace(0, 1, quantiles), method="hazen").clip(inner[0], inner[-1])
    if isinstance(column, DateColumn):
        return tuple(date.fromordinal(round(cut)).isoformat() for cut in cuts)
    return tuple(round(float(cut), decimals + 1) for cut in cuts)


def _as_text(column: Column, value: float, decimals: int) -> str:
    if isinstance(column, CategoryColumn):
        return column.texts[int(value)]
    if isinstance(column, DateColumn):
        return date.fromordinal(int(value)).isoformat()
    return f"{value:.{decimals}f}"


def _shares(values: pd.Series) -> dict[str, float]:
    """Return the share of each value that enough rows hold."""
    counts = values.value_counts()
    common = counts[counts >= FEWEST_IN_CELL]
    return {str(value): round(float(count) / int(common.sum()), 4) for value, count in common.items()}


def _numbers(column: Column, values: pd.Series) -> "pd.Series[float]":
    if isinstance(column, CategoryColumn):
        return values.map({text: float(i) for i, text in enumerate(column.texts)}).astype("float64")
    if isinstance(column, DateColumn):
        days = values.to_numpy().astype("datetime64[D]")
        return pd.Series(np.where(np.isnat(days), np.nan, days.astype(np.int64) + float(_EPOCH)), index=values.index)
    return values.astype("float64")


def _decimals(values: "pd.Series[float]") -> int:
    """Return how many decimals the numbers of a column have, at most 6."""
    present = values.dropna()
    return next((places for places in range(6) if np.allclose(present, present.round(places), rtol=0, atol=1e-9)), 6)
