"""The vote of the nearest rows as machine code."""

from collections.abc import Callable
from functools import cache
from math import sqrt
from typing import Any

import numpy as np
from numba import njit
from numba.extending import register_jitable

LAYERS = 16  # distances that are compared with the limit at once
_SPARE = 1_024  # rows beside the neighbours that may be looked at again; with more, scikit-learn answers
FAR = 3e38  # of no row
_LARGEST = 1e30  # squared distances beyond this are no float32


def vote(*arguments: Any) -> None:  # noqa: ANN401 - see _vote
    """Write the probabilities of records into `out`, and into `unsure` which of them scikit-learn must answer.

    Args:
        arguments: distances (n, rows) float32, squared, less the record's own square, with FAR behind them up to a multiple of LAYERS;
            margins (n,) of their errors; records (n, p); rows (rows, p) and their classes (rows,) intp; the number of neighbours; whether
            they count by distance; whether a distance of 0 is exact in scikit-learn; the tolerance of ties; out (n, classes) zeros;
            unsure (n,) bool.
    """
    _machine_code()(*arguments)


@cache
def _machine_code() -> Callable[..., None]:
    """Return the machine code of `_vote`; it is cached beside this file, or in numba's own folder, if that is writable."""
    try:
        compiled: Callable[..., None] = njit(nogil=True, cache=True)(_vote)
    except RuntimeError:  # a read-only file system: each process compiles for a second
        compiled = njit(nogil=True)(_vote)
    return compiled


@register_jitable
def _set_lowest(values: np.ndarray, lows: np.ndarray) -> None:
    """Write the smallest of each group into `lows`: group g has the values g, g + groups, g + 2 groups ..., LAYERS of them."""
    groups = lows.shape[0]
    lows[:] = values[:groups]
    for layer in range(1, LAYERS):
        part = values[layer * groups : (layer + 1) * groups]
        for group in range(groups):  # vector instructions
            lows[group] = part[group] if part[group] < lows[group] else lows[group]  # noqa: FURB136 - min() would look for NaN


@register_jitable
def _replace_largest(heap: np.ndarray, value: float) -> None:
    """Put a value in the place of the largest, which is the first of the heap."""
    place, size = 0, heap.shape[0]
    while True:
        child = 2 * place + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= value:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = value


@register_jitable
def _near_limit(lows: np.ndarray, heap: np.ndarray) -> float:
    """Return the k-th smallest of the groups' smallest values, so that at least k values are up to it; `heap` has k places."""
    heap[:] = _LARGEST
    for group in range(lows.shape[0]):
        if lows[group] < heap[0]:
            _replace_largest(heap, lows[group])
    limit: float = heap[0]
    return limit


@register_jitable
def _rows_within(values: np.ndarray, lows: np.ndarray, limit: float, found: np.ndarray) -> int:
    """Write the rows with values up to a limit into `found`, and return their number; one more than `found` has places: too many."""
    count = 0
    groups = lows.shape[0]
    for group in range(groups):
        if lows[group] <= limit:
            for place in range(group, values.shape[0], groups):
                if values[place] <= limit:
                    if count == found.shape[0]:
                        return count + 1
                    found[count] = place
                    count += 1
    return count


@register_jitable
def _squared_distance(record: np.ndarray, row: np.ndarray) -> float:
    total = 0.0
    for column in range(record.shape[0]):
        difference = record[column] - row[column]
        total += difference * difference
    return total


@register_jitable
def _is_ambiguous(distances: np.ndarray, order: np.ndarray, classes: np.ndarray, neighbours: int, tie: float) -> bool:
    """Whether rows of several classes are equally near to the last place, and not all of them get one."""
    last = distances[order[neighbours - 1]]
    width = tie * (1.0 + last)
    if neighbours == order.shape[0] or distances[order[neighbours]] > last + width:
        return False
    kind = classes[order[neighbours - 1]]
    for place in range(order.shape[0]):  # noqa: SIM110 - numba has no generators
        if abs(distances[order[place]] - last) <= width and classes[order[place]] != kind:
            return True
    return False


def _vote(found, margins, records, rows, classes, neighbours, by_distance, zero_is_exact, tie, out, unsure):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, PLR0913, PLR0917 - numba infers the types; one loop
    heap = np.empty(neighbours, np.float32)
    lows = np.empty(found.shape[1] // LAYERS, np.float32)
    near = np.empty(neighbours + _SPARE, np.intp)
    for record in range(found.shape[0]):
        if not margins[record] < _LARGEST:
            unsure[record] = True
            continue
        _set_lowest(found[record], lows)
        limit = np.float64(_near_limit(lows, heap)) + 2 * margins[record]
        count = _rows_within(found[record], lows, limit, near)
        if count > near.shape[0] or count < neighbours:
            unsure[record] = True
            continue
        distances = np.empty(count, np.float64)
        kinds = np.empty(count, np.intp)
        for place in range(count):
            distances[place] = _squared_distance(records[record], rows[near[place]])
            kinds[place] = classes[near[place]]
        order = np.argsort(distances)
        nearest = distances[order[0]]
        if _is_ambiguous(distances, order, kinds, neighbours, tie) or (by_distance and not zero_is_exact and nearest <= tie):
            unsure[record] = True
            continue
        total = 0.0
        for place in range(neighbours):
            distance = distances[order[place]]
            weight = 1.0
            if by_distance:
                weight = 1.0 / sqrt(distance) if nearest > 0.0 else (1.0 if distance == 0.0 else 0.0)
            out[record, kinds[order[place]]] += weight
            total += weight
        for kind in range(out.shape[1]):
            out[record, kind] /= total
