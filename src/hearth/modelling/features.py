"""The part of every pipeline that turns raw records into numbers: imputation, scaling, one-hot.

It is fitted on train only and stored with the model. The iterative imputer (`mice`) runs at most `features.imputer_iterations` rounds and
stops earlier when its values converge; on the employees extract they converge after three. If they do not converge, scikit-learn warns with
a ConvergenceWarning: the contract has too few rounds, or the data are too few to impute from.
"""

from typing import TYPE_CHECKING

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - importing it is what makes IterativeImputer importable
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from hearth.contracts import Contract

if TYPE_CHECKING:
    from sklearn.base import TransformerMixin

# What skops does not trust by itself in a fitted transformer, whichever imputers the contract names.
TRUSTED_TYPES: tuple[str, ...] = (
    "numpy.dtype",
    "sklearn.impute._iterative.IterativeImputer",
    "sklearn.impute._iterative._ImputerTriplet",
)


def build_features(contract: Contract) -> ColumnTransformer:
    """Make the unfitted transformer: the numbers, then a column for each category but the first of a feature, in contract order.

    It takes a frame of raw features in any column order (float64 and texts, missing values NaN) and gives a float64 array. Columns
    other than the features are dropped. A category that the contract does not know raises ValueError.
    """
    transformers: list[tuple[str, TransformerMixin, list[str]]] = []
    if contract.numeric_features:
        transformers.append(("numbers", _numbers(contract), list(contract.numeric_features)))
    if contract.categorical_features:
        transformers.append(("categories", _categories(contract), list(contract.categorical_features)))
    return ColumnTransformer(transformers, remainder="drop", verbose_feature_names_out=False)


def _numbers(contract: Contract) -> Pipeline:
    words = contract.features
    scale = ("scale", StandardScaler() if words.scaler == "standard" else MinMaxScaler())
    if words.imputer == "knn":  # scaled first, or the column with the widest range would decide alone which rows are near
        return Pipeline([scale, ("impute", KNNImputer(n_neighbors=words.imputer_neighbors))])
    if words.imputer == "mice":
        return Pipeline([("impute", IterativeImputer(max_iter=words.imputer_iterations, random_state=contract.split.seed)), scale])
    return Pipeline([("impute", SimpleImputer(strategy=words.imputer)), scale])


def _categories(contract: Contract) -> "TransformerMixin":
    nullable = [name for name in contract.categorical_features if contract.columns[name].nullable]
    fill = contract.features.category_imputer == "most_frequent" and bool(nullable)
    encoder = OneHotEncoder(
        # From the contract, not from the data: the columns are the same whatever the train set holds.
        categories=[
            [*categories, np.nan] if name in nullable and not fill else list(categories)
            for name, categories in contract.categorical_features.items()
        ],
        drop="first",
        handle_unknown="error",
        sparse_output=False,
    )
    return Pipeline([("impute", SimpleImputer(strategy="most_frequent")), ("encode", encoder)]) if fill else encoder
