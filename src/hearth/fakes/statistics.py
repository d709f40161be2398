"""What `data/<name>/statistics.json` holds: aggregates of a real file, from which fake rows are drawn.

The rows are sorted into strata by their target. In each stratum every column has a marginal, either the shares of its values or
quantiles at even steps of probability, and the columns depend on each other by a Gaussian copula: `dependence` holds the correlations of
the normal scores that are not zero. That a value is missing is a variable of the copula too, named "missing:" and the column.
"""

from datetime import date

from pydantic import BaseModel, ConfigDict, Field

from hearth.contracts import CategoryColumn, Column, DateColumn

FILE_NAME = "statistics.json"
MISSING = "missing:"
FEWEST_ROWS = 100
"""A stratum of fewer rows would say too much about single people."""

MarginalStatistics = dict[str, float] | tuple[float | str, ...]
"""The share of each value, or quantiles."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class About(_Part):
    """How the statistics came to be."""

    dataset: str
    how: str
    measured_on: date
    rows: int = Field(ge=FEWEST_ROWS)


class ColumnStatistics(_Part):
    """What holds for a column in all strata: the decimals of a number, the share of each length of an identifier."""

    decimals: int | None = Field(None, ge=0, le=9)
    lengths: dict[str, float] | None = None


class StratumStatistics(_Part):
    """Rows whose target lies between two bounds, both included; no bounds for the rows whose target is missing."""

    target: tuple[float, float] | None
    rows: int = Field(ge=FEWEST_ROWS)
    marginals: dict[str, MarginalStatistics]
    missing: dict[str, float]
    dependence: dict[str, dict[str, float]]


class Statistics(_Part):
    """One data set."""

    about: About
    columns: dict[str, ColumnStatistics]
    strata: tuple[StratumStatistics, ...] = Field(min_length=1)


def ordered_values(column: Column, marginal: MarginalStatistics) -> list[float]:
    """Return the values of a marginal as numbers: positions of categories, days since year 1 of dates.

    Raises:
        ValueError: a value is not of the column's kind.
    """
    return [_as_number(column, value) for value in marginal]


def _as_number(column: Column, value: float | str) -> float:
    if isinstance(column, CategoryColumn):
        if value not in column.texts:
            message = f"{value!r} is not {column.expected}"
            raise ValueError(message)
        return column.texts.index(str(value))
    if isinstance(column, DateColumn):
        return date.fromisoformat(str(value)).toordinal()
    return float(value)
