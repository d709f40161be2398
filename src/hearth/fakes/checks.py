"""Statistics against their contract: whatever can be drawn from them keeps it."""

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import pairwise

from hearth.contracts import CategoryColumn, Column, Contract, DateColumn, IdentifierColumn, IntegerColumn
from hearth.fakes.statistics import MISSING, MarginalStatistics, Statistics, StratumStatistics, ordered_values

Mistake = tuple[str, str]
"""Where in the file, and what is wrong there."""

_TOLERANCE = 0.01  # shares are rounded


def find_mistake(contract: Contract, statistics: Statistics) -> Mistake | None:
    """Return key and reason of the first thing in which the statistics and the contract disagree."""
    if statistics.about.dataset != contract.name:
        return "about.dataset", f"is {statistics.about.dataset!r}, but the data set is {contract.name!r}"
    if statistics.columns.keys() != contract.columns.keys():
        return "columns", f"must be those of the contract; differing: {listed(statistics.columns.keys() ^ contract.columns.keys())}"
    for name, column in contract.columns.items():
        if isinstance(column, IdentifierColumn) and (reason := _lengths_mistake(statistics.columns[name].lengths)):
            return f"columns.{name}.lengths", reason
    for number, stratum in enumerate(statistics.strata):
        if mistake := _stratum_mistake(contract, stratum):
            return f"strata.{number}.{mistake[0]}", mistake[1]
    return None


def _stratum_mistake(contract: Contract, stratum: StratumStatistics) -> Mistake | None:
    drawn = {name for name, column in contract.columns.items() if not isinstance(column, IdentifierColumn)}
    if stratum.target is None:
        drawn.discard(contract.target.column)
        if not contract.columns[contract.target.column].nullable:
            return "target", f"is null, but {contract.target.column!r} is not nullable"
    if stratum.marginals.keys() != drawn:
        return "marginals", f"must be those of the contract; differing: {listed(stratum.marginals.keys() ^ drawn)}"
    for name, marginal in stratum.marginals.items():
        if reason := _marginal_mistake(contract.columns[name], marginal):
            return f"marginals.{name}", reason
    return _missing_mistake(contract, stratum) or _dependence_mistake(stratum)


def _missing_mistake(contract: Contract, stratum: StratumStatistics) -> Mistake | None:
    for name, share in stratum.missing.items():
        if name not in stratum.marginals or not contract.columns[name].nullable or name == contract.target.column:
            return f"missing.{name}", "is no nullable column of the contract, or is the target, which has a stratum of its own when missing"
        if not 0 < share < 1:
            return f"missing.{name}", f"must be a share between 0 and 1, got {share:g}"
    return None


def _dependence_mistake(stratum: StratumStatistics) -> Mistake | None:
    variables = stratum.marginals.keys() | {f"{MISSING}{name}" for name in stratum.missing}
    for first, others in stratum.dependence.items():
        for second, correlation in others.items():
            key = f"dependence.{first}.{second}"
            if not {first, second} <= variables or first == second:
                return key, "must name two different variables of the stratum"
            if first in stratum.dependence.get(second, {}):
                return key, "is given twice, in both orders"
            if abs(correlation) >= 1:
                return key, f"must lie between -1 and 1, got {correlation:g}"
    return None


def _marginal_mistake(column: Column, marginal: MarginalStatistics) -> str | None:
    try:
        values = ordered_values(column, marginal)
    except ValueError as error:
        return str(error)
    low, high = _range(column)
    if outside := [text for text, value in zip(marginal, values, strict=True) if not low <= value <= high]:
        return f"{outside[0]!r} is not {column.expected}"
    if isinstance(marginal, dict):
        if isinstance(column, IntegerColumn) and (broken := [text for text in marginal if float(text) % 1]):
            return f"{broken[0]!r} is not {column.expected}"
        return _shares_mistake(list(marginal.values()))
    if len(marginal) < 2 or any(first > second for first, second in pairwise(values)):  # noqa: PLR2004 - both ends
        return "quantiles must be two or more and must not fall"
    return "a category has shares, not quantiles" if isinstance(column, CategoryColumn) else None


def _range(column: Column) -> tuple[float, float]:
    if isinstance(column, CategoryColumn):
        return 0, len(column.categories) - 1
    if isinstance(column, DateColumn):
        return (column.minimum or date.min).toordinal(), (column.maximum or date.max).toordinal()
    if isinstance(column, IdentifierColumn):
        raise TypeError("an identifier has no marginal")
    return column.minimum, column.maximum


def _lengths_mistake(lengths: dict[str, float] | None) -> str | None:
    if not lengths or not all(length.isdecimal() and int(length) > 0 for length in lengths):
        return "must give the share of each length of the identifier, such as 24"
    return _shares_mistake(list(lengths.values()))


def _shares_mistake(shares: Sequence[float]) -> str | None:
    if min(shares, default=-1) < 0 or abs(sum(shares) - 1) > _TOLERANCE:
        return f"shares must be 0 or more and add up to 1, got a sum of {sum(shares):g}"
    return None


def listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in sorted(names))
