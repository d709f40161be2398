"""LightGBM's text of a booster, read in Python and checked before LightGBM's own parser may see it.

LightGBM trusts its text: an impossible child, feature, size or number of classes makes it read outside its memory, divide by zero or walk
in a circle. Here a text is accepted only if it has exactly the lines that LightGBM writes, every number of them has the form and the range
that it must have, and the nodes of each tree make up one tree. The compiled scorer reads its trees from the same result.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

_VERSION = "v4"
_HEADER = (
    "version",
    "num_class",
    "num_tree_per_iteration",
    "label_index",
    "max_feature_idx",
    "objective",
    "feature_names",
    "feature_infos",
    "tree_sizes",
)
_OPTIONAL = ("average_output", "monotone_constraints")
_TREE = (
    "num_leaves",
    "num_cat",
    "split_feature",
    "split_gain",
    "threshold",
    "decision_type",
    "left_child",
    "right_child",
    "leaf_value",
    "leaf_weight",
    "leaf_count",
    "internal_value",
    "internal_weight",
    "internal_count",
    "is_linear",
    "shrinkage",
)
_END = "end of trees"
_WHOLE = re.compile(r"(?:-?[0-9]{1,10}(?: -?[0-9]{1,10})*)?")
_NUMBER = r"(?:-?(?:inf|nan)|[-+0-9.e]{1,40})"
_REAL = re.compile(rf"(?:{_NUMBER}(?: {_NUMBER})*)?")
_CONTROL = re.compile(r"[^\n\t\x20-\x7e\x80-\U0010ffff]")
_CLASSIFIERS = re.compile(
    r"binary sigmoid:[0-9.]{1,12}|multiclass num_class:([0-9]{1,9})|multiclassova num_class:([0-9]{1,9}) sigmoid:[0-9.]{1,12}"
)
_CATEGORICAL, _MISSING_TYPE, _DECISION_BITS = 1, 12, 16


class InvalidBooster(ValueError):
    """A text is not one that LightGBM writes, or has trees that are not read here: with categorical splits or linear leaves."""


@dataclass(frozen=True)
class Tree:
    """The nodes of a tree, of n leaves.

    Attributes:
        split_feature, threshold, decision_type: (n - 1,) of the inner nodes; intp, float64, intp.
        left, right: (n - 1,) intp; a number below 0 is the leaf ~number, any other an inner node, which comes behind its parent.
        leaf_value: (n,) float64.
    """

    split_feature: np.ndarray
    threshold: np.ndarray
    decision_type: np.ndarray
    left: np.ndarray
    right: np.ndarray
    leaf_value: np.ndarray

    @property
    def zero_is_missing(self) -> bool:
        """Whether a node takes 0 for a missing value."""
        return bool(((self.decision_type & _MISSING_TYPE) == 4).any())  # noqa: PLR2004 - LightGBM's number for it


@dataclass(frozen=True)
class BoosterText:
    """The trees of a booster; tree t adds to output t modulo `outputs`."""

    objective: str
    features: int
    outputs: int
    trees: tuple[Tree, ...]


def read_booster(text: str) -> BoosterText:
    """Read the text of a booster.

    Raises:
        InvalidBooster: it must not be given to LightGBM, or its trees are of a kind that is not read here.
    """
    if found := _CONTROL.search(text):
        raise InvalidBooster(f"the text holds the control character {found[0]!r}")
    start = text.find("\n\n")
    if start < 0:
        raise InvalidBooster("the text has no end of its header")
    header = _header(text[:start])
    features, outputs, sizes = _shape(header)
    body = text[start + 2 :].encode()
    trees = []
    position = 0
    for number, size in enumerate(sizes.tolist()):
        block = body[position : position + size]
        try:
            trees.append(_tree(block.decode("ascii"), number, features))
        except (InvalidBooster, UnicodeDecodeError) as error:
            raise InvalidBooster(f"tree {number}: {error}") from error
        position += size
    if not body[position:].startswith(f"{_END}\n".encode()):
        raise InvalidBooster(f"the trees do not end where tree_sizes says, after {position} bytes")
    return BoosterText(header["objective"], features, outputs, tuple(trees))


def require_classifier(booster: BoosterText) -> None:
    """Raise InvalidBooster if the objective is no classifier's, or is for another number of classes than there are trees an iteration."""
    found = _CLASSIFIERS.fullmatch(booster.objective)
    if not found:
        raise InvalidBooster(f"the objective is {booster.objective[:80]!r}, expected binary, multiclass or multiclassova")
    classes = int(found[1] or found[2] or 1)
    if classes != booster.outputs:
        raise InvalidBooster(f"the objective {booster.objective!r} has {classes} classes, but an iteration {booster.outputs} trees")


def _header(text: str) -> dict[str, str]:
    first, *lines = text.split("\n")
    if first != "tree":
        raise InvalidBooster(f"the text begins with {first[:40]!r}, expected 'tree'")
    header: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition("=")
        if name in header:
            raise InvalidBooster(f"the header has {name[:40]!r} twice")
        header[name] = value
    expected = {*_HEADER}
    if missing := expected - header.keys():
        raise InvalidBooster(f"the header lacks {', '.join(sorted(missing))}")
    if unknown := header.keys() - expected - {*_OPTIONAL}:
        raise InvalidBooster(f"the header has the unknown line {min(unknown)[:40]!r}")
    if header["version"] != _VERSION:
        raise InvalidBooster(f"the version is {header['version'][:40]!r}, expected {_VERSION!r}")
    return header


