"""LightGBM's trees as tables of bit masks, which find the leaf of a record without a walk through the tree.

Each tree's leaves are numbered from left to right. A node whose test fails rules out the leaves of its left side; the leaf that a record
reaches is the lowest one that no failed node rules out. Whether a node fails depends only on how many of its feature's thresholds lie
below the value, so for each feature and each such count one row of masks, one mask a tree, holds all that the feature rules out. Scoring a
record is then: find the counts, AND the rows, take the lowest bit of each mask.

The idea is QuickScorer's (Lucchese et al., "QuickScorer: a Fast Algorithm to Rank Documents with Additive Ensembles of Regression Trees",
SIGIR 2015) with the masks of each feature combined in advance, which a tabular model of few distinct thresholds affords.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hearth.modelling.booster_text import BoosterText, Tree
from hearth.serving.compiled.scaling import CannotCompile, Scale

MAX_LEAVES = 64
_MAX_TABLE_BYTES = 128 * 2**20


@dataclass(frozen=True)
class _Node:
    """An inner node of a tree."""

    feature: int
    threshold: float
    leaves_before: int  # leaves of the tree to the left of this node's
    leaves_left: int  # leaves of its left side


@dataclass(frozen=True)
class TreeTables:
    """What `walk` reads: numbers, and behind them categories.

    Attributes:
        thresholds: all numbers' thresholds, rising within each; float64.
        first_threshold: (numbers + 1,) the start of each number's thresholds.
        masks: (rows, trees) uint32, or uint64 where a tree has more than 32 leaves; bit l of a mask is set while leaf l is possible. A
            number has a row for each count of thresholds that lie below it, a category one for each code.
        first_mask: (numbers + categories,) the start of each one's rows.
        leaf_values: (trees, leaves) float64.
        outputs: raw scores of a record: 1 for two classes, else the number of classes; tree t adds to output t modulo this.
    """

    thresholds: np.ndarray
    first_threshold: np.ndarray
    masks: np.ndarray
    first_mask: np.ndarray
    leaf_values: np.ndarray
    outputs: int


def compile_booster(booster: BoosterText) -> TreeTables:
    """Make the tables of a booster that was trained on numbers without missing values.

    Raises:
        CannotCompile: zero is a missing value, a tree has more than 64 leaves, or the tables would be too large.
    """
    features = booster.features
    trees = [_from_left_to_right(tree) for tree in booster.trees]
    distinct: list[set[float]] = [set() for _ in range(features)]
    for nodes, _ in trees:
        for node in nodes:
            distinct[node.feature].add(node.threshold)
    by_feature = [np.array(sorted(values)) for values in distinct]
    counts = np.array([len(values) for values in by_feature])
    rows = int(counts.sum()) + features
    most_leaves = max(len(values) for _, values in trees)
    word = np.uint32 if most_leaves <= 32 else np.uint64  # noqa: PLR2004 - half the memory to read
    if rows * len(trees) * np.dtype(word).itemsize > _MAX_TABLE_BYTES:
        raise CannotCompile(f"{len(trees)} trees and {counts.sum()} thresholds need more than {_MAX_TABLE_BYTES >> 20} MiB of masks")
    first_mask = np.concatenate([[0], np.cumsum(counts + 1)[:-1]])
    every_leaf = np.iinfo(word).max
    masks = np.full((rows, len(trees)), every_leaf, word)
    leaf_values = np.zeros((len(trees), most_leaves))
    for number, (nodes, values) in enumerate(trees):
        leaf_values[number, : len(values)] = values
        for node in nodes:
            ruled_out = ((1 << node.leaves_left) - 1) << node.leaves_before
            position = int(np.searchsorted(by_feature[node.feature], node.threshold))
            start = first_mask[node.feature]
            # the node fails for every value above its threshold, so for every count above the threshold's position
            masks[start + position + 1 : start + counts[node.feature] + 1, number] &= word(every_leaf & ~ruled_out)
    return TreeTables(
        thresholds=np.concatenate(by_feature),
        first_threshold=np.concatenate([[0], np.cumsum(counts)]),
        masks=masks,
        first_mask=first_mask,
        leaf_values=leaf_values,
        outputs=booster.outputs,
    )


def with_categories(tables: TreeTables, numbers: int, widths: Sequence[int]) -> TreeTables:
    """Return tables that take a code instead of each group of one-hot columns behind the first `numbers` columns.

    Code 0 of a group sets no column, code k the k-th of its `widths` columns.
    """
    rows = [tables.masks[: tables.first_mask[numbers] if widths else len(tables.masks)]]
    first_mask = list(tables.first_mask[:numbers])
    column = numbers
    for width in widths:
        first_mask.append(sum(map(len, rows)))
        columns = range(column, column + width)
        unset, one = ([tables.masks[_mask_row(tables, each, value)] for each in columns] for value in (0.0, 1.0))
        for code in range(width + 1):
            chosen = [one[place] if place == code - 1 else unset[place] for place in range(width)]
            rows.append(np.bitwise_and.reduce(chosen, axis=0)[np.newaxis])
        column += width
    first_threshold = tables.first_threshold[: numbers + 1]
    return replace(
        tables,
        thresholds=tables.thresholds[: first_threshold[-1]],
        first_threshold=first_threshold,
        masks=np.ascontiguousarray(np.concatenate(rows)),
        first_mask=np.array(first_mask, dtype=np.intp),
    )


def before_scaling(tables: TreeTables, scale: Scale) -> TreeTables:
    """Return tables that take numbers as they are before `scale`, which must keep their order, and find the same leaves.

    A scaled number is above a threshold exactly if the number is above the largest one that is scaled to at most the threshold. A binary
    search among all floats finds that one, so rounding in `scale` cannot move a record to another leaf.
    """
    counts = np.diff(tables.first_threshold)
    thresholds = np.full((max(counts, default=0), len(counts)), np.inf)
    for column, (begin, count) in enumerate(zip(tables.first_threshold, counts, strict=False)):
        thresholds[:count, column] = tables.thresholds[begin : begin + count]
    low, high = (np.full(thresholds.shape, _rank(np.array(sign * np.finfo(np.float64).max)), np.int64) for sign in (-1.0, 1.0))
    scaled = np.empty_like(thresholds)
    with np.errstate(over="ignore"):
        while (low < high).any():
            middle = (low | high) - ((low ^ high) >> 1)  # the mean, rounded up, without overflow
            scale(_of_rank(middle), scaled)
            fits = scaled <= thresholds
            low, high = np.where(fits, middle, low), np.where(fits, high, middle - 1)
    unscaled = [_of_rank(low[:count, column]) for column, count in enumerate(counts)]
    return replace(tables, thresholds=np.concatenate(unscaled) if unscaled else tables.thresholds)


def _rank(floats: np.ndarray) -> np.ndarray:
    """Return whole numbers in the order of the floats, without gaps."""
    bits = floats.view(np.int64)
    return np.where(bits < 0, np.iinfo(np.int64).min - bits, bits)


def _of_rank(ranks: np.ndarray) -> np.ndarray:
    bits = np.where(ranks < 0, np.iinfo(np.int64).min - ranks, ranks)
    return bits.view(np.float64)


def _mask_row(tables: TreeTables, column: int, value: float) -> int:
    begin, end = tables.first_threshold[column : column + 2]
    return int(tables.first_mask[column] + np.searchsorted(tables.thresholds[begin:end], value))


def _from_left_to_right(tree: Tree) -> tuple[list[_Node], list[float]]:
    """Return the inner nodes of a tree, and the values of its leaves from left to right."""
    leaves = len(tree.leaf_value)
    if leaves > MAX_LEAVES:
        raise CannotCompile(f"a tree has {leaves} leaves, more than {MAX_LEAVES}")
    if tree.zero_is_missing:
        raise CannotCompile("the booster takes zero for a missing value")
    nodes: list[_Node] = []
    values: list[float] = []

    def visit(child: int) -> int:
        """Return the number of leaves below a child; it is as deep as a tree of 64 leaves, at most."""
        if child < 0:
            values.append(float(tree.leaf_value[~child]))
            return 1
        before = len(values)
        left = visit(int(tree.left[child]))
        nodes.append(_Node(int(tree.split_feature[child]), float(tree.threshold[child]), before, left))
        return left + visit(int(tree.right[child]))

    visit(0 if leaves > 1 else -1)
    return nodes, values
