"""What is estimated of the versions of a rollout, from answers in a real database."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from hearth.predictions.drift_store import DriftStore
from hearth.predictions.migration import migrate
from hearth.predictions.rollout_store import Rollout
from hearth.serving.rollouts.estimates import Estimator
from tests.support.samples import EMPLOYEES
from tests.support.served_records import store_answers

START = datetime(2026, 11, 29, tzinfo=UTC)
ROLLOUT = Rollout("r", "employees", "2", "1", "canary", "running", 0.5, "ada", START, START, None, "", {})


@pytest.mark.parametrize("fallen", [False, True])
def test_a_champion_that_labels_speak_against_is_not_compared_by_its_own_probabilities(fresh_database: str, fallen: bool) -> None:
    migrate(fresh_database)
    sure, honest = (np.tile([top, 1 - top, 0.0], (300, 1)) for top in (0.95, 0.8))
    record = dict.fromkeys(EMPLOYEES.feature_names)
    with DriftStore(fresh_database) as store:
        for number, (version, probabilities) in enumerate((("1", sure), ("2", honest)), start=1):
            store_answers(store, EMPLOYEES, version, [record] * 300, probabilities, START + timedelta(seconds=number))
        champion = ("employees", "1")
        estimates = Estimator(store, lambda dataset, version: fallen and (dataset, version) == champion)(EMPLOYEES, ROLLOUT)

    assert (estimates is None) is fallen
    if estimates:
        assert estimates.champion.value > estimates.candidate.value
