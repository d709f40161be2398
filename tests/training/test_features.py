import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
import skops.io
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 - importing it is what makes IterativeImputer importable
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from hearth.contracts import Contract, load_contract
from hearth.data.cleaning import clean
from hearth.data.csv_validation import read_raw, validate
from hearth.modelling.features import TRUSTED_TYPES, build_features
from tests.training.raw_rows import raw_csv

EMPLOYEES = load_contract("employees")
NUMBERS = list(EMPLOYEES.numeric_features)
CATEGORIES = list(EMPLOYEES.categorical_features)


def raw_features(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    accepted = validate(EMPLOYEES, read_raw(EMPLOYEES, raw_csv(EMPLOYEES, rows, seed, missing_share=0.1), "x.csv")).accepted
    return clean(EMPLOYEES, accepted).frame[list(EMPLOYEES.feature_names)]


@cache
def employees_features() -> ColumnTransformer:
    return build_features(EMPLOYEES).fit(raw_features())


def with_features(**changes: object) -> Contract:
    return EMPLOYEES.model_copy(update={"features": EMPLOYEES.features.model_copy(update=changes)})


@pytest.mark.parametrize(("scaler", "scale"), [("standard", StandardScaler()), ("min_max", MinMaxScaler())])
def test_raw_records_give_the_numbers_of_scikit_learn_step_by_step(scaler: str, scale: StandardScaler | MinMaxScaler) -> None:
    train, later = raw_features(), raw_features(50, seed=1)

    fitted = build_features(with_features(scaler=scaler)).fit(train)

    imputer = IterativeImputer(max_iter=10, random_state=42).fit(train[NUMBERS])
    scale.fit(imputer.transform(train[NUMBERS]))
    encoder = OneHotEncoder(drop="first", sparse_output=False).fit(train[CATEGORIES])
    for frame in (train, later):
        numbers = scale.transform(imputer.transform(frame[NUMBERS]))
        np.testing.assert_allclose(fitted.transform(frame), np.hstack([numbers, encoder.transform(frame[CATEGORIES])]))


@pytest.mark.parametrize(
    ("imputer", "steps"),
    [
        ("mice", [IterativeImputer(max_iter=10, random_state=42), StandardScaler()]),
        ("median", [SimpleImputer(strategy="median"), StandardScaler()]),
        ("mean", [SimpleImputer(strategy="mean"), StandardScaler()]),
        ("most_frequent", [SimpleImputer(strategy="most_frequent"), StandardScaler()]),
        ("knn", [StandardScaler(), KNNImputer(n_neighbors=7)]),  # scaled first: all columns count alike in what is near
    ],
)
def test_each_imputer_of_a_contract_fills_the_numbers_as_scikit_learn_does(imputer: str, steps: list[object]) -> None:
    train, later = raw_features(), raw_features(50, seed=1)

    fitted = build_features(with_features(imputer=imputer, imputer_neighbors=7)).fit(train)

    expected = make_pipeline(*steps).fit(train[NUMBERS])
    np.testing.assert_allclose(fitted.transform(later)[:, : len(NUMBERS)], expected.transform(later[NUMBERS]))


def test_a_missing_category_becomes_the_most_frequent_one_of_the_train_rows_if_the_contract_says_so() -> None:
    gender = EMPLOYEES.columns["Gender"].model_copy(update={"nullable": True})
    contract = with_features(category_imputer="most_frequent").model_copy(update={"columns": {**EMPLOYEES.columns, "Gender": gender}})
    train = raw_features()
    most_frequent = train["Gender"].mode()[0]
    train.loc[:5, "Gender"] = pd.Series([None] * 6, dtype="str")
    gap = raw_features(2, seed=1).assign(Gender=pd.Series([None, most_frequent], dtype="str"))

    made = build_features(contract).fit(train).transform(gap)

    assert made.shape[1] == len(NUMBERS) + len(CATEGORIES)  # no column for what is missing
    assert made[0, len(NUMBERS)] == made[1, len(NUMBERS)] == float(most_frequent == "Male")


def test_the_columns_are_those_of_the_contract_in_its_order() -> None:
    fitted = build_features(EMPLOYEES).fit(raw_features())

    assert fitted.get_feature_names_out().tolist() == [*NUMBERS, "Gender_Male", "Company Type_Service", "WFH Setup Available_Yes"]


def test_the_columns_do_not_hang_on_which_categories_the_train_rows_hold() -> None:
    train = raw_features().assign(Gender="Male")

    assert build_features(EMPLOYEES).fit_transform(train)[:, len(NUMBERS)].tolist() == [1.0] * len(train)


def test_a_record_is_scored_alike_alone_in_a_crowd_and_with_its_columns_turned_around() -> None:
    fitted, frame = build_features(EMPLOYEES).fit(raw_features()), raw_features(60, seed=2)
    together = fitted.transform(frame)

    order = np.random.default_rng(0).permutation(len(frame))
    np.testing.assert_allclose(fitted.transform(frame.iloc[order].iloc[:, ::-1]), together[order])
    for row in range(5):
        np.testing.assert_allclose(fitted.transform(frame.iloc[[row]]), together[[row]])


def test_an_unknown_category_is_an_error_and_no_silent_zero() -> None:
    fitted, frame = build_features(EMPLOYEES).fit(raw_features()), raw_features(3, seed=1)
    frame.loc[1, "Gender"] = "male"

    with pytest.raises(ValueError, match=r"unknown categories \['male'\]"):
        fitted.transform(frame)


def test_missing_is_a_category_of_its_own_exactly_where_the_contract_allows_it() -> None:
    gender = EMPLOYEES.columns["Gender"].model_copy(update={"nullable": True})
    nullable = EMPLOYEES.model_copy(update={"columns": {**EMPLOYEES.columns, "Gender": gender}})
    train, gap = raw_features(), raw_features(1, seed=1)
    gap["Gender"] = pd.Series([None], dtype="str")

    fitted = build_features(nullable).fit(train)

    assert fitted.transform(gap)[0, len(NUMBERS) : len(NUMBERS) + 2].tolist() == [0.0, 1.0]
    with pytest.raises(ValueError, match="unknown categories"):
        build_features(EMPLOYEES).fit(train).transform(gap)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(st.booleans(), min_size=len(NUMBERS), max_size=len(NUMBERS)), min_size=1, max_size=8))
