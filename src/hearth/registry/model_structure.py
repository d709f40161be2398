"""Checks of a loaded pipeline before it predicts: indexes that scikit-learn's and LightGBM's machine code would follow without a look."""

from collections.abc import Sequence

import numpy as np
from lightgbm import LGBMClassifier
from sklearn.base import ClassifierMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.neighbors import BallTree, KDTree
from sklearn.pipeline import Pipeline
from sklearn.tree import BaseDecisionTree

from hearth.modelling.booster_text import BoosterText

_LEAF = -1
_CHILDREN = 2


class InvalidStructure(ValueError):
    """An index inside an estimator points outside of it."""


def require_sound_estimator(pipeline: Pipeline, boosters: Sequence[BoosterText]) -> None:
    """Raise InvalidStructure if the trees of a pipeline's model point outside themselves, or take another number of features.

    `boosters` are the texts of LightGBM that its file holds.
    """
    outer = pipeline.steps[-1][1]
    for model in _calibrated_models(outer) if isinstance(outer, CalibratedClassifierCV) else [outer]:
        _require_model(model, boosters)


def _require_model(model: ClassifierMixin, boosters: Sequence[BoosterText]) -> None:
    for part in [model, *np.ravel(getattr(model, "estimators_", ()))]:
        if isinstance(part, BaseDecisionTree):
            _require_decision_tree(part.tree_, int(part.n_features_in_))
        elif isinstance(part, LGBMClassifier):
            # With predict_disable_shape_check LightGBM would read behind the end of narrower rows
            wrong = [booster.features for booster in boosters if booster.features != part.n_features_in_]
            if wrong or not boosters:
                raise InvalidStructure(f"the booster has {wrong or 'no'} features, its classifier {part.n_features_in_}")
        index = getattr(part, "_tree", None)
        if isinstance(index, KDTree | BallTree):
            _require_index(index)


def _calibrated_models(outer: CalibratedClassifierCV) -> list[ClassifierMixin]:
    """Return the models below a calibration, which are no calibrations again."""
    models = [getattr(part, "estimator", None) for part in outer.calibrated_classifiers_]
    if any(model is None or isinstance(model, CalibratedClassifierCV) for model in models):
        raise InvalidStructure("a calibration holds another one, or no model")
    return models


def _require_decision_tree(tree: object, features: int) -> None:
    """Every inner node has two children behind it, so that no walk goes in a circle or outside."""
    nodes = tree.__getstate__()["nodes"]  # type: ignore[index]  # a dict, of a class without types
    left, right, feature = (nodes[name].astype(np.int64) for name in ("left_child", "right_child", "feature"))
    own = np.arange(len(nodes))
    leaf = left == _LEAF
    inner = ~leaf
    if tree.node_count != len(nodes) or tree.n_features != features:  # type: ignore[attr-defined]  # as above
        raise InvalidStructure(f"a decision tree says that it has {tree.node_count} nodes and has {len(nodes)}, or other features")  # type: ignore[attr-defined]
    for children in (left, right):
        if ((children <= own) | (children >= len(nodes)))[inner].any():
            raise InvalidStructure("a decision tree has a child that comes before its node, or is outside the tree")
    if ((feature < 0) | (feature >= features))[inner].any() or not len(nodes):
        raise InvalidStructure(f"a decision tree splits by a feature outside 0 to {features - 1}")


def _require_index(index: KDTree | BallTree) -> None:
    """The nodes of a neighbours' index are a complete binary tree, and each holds a range of the rows."""
    data, rows, nodes, bounds = (np.asarray(part) for part in index.get_arrays())
    count = len(data)
    levels, declared = index.__getstate__()[5:7]
    if not np.array_equal(np.sort(rows), np.arange(count)) or not (len(nodes) == declared == 2**levels - 1 == bounds.shape[1]):
        raise InvalidStructure("the index of neighbours names rows or nodes that it does not have")
    start, end, leaf = nodes["idx_start"], nodes["idx_end"], nodes["is_leaf"]
    if ((start < 0) | (end > count) | (start > end)).any():
        raise InvalidStructure("a node of the index of neighbours holds rows outside the table")
    last = len(nodes) // _CHILDREN  # nodes from here on have no children
    if not leaf[last:].all() or bounds.shape[-1] != data.shape[1]:
        raise InvalidStructure("a last node of the index of neighbours is no leaf, or its bounds have another width")
