"""LightGBM's own exact TreeSHAP values of the transformed features, added up for each raw column."""

from typing import Self

import numpy as np
from lightgbm import LGBMClassifier
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder

from hearth.contracts import Contract
from hearth.contracts.record_parser import Columns
from hearth.serving.compiled.scorer import CompiledScorer
from hearth.serving.explaining.model import Attribution, Unit

_OBJECTIVES = {"binary", "multiclass"}


class TreeContributions:
    """Contributions to the raw score of a class: the log-odds of two classes, the input of softmax of more.

    The pipeline imputes a missing value before the trees; the contribution of the imputed value is that of the missing column.
    """

    method = "LightGBM's TreeSHAP (pred_contrib), exact"
    unit = Unit.LOG_ODDS

    def __init__(self, features: ColumnTransformer, model: LGBMClassifier, to_raw: np.ndarray) -> None:
        self._features = features
        self._model = model
        self._to_raw = to_raw  # (transformed features, raw features), 1.0 where one derives from the other

    @classmethod
    def of(cls, pipeline: object, contract: Contract) -> Self | None:
        """Make them for a pipeline; None if its model is not LightGBM, or a transformed feature has not exactly one raw column."""
        if not isinstance(pipeline, Pipeline) or [name for name, _ in pipeline.steps] != ["features", "model"]:
            return None
        features, model = pipeline["features"], pipeline["model"]
        if not isinstance(model, LGBMClassifier) or not isinstance(features, ColumnTransformer):
            return None
        if model.objective_ not in _OBJECTIVES or model.get_params().get("sigmoid", 1.0) != 1.0:
            return None
        if list(model.classes_) != list(range(model.n_classes_)):
            return None
        origins = raw_origins(features)
        if origins is None or len(origins) != model.n_features_in_:
            return None
        names = contract.feature_names
        return cls(features, model, np.array([[float(origin == name) for name in names] for origin in origins]))

    def attribute(self, scorer: CompiledScorer, columns: Columns) -> Attribution:
        X = np.asarray(self._features.transform(scorer.parser.frame(columns)), dtype=np.float64)
        flat = np.asarray(self._model.booster_.predict(X, pred_contrib=True, num_threads=1))
        # for each class its features and then the base; of two classes only the second, whose opposite is the first
        by_class = flat.reshape(len(X), -1, X.shape[1] + 1)
        if by_class.shape[1] == 1:
            by_class = np.concatenate([-by_class, by_class], axis=1)
        contributions = by_class[:, :, :-1] @ self._to_raw
        return Attribution(contributions.transpose(0, 2, 1), by_class[0, :, -1])


def raw_origins(features: ColumnTransformer) -> list[str] | None:
    """Return the raw column of each output of a fitted transformer; None if one is ambiguous."""
    origins: list[str] = []
    for name, part, columns in features.transformers_:
        width = features.output_indices_[name].stop - features.output_indices_[name].start
        of_part = _part_origins(part, list(columns), width)
        if of_part is None:
            return None
        origins += of_part
    return origins


def _part_origins(part: object, columns: list[str], width: int) -> list[str] | None:
    if width == 0:  # dropped by the transformer
        return []
    last = part.steps[-1][1] if isinstance(part, Pipeline) else part
    if isinstance(last, OneHotEncoder):
        if len(last.categories_) != len(columns):
            return None
        dropped = last.drop_idx_ if last.drop_idx_ is not None else [None] * len(columns)
        widths = [len(levels) - (gone is not None) for levels, gone in zip(last.categories_, dropped, strict=True)]
        origins = [column for column, count in zip(columns, widths, strict=True) for _ in range(count)]
        return origins if len(origins) == width else None
    return columns if width == len(columns) else None
