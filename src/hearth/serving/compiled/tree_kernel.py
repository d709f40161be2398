"""The imputer and the loop over the tables of trees, as machine code: from columns to classes and probabilities in one call.

One call, because beside a busy server all code and tables that a record touches have left the processor's caches: a microsecond in a tight
loop is five between two requests. All machine code is in this file, because numba looks only at the file of a function when it decides
whether its cached code is still that of the source.

The imputer adds products in the order of the columns, so a record gets the same values alone and among others. scikit-learn leaves the
order to BLAS, where it depends on the processor and on the number of records; these agree with its to rounding, which trees do not see.
"""

from collections.abc import Callable
from enum import IntEnum
from functools import cache
from math import exp, isnan
from typing import Any

import numpy as np
from numba import njit, types
from numba.core.cgutils import true_bit
from numba.extending import intrinsic, register_jitable

from hearth.serving.compiled.imputer_table import COLUMN, HIGH, INTERCEPT, LOW, NO_IMPUTER, WEIGHTS
from hearth.serving.compiled.tree_tables import TreeTables


class Link(IntEnum):
    """How the sums of leaf values become probabilities, in LightGBM's own operations and their order."""

    NONE = 0
    SOFTMAX = 1
    LOGISTIC = 2


def walk(
    tables: TreeTables, link: Link, numbers: np.ndarray, codes: np.ndarray, imputer: np.ndarray = NO_IMPUTER
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the best classes (n,) intp and the probabilities (n, classes) of n records; None if a number is missing and none is imputed.

    Args:
        tables: of the trees.
        link: with NONE the sums of leaf values (n, outputs) are returned as probabilities, and all classes are 0.
        numbers: (n, p) float64.
        codes: (n, c) intp.
        imputer: the table of the imputer, whose values are imputed before the trees see the numbers.
    """
    out = np.empty((len(numbers), 2 if link is Link.LOGISTIC else tables.outputs))
    chosen = np.zeros(len(numbers), np.intp)
    complete = _machine_code()(
        numbers,
        codes,
        imputer,
        tables.thresholds,
        tables.first_threshold,
        tables.masks,
        tables.first_mask,
        tables.leaf_values,
        tables.outputs,
        int(link),
        out,
        chosen,
    )
    return (chosen, out) if complete else None


@cache
def _machine_code() -> Callable[..., bool]:
    """Return the machine code of `_walk`; it is cached beside this file, or in numba's own folder, if that is writable."""
    try:
        compiled: Callable[..., bool] = njit(nogil=True, cache=True)(_walk)
    except RuntimeError:  # a read-only file system: each process compiles for a second
        compiled = njit(nogil=True)(_walk)
    return compiled


@register_jitable
def _is_missing(values: np.ndarray) -> bool:
    """Whether one of the numbers of a record is missing."""
    for column in range(values.shape[0]):  # noqa: SIM110 - numba has no generators
        if isnan(values[column]):
            return True
    return False


@register_jitable
def _impute_row(values: np.ndarray, table: np.ndarray, out: np.ndarray) -> None:
    """Write the numbers of a record, (p,), into `out`, with the missing ones imputed."""
    width = values.shape[0]
    for column in range(width):
        out[column] = table[0, WEIGHTS + column] if isnan(values[column]) else values[column]
    for step in range(1, table.shape[0]):
        column = int(table[step, COLUMN])
        if isnan(values[column]):
            total = 0.0
            for other in range(width):
                total += out[other] * table[step, WEIGHTS + other]
            out[column] = min(max(total + table[step, INTERCEPT], table[step, LOW]), table[step, HIGH])


@intrinsic
def _lowest_bit(_: Any, word: Any) -> Any:  # noqa: ANN401 - numba's types
    """The position of the lowest set bit, which must exist; one instruction."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:  # noqa: ANN401 - as above
        return context.cast(builder, builder.cttz(arguments[0], true_bit), word, types.uint64)

    return types.uint64(word), generate


def _walk(numbers, codes, imputer, thresholds, first_threshold, masks, first_mask, leaf_values, outputs, link, out, chosen):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, C901, PLR0912, PLR0913, PLR0917 - numba infers the types; one loop, without calls
    rows, width = numbers.shape
    trees = masks.shape[1]
    if imputer.shape[0] == 0:
        for row in range(rows):
            if _is_missing(numbers[row]):
                return False
    possible = np.empty(trees, masks.dtype)
    filled = np.empty(width, np.float64)
    for row in range(rows):
        values = numbers[row]
        if _is_missing(values):
            _impute_row(values, imputer, filled)
            values = filled
        for column in range(first_mask.shape[0]):
            if column < width:
                value = values[column]
                low, high = first_threshold[column], first_threshold[column + 1]
                while low < high:
                    middle = (low + high) >> 1
                    if thresholds[middle] < value:
                        low = middle + 1
                    else:
                        high = middle
                mask = masks[first_mask[column] + low - first_threshold[column]]
            else:
                mask = masks[first_mask[column] + codes[row, column - width]]
            if column == 0:
                for tree in range(trees):
                    possible[tree] = mask[tree]
            else:
                for tree in range(trees):
                    possible[tree] &= mask[tree]
        for output in range(outputs):
            total = 0.0
            for tree in range(output, trees, outputs):
                total += leaf_values[tree, _lowest_bit(possible[tree])]  # type: ignore[call-arg]  # numba gives the first
            out[row, output] = total
        if link == 1:
            best = 0
            for output in range(1, outputs):
                if out[row, output] > out[row, best]:
                    best = output
            largest = out[row, best]
            total = 0.0
            for output in range(outputs):
                out[row, output] = exp(out[row, output] - largest)
                total += out[row, output]
            for output in range(outputs):
                out[row, output] /= total
            chosen[row] = best
        elif link == 2:  # noqa: PLR2004 - LOGISTIC, whose name numba would look up in each call
            out[row, 1] = 1.0 / (1.0 + exp(-out[row, 0]))
            out[row, 0] = 1.0 - out[row, 1]
            chosen[row] = 1 if out[row, 1] > out[row, 0] else 0
    return True