def _shape(header: Mapping[str, str]) -> tuple[int, int, np.ndarray]:
    """Return the numbers of features and of outputs, and the bytes of each tree."""
    features = _count(header, "max_feature_idx", least=0) + 1
    outputs = _count(header, "num_tree_per_iteration", least=1)
    classes = _count(header, "num_class", least=1)
    sizes = _whole("tree_sizes", header["tree_sizes"])
    if classes != outputs:
        raise InvalidBooster(f"num_class is {classes}, but num_tree_per_iteration {outputs}")
    if len(sizes) == 0 or len(sizes) % outputs or (sizes <= 0).any():
        raise InvalidBooster(f"{len(sizes)} trees are no whole number of iterations of {outputs} trees, or have no size")
    if _count(header, "label_index", least=0) > features:
        raise InvalidBooster("label_index is above the number of features")
    for name in ("feature_names", "feature_infos", *(key for key in ("monotone_constraints",) if key in header)):
        if len(header[name].split(" ")) != features:
            raise InvalidBooster(f"{name} has {len(header[name].split(' '))} entries, expected {features}, one a feature")
    return features, outputs, sizes


def _tree(block: str, number: int, features: int) -> Tree:
    lines = block.split("\n")
    # LightGBM ends a tree with two blank lines
    if len(lines) != len(_TREE) + 4 or lines[0] != f"Tree={number}" or any(lines[-3:]):
        raise InvalidBooster(f"expected 'Tree={number}', {len(_TREE)} lines and two blank ones, got {len(lines)} lines: {lines[0][:40]!r}")
    values: dict[str, str] = {}
    for expected, line in zip(_TREE, lines[1:], strict=False):
        name, _, values[expected] = line.partition("=")
        if name != expected:
            raise InvalidBooster(f"expected the line {expected!r}, got {name[:40]!r}")
    leaves = _count(values, "num_leaves", least=1)
    if _count(values, "num_cat", least=0) or _count(values, "is_linear", least=0):
        raise InvalidBooster("it has categorical splits or linear leaves, which are not read")
    inner = leaves - 1
    whole = {name: _whole(name, values[name], inner) for name in ("split_feature", "decision_type", "left_child", "right_child")}
    counts = _whole("internal_count", values["internal_count"], inner), _whole("leaf_count", values["leaf_count"], leaves)
    real = {name: _real(name, values[name], inner) for name in ("threshold", "split_gain", "internal_value", "internal_weight")}
    leaf_value = _real("leaf_value", values["leaf_value"], leaves)
    if np.isnan(real["threshold"]).any() or not np.isfinite(leaf_value).all():
        raise InvalidBooster("a threshold is no number, or a leaf_value is not finite")
    _real("leaf_weight", values["leaf_weight"], leaves if inner else 0)
    _real("shrinkage", values["shrinkage"], 1)
    if ((whole["split_feature"] < 0) | (whole["split_feature"] >= features)).any():
        raise InvalidBooster(f"a split_feature is outside 0 to {features - 1}")
    kinds = whole["decision_type"]
    if ((kinds < 0) | (kinds >= _DECISION_BITS) | (kinds & _CATEGORICAL) | ((kinds & _MISSING_TYPE) == _MISSING_TYPE)).any():
        raise InvalidBooster("a decision_type is none of a numerical split")
    _require_tree(whole["left_child"], whole["right_child"], leaves)
    _require_counts(whole["left_child"], whole["right_child"], *counts)
    return Tree(whole["split_feature"], real["threshold"], kinds, whole["left_child"], whole["right_child"], leaf_value)


def _require_tree(left: np.ndarray, right: np.ndarray, leaves: int) -> None:
    """Every inner node but the first and every leaf is the child of exactly one node, and comes behind it: no circle, nothing outside."""
    children = np.concatenate([left, right])
    wanted = np.concatenate([np.arange(-leaves, 0), np.arange(1, leaves - 1)])
    if leaves > 1 and not np.array_equal(np.sort(children), wanted):
        raise InvalidBooster(f"the children are not every one of {leaves} leaves and {leaves - 2} inner nodes once")
    parents = np.tile(np.arange(leaves - 1), 2)
    if ((children >= 0) & (children <= parents)).any():
        raise InvalidBooster("a node has a child that comes before it")


def _require_counts(left: np.ndarray, right: np.ndarray, inner: np.ndarray, leaf: np.ndarray) -> None:
    """The rows of a node are those of its children. LightGBM estimates them from weights, so a leaf may have none."""
    if (leaf < 0).any():
        raise InvalidBooster("a leaf_count is below 0")
    rows = np.concatenate([inner, leaf[::-1]])  # a child below 0 counts from the end
    if not np.array_equal(inner, rows[left] + rows[right]):
        raise InvalidBooster("an internal_count is not the sum of the counts of its children")


def _count(values: Mapping[str, str], name: str, least: int) -> int:
    """Return one whole number of at least `least`."""
    count = int(_whole(name, values[name], 1)[0])
    if count < least:
        raise InvalidBooster(f"{name} is {count}, expected at least {least}")
    return count


def _whole(name: str, text: str, size: int | None = None) -> np.ndarray:
    if not _WHOLE.fullmatch(text):
        raise InvalidBooster(f"{name} holds something else than whole numbers")
    return _sized(name, np.array([*map(int, text.split())], dtype=np.intp), size)


def _real(name: str, text: str, size: int) -> np.ndarray:
    if not _REAL.fullmatch(text):
        raise InvalidBooster(f"{name} holds something else than numbers")
    try:
        numbers = np.array([*map(float, text.split())], dtype=np.float64)
    except ValueError as error:
        raise InvalidBooster(f"{name} holds something else than numbers") from error
    return _sized(name, numbers, size)


def _sized(name: str, numbers: np.ndarray, size: int | None) -> np.ndarray:
    if size is not None and len(numbers) != size:
        raise InvalidBooster(f"{name} has {len(numbers)} numbers, expected {size}")
    return numbers
