"""Draw fake rows from the statistics of a data set."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.special import ndtr

from hearth.contracts import CategoryColumn, Column, Contract, DateColumn, IdentifierColumn, IntegerColumn
from hearth.errors import InvalidStatistics
from hearth.fakes.loading import read_statistics
from hearth.fakes.statistics import FILE_NAME, MISSING, MarginalStatistics, Statistics, StratumStatistics, ordered_values
from hearth.settings import get_settings

Floats = npt.NDArray[np.float64]

_NEGATIVE = -0.01  # rounded correlations may leave an eigenvalue just below zero
_EPOCH = 719_163  # the ordinal of 1970-01-01, from which numpy counts days


@dataclass(frozen=True, eq=False)
class Marginal:
    """The distribution of one variable: a step function over `probabilities`, or a line through them.

    `values` are numbers in rising order: category positions, day ordinals, 0 and 1 for "missing".
    """

    values: Floats
    probabilities: Floats
    is_table: bool

    def at(self, probability: Floats) -> Floats:
        """Return the value below which this share of the rows lies."""
        if self.is_table:
            return self.values[np.searchsorted(self.probabilities[:-1], probability, side="right")]
        return np.interp(probability, self.probabilities, self.values)


@dataclass(frozen=True, eq=False)
class Stratum:
    """One part of the mixture, ready to draw from: `factor` times independent normals has the correlations of its variables."""

    variables: tuple[str, ...]
    marginals: tuple[Marginal, ...]
    factor: Floats

    def draw(self, normals: Floats) -> dict[str, Floats]:
        """Turn independent normals, one row each and one column for each variable, into values."""
        probabilities = ndtr(normals @ self.factor.T)
        return {name: self.marginals[i].at(probabilities[:, i]) for i, name in enumerate(self.variables)}


@dataclass(frozen=True, eq=False)
class FakeRecords:
    """The frozen statistics of one data set, and fake rows drawn from them."""

    contract: Contract
    statistics: Statistics
    strata: tuple[Stratum, ...]

    @classmethod
    def load(cls, contract: Contract, data_dir: Path | None = None) -> Self:
        """Read `<data_dir>/<name>/statistics.json`.

        Raises:
            InvalidStatistics: the file has a mistake, or there is none.
        """
        path = (get_settings().data_dir if data_dir is None else data_dir) / contract.name / FILE_NAME
        return cls.of(contract, read_statistics(contract, path), path)

    @classmethod
    def of(cls, contract: Contract, statistics: Statistics, path: Path = Path(FILE_NAME)) -> Self:
        """Make them of statistics that fit the contract; `path` is what errors call them.

        Raises:
            InvalidStatistics: correlations contradict each other.
        """
        strata = []
        for number, stratum in enumerate(statistics.strata):
            try:
                strata.append(build_stratum(contract, stratum))
            except ValueError as error:
                raise InvalidStatistics(path, f"strata.{number}.dependence", str(error)) from error
        return cls(contract, statistics, tuple(strata))

    def frame(self, rows: int, seed: int) -> pd.DataFrame:
        """Draw rows as the raw file would hold them, all columns in contract order; the same seed gives the same rows.

        Texts are `str`, dates are ISO texts, whole numbers and codes are int64 (Int64 where the contract allows missing values), other
        numbers float64; missing values are NaN.
        """
        drawn, generator = self._draw(rows, seed)
        columns = {}
        for name, column in self.contract.columns.items():
            statistics = self.statistics.columns[name]
            if isinstance(column, IdentifierColumn):
                columns[name] = pd.Series(_identifiers(generator, rows, statistics.lengths or {}), dtype="str")
            else:
                columns[name] = _raw(column, drawn[name], statistics.decimals)
        return pd.DataFrame(columns)

    def records(self, rows: int, seed: int) -> list[dict[str, object]]:
        """Draw the features of the same rows as JSON-ready values: None for missing, int for whole numbers."""
        return [record for record, _ in self.records_with_targets(rows, seed)]

    def records_with_targets(self, rows: int, seed: int) -> list[tuple[dict[str, object], object]]:
        """Draw the same records, each with what the target column holds for it: None where it is missing."""
        drawn, _ = self._draw(rows, seed)
        names = self.contract.feature_names
        *features, targets = (self._values(name, drawn[name]) for name in (*names, self.contract.target.column))
        records = [dict(zip(names, row, strict=True)) for row in zip(*features, strict=True)]
        return list(zip(records, targets, strict=True))

    def _values(self, name: str, drawn: Floats) -> list[object]:
        values = _raw(self.contract.columns[name], drawn, self.statistics.columns[name].decimals)
        return list(values.astype("object").where(values.notna(), None).tolist())

    def _draw(self, rows: int, seed: int) -> tuple[dict[str, Floats], np.random.Generator]:
        """Return the values of every column but identifiers, as numbers, and the generator that made them."""
        generator = np.random.default_rng(seed)
        sizes = np.array([stratum.rows for stratum in self.statistics.strata], dtype=np.float64)
        chosen = generator.choice(len(sizes), size=rows, p=sizes / sizes.sum())
        drawn = {name: np.full(rows, np.nan) for name in self.contract.columns}
        for number, stratum in enumerate(self.strata):
            places = np.flatnonzero(chosen == number)
            values = stratum.draw(generator.standard_normal((len(places), len(stratum.variables))))
            missing = {name.removeprefix(MISSING): values.pop(name) for name in stratum.variables if name.startswith(MISSING)}
            for name, column in values.items():
                drawn[name][places] = column
            for name, is_missing in missing.items():
                drawn[name][places[is_missing == 1]] = np.nan
        return drawn, generator


def build_stratum(contract: Contract, statistics: StratumStatistics) -> Stratum:
    """Make a stratum ready to draw from.

    Raises:
        ValueError: no variables can depend on each other like that.
    """
    marginals = {
        name: _marginal(contract.columns[name], statistics.marginals[name]) for name in contract.columns if name in statistics.marginals
    }
    for name in contract.columns:
        if name in statistics.missing:
            marginals[f"{MISSING}{name}"] = Marginal(np.array([0.0, 1.0]), np.array([1 - statistics.missing[name], 1.0]), is_table=True)
    variables = tuple(marginals)
    correlations = np.eye(len(variables))
    for first, others in statistics.dependence.items():
        for second, correlation in others.items():
            i, j = variables.index(first), variables.index(second)
            correlations[i, j] = correlations[j, i] = correlation
    return Stratum(variables, tuple(marginals.values()), correlation_factor(correlations))


def correlation_factor(correlations: Floats) -> Floats:
    """Return F so that F @ F.T is the matrix.

    Raises:
        ValueError: it is no correlation matrix.
    """
    eigenvalues, vectors = np.linalg.eigh(correlations)
    if eigenvalues[0] < _NEGATIVE:
        message = f"the correlations contradict each other (smallest eigenvalue {eigenvalues[0]:.3f}, expected 0 or more)"
        raise ValueError(message)
    factor = vectors * np.sqrt(np.clip(eigenvalues, 0, None))
    return np.asarray(factor / np.linalg.norm(factor, axis=1, keepdims=True), dtype=np.float64)


def _marginal(column: Column, marginal: MarginalStatistics) -> Marginal:
    values = np.array(ordered_values(column, marginal), dtype=np.float64)
    if not isinstance(marginal, dict):
        return Marginal(values, np.linspace(0, 1, len(values)), is_table=False)
    order = np.argsort(values)
    shares = np.array(list(marginal.values()), dtype=np.float64)[order]
    return Marginal(values[order], np.cumsum(shares) / shares.sum(), is_table=True)


def _raw(column: Column, values: Floats, decimals: int | None) -> pd.Series:
    """Give the numbers of a column the form that they have in a raw file."""
    missing = np.isnan(values)
    if isinstance(column, CategoryColumn):
        if column.holds_numbers:
            codes = pd.Series(np.array(column.categories)[np.where(missing, 0, values).astype(np.int64)])
            return codes.astype("Int64").mask(missing) if column.nullable else codes
        names = np.array([*column.categories, None], dtype=object)
        return pd.Series(names[np.where(missing, -1, values).astype(np.int64)], dtype="str")
    if isinstance(column, DateColumn):
        days = (np.where(missing, _EPOCH, np.rint(values)).astype(np.int64) - _EPOCH).astype("datetime64[D]")
        return pd.Series(days.astype(str).astype(object), dtype="str").mask(missing)
    if isinstance(column, IntegerColumn):
        whole = pd.Series(
            np.where(missing, 0, np.clip(np.rint(values), np.ceil(column.minimum), np.floor(column.maximum))).astype(np.int64)
        )
        return whole.astype("Int64").mask(missing) if column.nullable else whole
    if isinstance(column, IdentifierColumn):
        raise TypeError("an identifier is not drawn from a marginal")
    rounded = values if decimals is None else np.round(values, decimals)
    return pd.Series(np.clip(rounded, column.minimum, column.maximum) + 0.0)  # -0.0 becomes 0.0


def _identifiers(generator: np.random.Generator, rows: int, lengths: dict[str, float]) -> list[str]:
    sizes, shares = np.array([int(length) for length in lengths]), np.array(list(lengths.values()))
    chosen = generator.choice(sizes, size=rows, p=shares / shares.sum()).tolist()
    longest = int(sizes.max())
    digits = generator.bytes((rows * longest + 1) // 2).hex()
    return [digits[row * longest : row * longest + chosen[row]] for row in range(rows)]
