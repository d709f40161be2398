"""What the data check finds in rows that something was planted into, and that it finds nothing where nothing is."""

from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
import yaml

from benchmarks.data_check import PLANTED, generated_rows, reference, without_jump
from hearth.contracts import load_contract
from hearth.contracts.check_words import CheckName
from hearth.data.checks import CHECKS, CheckedRows, CheckReport, check_rows
from hearth.data.checks import runner as runner_module
from hearth.data.cleaning import clean, split
from hearth.data.profile import profile
from tests.support.contracts import ODD_RECORD, write_contract

DATA = Path(__file__).parents[2] / "data"
EMPLOYEES = load_contract("employees", DATA)
ROWS = generated_rows(EMPLOYEES, 6_000, 7)
OTHER = {"Female": "Male", "Male": "Female"}
CLEAN = without_jump(ROWS, np.random.default_rng(7))


@pytest.mark.parametrize(("name", "rows"), [("heart", 302), ("covertype", 6_000)])
@pytest.mark.parametrize("seed", [1, 2])
def test_generated_rows_have_no_warning(name: str, rows: int, seed: int) -> None:
    contract = load_contract(name, DATA)
    before = reference(generated_rows(contract, rows, 99))

    report = check_rows(generated_rows(contract, rows, seed), "generated", before)

    assert report.at("warn", "stop") == ()
    assert report.failed == {}


def test_the_employees_that_jump_are_found_and_nothing_else() -> None:
    [jump] = check_rows(ROWS, "generated", reference(ROWS)).at("warn", "stop")

    assert jump.check == "made_from_target"
    assert set(jump.columns) == {
        "Work Hours per Week",
        "Sleep Hours",
        "Work-Life Balance Score",
        "Manager Support Score",
        "Deadline Pressure Score",
        "Recognition Frequency",
    }
    assert jump.figures["jump_above"] == pytest.approx(0.4)
    assert check_rows(CLEAN, "generated", reference(ROWS)).at("warn", "stop") == ()


@pytest.mark.parametrize("what", PLANTED)
def test_what_is_planted_is_found(what: str) -> None:
    check, plant = PLANTED[what]

    report = check_rows(plant(CLEAN, np.random.default_rng(1)), "planted", reference(CLEAN))

    found = next(finding for finding in report.findings if finding.check == check)
    assert found.level == "info" if "(info)" in what else found.level != "info"
    assert found.advice
    assert CheckReport.from_json(report.to_json()) == report


def test_lines_are_those_of_the_file() -> None:
    copied = ROWS.take(np.array([0, 1, 2, 3, 1]))
    rows = CheckedRows(EMPLOYEES, copied.frame, copied.codes, np.array([2, 3, 4, 5, 9]))

    [finding] = [finding for finding in check_rows(rows, "copies").findings if finding.check == "duplicates"]

    assert (finding.count, finding.lines) == (1, (9,))


def test_a_file_does_not_differ_from_its_own_profile_although_the_cleaning_leaves_rows_out() -> None:
    frame = CLEAN.frame.copy()
    nullable = [name for name, column in EMPLOYEES.feature_columns.items() if column.nullable]
    frame.loc[::5, nullable] = np.nan  # more than cleaning.max_nulls
    rows = CheckedRows.of(EMPLOYEES, frame, CLEAN.lines)
    parts = split(EMPLOYEES, clean(EMPLOYEES, frame).frame)

    report = check_rows(rows, "the same", profile(EMPLOYEES, parts.X_train, parts.y_train, "before"))

    assert len(nullable) > EMPLOYEES.cleaning.max_nulls
    assert [finding for finding in report.findings if finding.check == "missing_share"] == []


def test_copies_are_those_that_the_cleaning_leaves_out(tmp_path: Path) -> None:
    """Rows that differ in a column that is kept for groups are no copies."""
    words = yaml.safe_load((DATA / "employees/contract.yaml").read_text("utf-8"))
    words["columns"]["Gender"]["feature"] = False
    words["cleaning"]["compare_identifiers"] = False
    (tmp_path / "employees").mkdir()
    (tmp_path / "employees/contract.yaml").write_text(yaml.safe_dump(words, sort_keys=False), "utf-8")
    contract = load_contract("employees", tmp_path)
    frame = pd.concat([ROWS.frame, ROWS.frame[:20], ROWS.frame[20:30].assign(Gender=lambda part: part["Gender"].map(OTHER))])
    rows = CheckedRows.of(contract, frame.reset_index(drop=True), np.arange(len(frame)) + 2)

    [finding] = [finding for finding in check_rows(rows, "copies").findings if finding.check == "duplicates"]

    assert finding.count == 20


def test_a_check_that_breaks_is_named_and_costs_no_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> tuple[()]:
        raise ZeroDivisionError("odd data")

    monkeypatch.setattr(runner_module, "CHECKS", {**CHECKS, "leaks": broken})

    report = check_rows(ROWS, "rows")

    assert report.failed == {"leaks": "ZeroDivisionError: odd data"}
    assert [finding.check for finding in report.at("warn")] == ["made_from_target"]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 30, 130])
def test_odd_tables_are_checked(tmp_path: Path, count: int) -> None:
    """Few rows, one class, empty and constant columns: nothing fails."""
    contract = write_contract(tmp_path)
    frame = _typed(contract.feature_names, count)
    frame[contract.target.column] = ["a"] * count
    rows = CheckedRows.of(contract, frame, np.arange(count))

    report = check_rows(rows, "odd")

    assert report.failed == {}
    assert report.rows == count


def test_a_contract_can_skip_every_check_by_its_name() -> None:
    assert set(get_args(CheckName)) == set(CHECKS)
    assert check_rows(ROWS, "rows", skip=CHECKS).findings == ()


def _typed(names: tuple[str, ...], count: int) -> pd.DataFrame:
    columns = {
        name: pd.Series([ODD_RECORD[name]] * count, dtype="str" if isinstance(ODD_RECORD[name], str) else "float64") for name in names
    }
    if count:
        columns["Q1_1"] = pd.Series(np.full(count, np.nan))
    return pd.DataFrame(columns)
