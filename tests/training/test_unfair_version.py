"""The bounds of the employees' contract: LightGBM meets them, and a version that was made unfair on purpose is refused by name."""

from functools import cache

import numpy as np
import pandas as pd
import pytest

from hearth.contracts import load_contract
from hearth.data.cleaning import Split, clean, split
from hearth.data.csv_validation import read_raw, validate
from hearth.fakes import FakeRecords
from hearth.modelling.families import FAMILIES
from hearth.modelling.gate import ComparedRows, Entrant, decide
from hearth.training.tuning import fit
from tests.support.real_files import ROOT, require_real_file

EMPLOYEES = load_contract("employees", ROOT / "data")
HIGH = EMPLOYEES.target.classes.index("High")


def content(source: str) -> bytes:
    if source == "the real file":
        return require_real_file("employees").read_bytes()
    return FakeRecords.load(EMPLOYEES, ROOT / "data").frame(15_000, seed=42).to_csv(index=False).encode()


@cache
def parts(source: str) -> Split:
    accepted = validate(EMPLOYEES, read_raw(EMPLOYEES, content(source), source)).accepted
    return split(EMPLOYEES, clean(EMPLOYEES, accepted).frame)


def entrant(version: str, X: pd.DataFrame, y: pd.Series, X_test: pd.DataFrame) -> Entrant:
    family = FAMILIES["lightgbm"]
    return Entrant(version, np.asarray(fit(EMPLOYEES, X, y, family, params=family.defaults, seed=1).predict_proba(X_test)))


@pytest.mark.parametrize("source", ["generated rows", "the real file"])
class TestEmployees:
    def test_lightgbm_meets_every_bound(self, source: str) -> None:
        data = parts(source)

        fair = entrant("1", data.X_train, data.y_train, data.X_test)
        verdict = decide(EMPLOYEES, ComparedRows(data.X_test, data.y_test.to_numpy()), "lightgbm", fair, None)

        assert verdict.passed
        assert {result.bound for result in verdict.bounds} >= {
            "calibration_error",
            "recall_gap.High",
            "selection_rate_gap.High",
            "group_metric",
        }
        assert {result.answer for result in verdict.bounds} == {"met"}

    def test_a_version_that_learnt_to_overlook_women_who_burn_out_is_refused_by_name(self, source: str) -> None:
        """Half of the women who are High stand in its train set as Medium."""
        data = parts(source)
        overlooked = (
            (data.X_train["Gender"] == "Female") & (data.y_train == HIGH) & (np.random.default_rng(0).random(len(data.X_train)) < 0.5)
        )

        unfair = entrant("2", data.X_train, data.y_train.mask(overlooked, HIGH - 1), data.X_test)
        verdict = decide(EMPLOYEES, ComparedRows(data.X_test, data.y_test.to_numpy()), "lightgbm", unfair, None)

        assert not verdict.passed
        assert "version 2 has macro_f1" in verdict.reason
        assert "it does not get 'lightgbm': recall_gap.High broken (Gender: Male against Female)" in verdict.reason