def test_whatever_is_missing_later_is_filled_with_a_number(gaps: list[list[bool]]) -> None:
    frame = raw_features(100, seed=3).head(len(gaps))
    values = frame[NUMBERS].to_numpy(copy=True)
    values[np.array(gaps)] = np.nan
    frame[NUMBERS] = values

    filled = employees_features().transform(frame)

    assert np.isfinite(filled).all()
    known = frame[NUMBERS].notna().to_numpy()
    np.testing.assert_allclose(filled[:, : len(NUMBERS)][known], scaled(frame[NUMBERS])[known])


def scaled(numbers: pd.DataFrame) -> np.ndarray:
    scaler = employees_features().named_transformers_["numbers"].named_steps["scale"]
    return np.asarray((numbers.to_numpy() - scaler.mean_) / scaler.scale_)


def test_fitting_twice_gives_the_same_numbers() -> None:
    frame = raw_features()

    np.testing.assert_array_equal(build_features(EMPLOYEES).fit_transform(frame), build_features(EMPLOYEES).fit_transform(frame))


def test_too_few_rounds_for_the_values_to_settle_are_not_hidden() -> None:
    with pytest.warns(ConvergenceWarning, match="IterativeImputer"):
        build_features(with_features(imputer_iterations=1)).fit(raw_features())


def test_the_rounds_of_the_contract_are_enough_for_rows_like_the_real_ones() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fitted = build_features(EMPLOYEES).fit(raw_features())

    assert fitted.named_transformers_["numbers"].named_steps["impute"].n_iter_ < EMPLOYEES.features.imputer_iterations


@pytest.mark.parametrize("imputer", ["mice", "knn", "median", "mean", "most_frequent"])
def test_it_is_stored_and_loaded_by_skops_with_the_types_that_we_name(imputer: str) -> None:
    gender = EMPLOYEES.columns["Gender"].model_copy(update={"nullable": True})
    contract = with_features(imputer=imputer, category_imputer="most_frequent")
    contract = contract.model_copy(update={"columns": {**EMPLOYEES.columns, "Gender": gender}})
    fitted, frame = build_features(contract).fit(raw_features(200)), raw_features(50, seed=1)

    loaded = skops.io.loads(skops.io.dumps(fitted), trusted=list(TRUSTED_TYPES))

    np.testing.assert_array_equal(loaded.transform(frame), fitted.transform(frame))
