"""A LightGBM model as tables of bit masks: the leaf of a record in a tree is found without walking the tree.

Each tree's leaves are numbered from left to right. A node whose test fails rules out the leaves of its left side; the leaf that a record
reaches is the lowest one that no failed node rules out. Whether a node fails depends only on how many of its feature's thresholds lie
below the value, so for each feature and each such count one row of masks, one mask a tree, holds all that the feature rules out. Scoring a
record is then: find the counts, AND the rows, take the lowest bit of each mask. The result is LightGBM's to the last bit, as the same leaf
values are added in the same order.

The idea is QuickScorer's (Lucchese et al., "QuickScorer: a Fast Algorithm to Rank Documents with Additive Ensembles of Regression Trees",
SIGIR 2015) with the masks of each feature combined in advance, which a tabular model of few distinct thresholds affords.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
from lightgbm import Booster
from numba import njit

from hearth.compiled.preprocessing import CannotCompile

MAX_LEAVES = 64
_MAX_TABLE_BYTES = 128 * 2**20
_ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


@dataclass(frozen=True)
class _Node:
    """A node of a dumped tree; a leaf has a value only."""

    feature: int
    threshold: float
    leaves_before: int  # leaves of the tree to the left of this node's
    leaves_left: int  # leaves of its left side


@dataclass(frozen=True)
class TreeTables:
    """What `raw_scores` reads.

    Attributes:
        thresholds: all features' thresholds, rising within each feature; float64.
        first_threshold: (features + 1,) where each feature's begin.
        masks: (sum of thresholds + features, trees) uint64; bit l of a mask is set while leaf l is possible.
        first_mask: (features,) where each feature's rows of masks begin.
        leaf_values: (trees, leaves) float64.
        outputs: raw scores a record has: 1 for two classes, else the number of classes; tree t adds to output t modulo this.
    """

    thresholds: np.ndarray
    first_threshold: np.ndarray
    masks: np.ndarray
    first_mask: np.ndarray
    leaf_values: np.ndarray
    outputs: int


def compile_booster(booster: Booster) -> TreeTables:
    """Make the tables of a booster that was trained on numbers without missing values.

    Raises:
        CannotCompile: the booster has categorical splits, linear leaves, a tree of more than 64 leaves, or the tables would be too large.
    """
    dump = booster.dump_model()
    features = int(dump["max_feature_idx"]) + 1
    trees = [_read_tree(tree) for tree in dump["tree_info"]]
    distinct: list[set[float]] = [set() for _ in range(features)]
    for nodes, _ in trees:
        for node in nodes:
            distinct[node.feature].add(node.threshold)
    by_feature = [np.array(sorted(values)) for values in distinct]
    counts = np.array([len(values) for values in by_feature])
    rows = int(counts.sum()) + features
    if rows * len(trees) * 8 > _MAX_TABLE_BYTES:
        raise CannotCompile(f"{len(trees)} trees and {counts.sum()} thresholds need more than {_MAX_TABLE_BYTES >> 20} MiB of masks")
    first_mask = np.concatenate([[0], np.cumsum(counts + 1)[:-1]])
    masks = np.full((rows, len(trees)), _ALL)
    leaf_values = np.zeros((len(trees), max(len(values) for _, values in trees)))
    for number, (nodes, values) in enumerate(trees):
        leaf_values[number, : len(values)] = values
        for node in nodes:
            ruled_out = ((1 << node.leaves_left) - 1) << node.leaves_before
            position = int(np.searchsorted(by_feature[node.feature], node.threshold))
            start = first_mask[node.feature]
            # the node fails for every value above its threshold, so for every count above the threshold's position
            masks[start + position + 1 : start + counts[node.feature] + 1, number] &= np.uint64(int(_ALL) & ~ruled_out)
    return TreeTables(
        thresholds=np.concatenate(by_feature),
        first_threshold=np.concatenate([[0], np.cumsum(counts)]),
        masks=masks,
        first_mask=first_mask,
        leaf_values=leaf_values,
        outputs=int(dump["num_tree_per_iteration"]),
    )


def raw_scores(tables: TreeTables, X: np.ndarray) -> np.ndarray:
    """Return the sums of leaf values, (n, outputs) float64, of X (n, features) float64 without missing values."""
    out = np.empty((len(X), tables.outputs))
    _summing()(X, tables.thresholds, tables.first_threshold, tables.masks, tables.first_mask, tables.leaf_values, _LOWEST_BIT, out)
    return out


def _read_tree(tree: dict) -> tuple[list[_Node], list[float]]:  # type: ignore[type-arg]  # LightGBM's own JSON
    nodes: list[_Node] = []
    values: list[float] = []

    def visit(node: dict) -> int:  # type: ignore[type-arg]
        if "leaf_value" in node:
            if "leaf_coeff" in node:
                raise CannotCompile("the booster has linear leaves")
            values.append(node["leaf_value"])
            return 1
        if node["decision_type"] != "<=" or node["missing_type"] == "Zero":
            raise CannotCompile(f"the booster splits by {node['decision_type']!r} with missing type {node['missing_type']!r}")
        before = len(values)
        left = visit(node["left_child"])
        nodes.append(_Node(node["split_feature"], node["threshold"], before, left))
        return left + visit(node["right_child"])

    if visit(tree["tree_structure"]) > MAX_LEAVES:
        raise CannotCompile(f"a tree has {len(values)} leaves, more than {MAX_LEAVES}")
    return nodes, values


def _bit_positions() -> Iterator[tuple[int, int]]:
    """A de Bruijn sequence maps each power of two to a number of its own in its top six bits."""
    for bit in range(64):
        yield ((1 << bit) * 0x03F79D71B4CB0A89 & 0xFFFF_FFFF_FFFF_FFFF) >> 58, bit


@cache
def _summing() -> Callable[..., None]:
    """Return the machine code of `_sum_leaves`; it is kept beside this file, or where numba keeps such things, if that can be written."""
    try:
        compiled: Callable[..., None] = njit(nogil=True, cache=True)(_sum_leaves)
    except RuntimeError:  # a read-only file system: each process takes its second to compile
        compiled = njit(nogil=True)(_sum_leaves)
    return compiled


_LOWEST_BIT = np.zeros(64, np.uint8)
for _hash, _bit in _bit_positions():
    _LOWEST_BIT[_hash] = _bit


def _sum_leaves(X, thresholds, first_threshold, masks, first_mask, leaf_values, lowest_bit, out):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202, PLR0913, PLR0917 - numba infers the types
    trees = masks.shape[1]
    outputs = out.shape[1]
    possible = np.empty(trees, np.uint64)
    for row in range(X.shape[0]):
        for feature in range(X.shape[1]):
            value = X[row, feature]
            low, high = first_threshold[feature], first_threshold[feature + 1]
            while low < high:
                middle = (low + high) >> 1
                if thresholds[middle] < value:
                    low = middle + 1
                else:
                    high = middle
            mask = masks[first_mask[feature] + low - first_threshold[feature]]
            if feature == 0:
                for tree in range(trees):
                    possible[tree] = mask[tree]
            else:
                for tree in range(trees):
                    possible[tree] &= mask[tree]
        for output in range(outputs):
            total = 0.0
            for tree in range(output, trees, outputs):
                left = possible[tree]
                lowest = left & (~left + np.uint64(1))
                total += leaf_values[tree, lowest_bit[(lowest * np.uint64(0x03F79D71B4CB0A89)) >> np.uint64(58)]]
            out[row, output] = total
