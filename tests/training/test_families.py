import subprocess
import sys

import numpy as np
import optuna
import pytest
import skops.io
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import has_fit_parameter

from hearth.contracts import Contract, list_contracts
from hearth.modelling.families import FAMILIES
from hearth.modelling.features import build_features
from tests.support.samples import EMPLOYEES, sample_split

SPLIT = sample_split(EMPLOYEES)
FEATURES = build_features(EMPLOYEES).fit(SPLIT.X_train)
X_TRAIN, X_TEST, Y_TRAIN = FEATURES.transform(SPLIT.X_train), FEATURES.transform(SPLIT.X_test), SPLIT.y_train.to_numpy()


@pytest.fixture(params=sorted(FAMILIES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("contract", list_contracts(), ids=lambda contract: contract.name)
def test_a_data_set_is_trained_with_families_of_the_catalogue(contract: Contract) -> None:
    assert set(contract.families) <= FAMILIES.keys()


def test_the_defaults_lie_in_the_search_space_and_are_all_of_it(name: str) -> None:
    family = FAMILIES[name]

    assert family.suggest(optuna.trial.FixedTrial(dict(family.defaults))) == family.defaults


def test_every_corner_of_the_search_space_can_be_fitted(name: str) -> None:
    family = FAMILIES[name]
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))

    for _ in range(8):
        model = family.build_for_tuning(family.suggest(study.ask()), 1).fit(X_TRAIN, Y_TRAIN)
        assert set(model.predict(X_TEST)) <= {0, 1, 2}


def test_the_final_model_gives_a_probability_for_every_class(name: str) -> None:
    model = FAMILIES[name].build(FAMILIES[name].defaults, 1).fit(X_TRAIN, Y_TRAIN)

    probabilities = model.predict_proba(X_TEST)

    assert probabilities.shape == (len(X_TEST), 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


def test_the_same_seed_gives_the_same_model(name: str) -> None:
    family = FAMILIES[name]

    first, second = (family.build(family.defaults, 5).fit(X_TRAIN, Y_TRAIN).predict_proba(X_TEST) for _ in range(2))

    np.testing.assert_array_equal(first, second)


def test_a_model_comes_back_from_its_file_as_it_was_with_no_type_that_the_catalogue_does_not_name(name: str) -> None:
    family = FAMILIES[name]
    for rows in (family.few_rows - 1, family.few_rows):  # a family may have another estimator for few rows
        model = family.final(family.defaults, 1, rows).fit(X_TRAIN, Y_TRAIN)
        content = skops.io.dumps(model)

        assert set(skops.io.get_untrusted_types(data=content)) <= {*family.trusted_types, "numpy.dtype"}
        loaded = skops.io.loads(content, trusted=[*family.trusted_types, "numpy.dtype"])
        np.testing.assert_array_equal(loaded.predict_proba(X_TEST), model.predict_proba(X_TEST))


def test_a_family_weighs_rows_exactly_if_it_says_so(name: str) -> None:
    family = FAMILIES[name]
    rare = Y_TRAIN == 2
    keep = ~rare | (np.cumsum(rare) <= 20)
    X, y = X_TRAIN[keep], Y_TRAIN[keep]
    for build in (family.build, family.build_for_tuning):
        model = build(family.defaults, 1)
        assert has_fit_parameter(model, "sample_weight") == family.weighs_rows
        if family.weighs_rows:
            as_it_is = build(family.defaults, 1).fit(X, y).predict(X_TEST)
            weighed = model.fit(X, y, sample_weight=compute_sample_weight("balanced", y)).predict(X_TEST)
            assert (weighed == 2).sum() > (as_it_is == 2).sum()


def test_the_svm_is_calibrated_by_steps_only_where_there_are_rows_to_find_them() -> None:
    family = FAMILIES["svm"]

    assert family.final(family.defaults, 1, 999).method == "sigmoid"
    assert family.final(family.defaults, 1, 1_000).method == "isotonic"


def test_subsampling_has_an_effect_on_lightgbm() -> None:
    family = FAMILIES["lightgbm"]

    all_rows, half = (
        family.build({**family.defaults, "colsample_bytree": 1.0, "subsample": share}, 1).fit(X_TRAIN, Y_TRAIN).predict_proba(X_TEST)
        for share in (1.0, 0.5)
    )

    assert not np.allclose(all_rows, half)


def test_naming_the_families_does_not_load_the_model_libraries() -> None:
    code = "import sys, hearth.modelling.families; print({'sklearn', 'lightgbm', 'optuna', 'pandas', 'numpy'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
