"""What is unusual, as machine code: from columns to scores in one call, so that one record costs what it costs in bulk.

The operations are those of `hearth.modelling.unusual.Unusual.raw_scores`, up to the order of sums.
"""

from collections.abc import Callable, Sequence
from functools import cache
from math import inf, isnan

import numpy as np
from numba import njit

from hearth.contracts import Contract
from hearth.contracts.record_parser import Columns
from hearth.modelling.unusual import RARE_SHARE, Unusual, UnusualColumn, UnusualRecord

_RARE_TOGETHER = float(np.log(10))  # a pair of values that is ten times rarer than by chance is named
_MOST_NAMED = 20  # columns of a record: with more of them it is another kind of record, and an answer would be all about it


class UnusualScorer:
    """Tells how unlike the train set records are. Threads may share one."""

    def __init__(self, unusual: Unusual, contract: Contract) -> None:
        """`contract` has the texts of each category, and says which columns are personal: of these only the name is told."""
        self._unusual, self._texts = unusual, list(contract.categorical_features.values())
        self._personal = contract.personal_columns
        numbers = unusual.numbers
        pairs = unusual.dependences
        single = [np.asarray(column.surprise) for column in unusual.columns]
        tables = [np.asarray(pair.surprise) for pair in pairs]
        self._tables = (
            np.array([(number.low, number.high, number.mean, number.std) for number in numbers]).reshape(len(numbers), 4),
            _flat([np.asarray(number.cuts) for number in numbers]),
            _starts([len(number.cuts) for number in numbers]),
            _flat(single),
            _starts([len(values) for values in single]),
            _flat([np.asarray(category.bin_of) for category in unusual.categories]).astype(np.intp),
            _starts([len(category.bin_of) for category in unusual.categories]),
            np.array([(pair.first, pair.second, unusual.columns[pair.second].bins) for pair in pairs], np.intp).reshape(len(pairs), 3),
            _flat(tables),
            _starts([len(values) for values in tables]),
            np.reshape(unusual.precision, (len(numbers), len(numbers))) if unusual.precision else np.empty((0, 0)),
        )

    def raw_scores(self, columns: Columns) -> np.ndarray:
        """Return the negative log densities, (n,), in nats."""
        out = np.empty(len(columns))
        # Arrays of another layout would be compiled for anew
        _machine_code()(np.ascontiguousarray(columns.numbers), np.ascontiguousarray(columns.codes), *self._tables, out)
        return out

    def scores(self, columns: Columns) -> tuple[np.ndarray, np.ndarray]:
        """Return the scores, (n,) float64 from 0 to 1, and which records are unusual, (n,) bool."""
        raw = self.raw_scores(columns)
        return self._unusual.scores(raw), raw > self._unusual.threshold

    def records(self, columns: Columns) -> list[UnusualRecord]:
        """Return for each record its score, and the columns (the first `_MOST_NAMED`) and combinations that are unusual in it."""
        scores, unusual = self.scores(columns)
        strange = self._strange_columns(columns)
        pairs = self._rare_pairs(columns, np.flatnonzero(unusual))
        return [
            UnusualRecord(score, is_unusual, tuple(strange.get(row, ())[:_MOST_NAMED]), _without(strange.get(row, ()), pairs.get(row, ())))
            for row, (score, is_unusual) in enumerate(zip(scores.tolist(), unusual.tolist(), strict=True))
        ]

    def _strange_columns(self, columns: Columns) -> dict[int, list[UnusualColumn]]:
        found: dict[int, list[UnusualColumn]] = {}
        ranges = self._tables[0]
        outside = (columns.numbers < ranges[:, 0]) | (columns.numbers > ranges[:, 1])
        for row, place in np.argwhere(outside).tolist():
            number = self._unusual.numbers[place]
            value = float(columns.numbers[row, place])
            found.setdefault(row, []).append(self._without_personal(UnusualColumn(number.name, value, low=number.low, high=number.high)))
        for place, category in enumerate(self._unusual.categories):
            shares = np.array([*category.shares, 1.0])  # a missing value is not rare
            for row in np.flatnonzero(shares[columns.codes[:, place]] < RARE_SHARE).tolist():
                code = int(columns.codes[row, place])
                strange = UnusualColumn(category.name, self._texts[place][code], share=category.shares[code])
                found.setdefault(row, []).append(self._without_personal(strange))
        return found

    def _without_personal(self, strange: UnusualColumn) -> UnusualColumn:
        """Return the column without its value and what the train set has, if it is personal: the ends of a range are somebody's values."""
        return UnusualColumn(strange.name, None) if strange.name in self._personal else strange

    def _rare_pairs(self, columns: Columns, rows: np.ndarray) -> dict[int, list[tuple[str, str]]]:
        if not len(rows):
            return {}
        found: dict[int, list[tuple[str, str]]] = {}
        names = [column.name for column in self._unusual.columns]
        bins = self._unusual.bins(Columns(columns.numbers[rows], columns.codes[rows]))
        for pair in self._unusual.dependences:
            first, second = bins[pair.first], bins[pair.second]
            known = (first >= 0) & (second >= 0)
            surprise = np.asarray(pair.surprise)[np.where(known, first * self._unusual.columns[pair.second].bins + second, 0)]
            for row in rows[known & (surprise > _RARE_TOGETHER)].tolist():
                found.setdefault(row, []).append((names[pair.first], names[pair.second]))
        return found


