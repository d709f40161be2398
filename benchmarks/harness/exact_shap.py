"""Exact Shapley values of a model's probabilities: every coalition of the columns is scored, for every background row."""

from functools import partial
from math import factorial

import numpy as np

from hearth.contracts.record_parser import Columns
from hearth.serving.compiled.scorer import CompiledScorer

_CHUNK_ROWS = 50_000


def exact_contributions(scorer: CompiledScorer, record: np.ndarray, background: np.ndarray, numbers: int) -> np.ndarray:
    """Return the contributions (columns, classes) of a record (columns,), averaged over background rows (rows, columns).

    Tables have `numbers` numbers first and codes of categories after them. Columns that are equal in record and row contribute nothing,
    so 2^d rows are scored for the d columns that differ.
    """
    total = np.zeros((len(record), len(scorer.score_columns(_columns(background[:1], numbers)).classes)))
    waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    add = partial(_add, scorer, numbers, total)
    for row in background:
        places = np.flatnonzero((record != row) & ~(np.isnan(record) & np.isnan(row)))
        members = (np.arange(2 ** len(places))[:, None] >> np.arange(len(places)) & 1).astype(bool)  # (coalitions, differing columns)
        table = np.repeat(row[None], len(members), axis=0)
        table[:, places] = np.where(members, record[places], row[places])
        waiting.append((places, members, table))
        if sum(len(each[2]) for each in waiting) > _CHUNK_ROWS:
            add(waiting)
            waiting = []
    add(waiting)
    return total / len(background)


def _add(scorer: CompiledScorer, numbers: int, total: np.ndarray, waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> None:
    if not waiting:
        return
    outputs = scorer.score_columns(_columns(np.concatenate([table for _, _, table in waiting]), numbers)).probabilities
    start = 0
    for places, members, table in waiting:
        here, start = outputs[start : start + len(table)], start + len(table)
        count, sizes = len(places), members.sum(axis=1)
        for position, place in enumerate(places):
            without = np.flatnonzero(~members[:, position])
            weights = np.array([factorial(size) * factorial(count - 1 - size) / factorial(count) for size in range(count)])[sizes[without]]
            total[place] += weights @ (here[without | 1 << position] - here[without])


def _columns(table: np.ndarray, numbers: int) -> Columns:
    return Columns(np.ascontiguousarray(table[:, :numbers]), table[:, numbers:].astype(np.intp))
