import subprocess
import sys

import numpy as np
import optuna
import pytest

from hearth.families import FAMILIES
from hearth.features import build_features
from tests.samples import EMPLOYEES, sample_split

SPLIT = sample_split(EMPLOYEES)
FEATURES = build_features(EMPLOYEES).fit(SPLIT.X_train)
X_TRAIN, X_TEST, Y_TRAIN = FEATURES.transform(SPLIT.X_train), FEATURES.transform(SPLIT.X_test), SPLIT.y_train.to_numpy()


@pytest.fixture(params=sorted(FAMILIES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_employees_are_trained_with_families_of_the_catalogue() -> None:
    assert set(EMPLOYEES.families) <= FAMILIES.keys()


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


def test_subsampling_has_an_effect_on_lightgbm() -> None:
    family = FAMILIES["lightgbm"]

    all_rows, half = (
        family.build({**family.defaults, "colsample_bytree": 1.0, "subsample": share}, 1).fit(X_TRAIN, Y_TRAIN).predict_proba(X_TEST)
        for share in (1.0, 0.5)
    )

    assert not np.allclose(all_rows, half)


def test_naming_the_families_does_not_load_the_model_libraries() -> None:
    code = "import sys, hearth.families; print({'sklearn', 'lightgbm', 'optuna', 'pandas', 'numpy'} & set(sys.modules))"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "set()"
