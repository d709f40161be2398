"""Copies and groups of equal rows, found bucket by bucket: rows with equal features are in one bucket, so none needs to know another.

A bucket that is not in work lies on disk.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

_ROWS = 1 << 19  # of a bucket
_RECORD = np.dtype([("row", "<i8"), ("x", "<u8", 2), ("all", "<u8", 2), ("code", "<i8")])


@dataclass(frozen=True)
class RowGroups:
    """What was found out of n rows, in their order in the file.

    Attributes:
        keep: which stay, bool, shape (n,).
        group: the number of the group of equal features of each row that stays, in the order in which groups first appear; (kept rows,).
        classes: the most frequent class of each group, the lower one in a tie; shape (groups,).
        firsts: the first row of each group among those that stay; shape (groups,).
    """

    keep: np.ndarray
    group: np.ndarray
    classes: np.ndarray
    firsts: np.ndarray


class RowBuckets:
    """Takes rows with their keys, in any order; a folder holds them."""

    def __init__(self, rows: int, folder: Path) -> None:
        self._rows = rows
        self._bits = max(0, int(np.ceil(np.log2(max(rows, 1) / _ROWS))))
        self._in_memory: list[np.ndarray] = []
        self._files = [folder / f"bucket-{number}" for number in range(1 << self._bits)] if self._bits else []

    def add(self, rows: np.ndarray, features: np.ndarray, compared: np.ndarray, codes: np.ndarray) -> None:
        """Add rows: their places in the file, (m,), keys of their features and of all that copies are equal in, (2, m), and classes."""
        records = np.empty(len(rows), _RECORD)
        records["row"], records["x"], records["all"], records["code"] = rows, features.T, compared.T, codes
        if not self._bits:
            self._in_memory.append(records)
            return
        bucket = (features[0] >> np.uint64(64 - self._bits)).astype(np.int64)
        order = np.argsort(bucket, kind="stable")
        ends = np.cumsum(np.bincount(bucket, minlength=len(self._files)))
        for file, part in zip(self._files, np.split(records[order], ends[:-1]), strict=True):
            with file.open("ab") as target:
                part.tofile(target)

    def resolve(self, classes: int, *, drop_duplicates: bool) -> RowGroups:
        """Find the copies, of which the first stays, and the groups."""
        keep = np.zeros(self._rows, bool)
        first = np.zeros(self._rows, np.int64)
        most = np.zeros(self._rows, np.int16)
        for number in range(max(len(self._files), 1)):
            records = self._bucket(number)
            if not len(records):
                continue
            rows, codes = records["row"], records["code"]
            stays = _is_first(records["all"]) if drop_duplicates else np.ones(len(rows), bool)
            order, starts = _runs(records["x"])
            run = np.cumsum(starts) - 1
            votes = np.bincount((run * classes + codes[order])[stays[order]], minlength=(int(run[-1]) + 1) * classes)
            heads = rows[order][starts]
            keep[rows] = stays
            first[rows[order]] = heads[run]
            most[heads] = votes.reshape(-1, classes).argmax(axis=1)
        kept = np.flatnonzero(keep)
        heads = first[kept]
        is_head = heads == kept
        numbers = np.cumsum(is_head) - 1
        place = np.zeros(self._rows, np.int64)
        place[kept] = numbers
        firsts = np.flatnonzero(is_head)
        return RowGroups(keep, place[heads], most[kept[firsts]].astype(np.int64), firsts)

    def _bucket(self, number: int) -> np.ndarray:
        if self._bits:
            records = np.fromfile(self._files[number], _RECORD) if self._files[number].exists() else np.empty(0, _RECORD)
        else:
            records = np.concatenate(self._in_memory) if self._in_memory else np.empty(0, _RECORD)
        rows = records["row"]
        return records if (np.diff(rows) > 0).all() else records[np.argsort(rows, kind="stable")]


def _runs(keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return an order in which equal keys, (n, 2), are neighbours, each run in the order of the rows, and which begin a run."""
    order = np.argsort(keys[:, 0], kind="stable")
    high, low = keys[order, 0], keys[order, 1]
    same = high[1:] == high[:-1]
    if (same & (low[1:] != low[:-1])).any():  # one half is equal by chance
        order = np.lexsort((keys[:, 1], keys[:, 0]))
        high, low = keys[order, 0], keys[order, 1]
        same = (high[1:] == high[:-1]) & (low[1:] == low[:-1])
    return order, np.concatenate([[True], ~same])


def _is_first(keys: np.ndarray) -> np.ndarray:
    order, starts = _runs(keys)
    first = np.zeros(len(keys), bool)
    first[order[starts]] = True
    return first
