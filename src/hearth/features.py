"""The part of every pipeline that turns raw records into numbers: imputation, scaling, one-hot.

It is fitted on train only and stored with the model. The imputer runs at most `features.imputer_iterations` rounds and stops before that
once its values settle; on the employees extract they settle after three. If they do not settle at all, scikit-learn says so with a
ConvergenceWarning, and nothing here hides it: the contract asks for too few rounds, or the data are too few to impute from.
"""

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - importing it is what makes IterativeImputer importable
from sklearn.impute import IterativeImputer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from hearth.contracts import Contract


def build_features(contract: Contract) -> ColumnTransformer:
    """Make the unfitted transformer: the numbers, then a column for each category but the first of a feature, in contract order.

    It takes a frame of raw features in any column order (float64 and texts, missing values NaN) and gives a float64 array. Columns
    other than the features are dropped. A category that the contract does not know raises ValueError.
    """
    transformers: list[tuple[str, Pipeline | OneHotEncoder, list[str]]] = []
    if contract.numeric_features:
        imputer = IterativeImputer(max_iter=contract.features.imputer_iterations, random_state=contract.split.seed)
        scaler = StandardScaler() if contract.features.scaler == "standard" else MinMaxScaler()
        transformers.append(("numbers", Pipeline([("impute", imputer), ("scale", scaler)]), list(contract.numeric_features)))
    if contract.categorical_features:
        encoder = OneHotEncoder(
            # From the contract, not from the data: the columns are the same whatever the train set holds.
            categories=[_levels(contract, name, categories) for name, categories in contract.categorical_features.items()],
            drop="first",
            handle_unknown="error",
            sparse_output=False,
        )
        transformers.append(("categories", encoder, list(contract.categorical_features)))
    return ColumnTransformer(transformers, remainder="drop", verbose_feature_names_out=False)


def _levels(contract: Contract, name: str, categories: tuple[str, ...]) -> list[str | float]:
    """Return the categories, and missing as one more where the contract allows it."""
    return [*categories, np.nan] if contract.columns[name].nullable else list(categories)