def _without(strange: Sequence[UnusualColumn], pairs: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the pairs without a value that is strange by itself."""
    names = {column.name for column in strange}
    return tuple(pair for pair in pairs if not names.intersection(pair))


def _flat(arrays: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0), *arrays])


def _starts(sizes: list[int]) -> np.ndarray:
    return np.cumsum([0, *sizes], dtype=np.intp)


@cache
def _machine_code() -> Callable[..., None]:
    """Return the machine code of `_score`; it is cached beside this file, or in numba's own folder, if that is writable."""
    try:
        compiled: Callable[..., None] = njit(nogil=True, cache=True)(_score)
    except RuntimeError:  # a read-only file system: each process compiles for a second
        compiled = njit(nogil=True)(_score)
    return compiled


def _score(numbers, codes, ranges, cuts, first_cut, single, first_single, bin_of, first_bin, pairs, together, first_pair, precision, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, C901, PLR0912, PLR0913, PLR0917 - numba infers the types; one loop, without calls
    rows, width = numbers.shape
    features = width + codes.shape[1]
    bins = np.empty(features, np.intp)
    z = np.zeros(width)
    for row in range(rows):
        total = 0.0
        for column in range(features):
            start, size = first_single[column], first_single[column + 1] - first_single[column]
            if column < width:
                value = numbers[row, column]
                z[column] = 0.0
                if isnan(value):
                    bins[column] = -1
                    continue
                z[column] = (value - ranges[column, 2]) / ranges[column, 3]
                if value < ranges[column, 0]:
                    bin_ = 0
                elif value > ranges[column, 1]:
                    bin_ = size - 1
                else:
                    low, high = first_cut[column], first_cut[column + 1]
                    while low < high:
                        middle = (low + high) >> 1
                        if cuts[middle] < value:
                            low = middle + 1
                        else:
                            high = middle
                    bin_ = 1 + low - first_cut[column]
                bins[column] = bin_
                total += single[start + bin_]
            else:
                code = codes[row, column - width]
                if code >= size:
                    bins[column] = -1
                    continue
                bins[column] = bin_of[first_bin[column - width] + code]
                total += single[start + code]
        for pair in range(pairs.shape[0]):
            first, second = bins[pairs[pair, 0]], bins[pairs[pair, 1]]
            if first >= 0 and second >= 0:
                total += together[first_pair[pair] + first * pairs[pair, 2] + second]
        distance = 0.0
        for column in range(width):
            if z[column] != 0.0:
                weighted = 0.0 if precision.size else z[column]  # without a matrix the numbers are taken as independent
                for other in range(precision.shape[0]):
                    weighted += precision[column, other] * z[other]
                distance += weighted * z[column]
        total += 0.5 * distance
        out[row] = inf if isnan(total) else total
