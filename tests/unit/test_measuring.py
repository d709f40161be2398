"""What is measured on a file gives its rows again, and says nothing about single people."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hearth.contracts import Contract
from hearth.errors import InvalidRawData
from hearth.fakes import FakeRecords
from hearth.fakes.checks import find_mistake
from hearth.fakes.measuring import measure
from hearth.fakes.statistics import Statistics

ROOT = Path(__file__).parents[2]
NUMBER = {"kind": "number", "description": "d", "unit": "u", "minimum": 0, "maximum": 1000}
CONTRACT = Contract.model_validate(
    {
        "name": "staff",
        "title": "t",
        "description": "d",
        "source": {"file": "staff.csv"},
        "target": {"column": "Risk", "cuts": [0.5], "classes": ["Low", "High"]},
        "metric": "macro_f1",
        "families": ["knn"],
        "drop": ["Key", "Joined"],
        "columns": {
            "Key": {"kind": "identifier", "description": "d"},
            "Joined": {"kind": "date", "description": "d"},
            "Sex": {"kind": "category", "categories": ["F", "M", "X"], "description": "d"},
            "Hours": {**NUMBER, "kind": "integer"},
            "Pay": {**NUMBER, "nullable": True},
            "Score": {**NUMBER, "nullable": True},
            "Risk": {**NUMBER, "maximum": 1, "nullable": True},
        },
    }
)
ROWS = 6_000


@cache
def people() -> pd.DataFrame:
    """Typed rows as `validate` gives them: hours jump at a risk of 0.4, pay follows risk, pay and score are often missing together."""
    generator = np.random.default_rng(0)
    risk = generator.uniform(size=ROWS).round(2)
    hours = np.where(risk <= 0.4, generator.integers(30, 40, ROWS), generator.integers(50, 60, ROWS)).astype(float)
    pay = (100 + 300 * risk + generator.normal(0, 20, ROWS)).round(1)
    pay[0], risk[0] = 999.0, 0.95  # one person that anyone would know
    score = generator.normal(500, 50, ROWS).round(2)
    silent = generator.uniform(size=ROWS) < 0.1
    return pd.DataFrame(
        {
            "Key": [f"{i:06x}" + "0" * (i % 2) for i in range(ROWS)],
            "Joined": pd.Timestamp("2008-01-01") + pd.to_timedelta(generator.integers(0, 365, ROWS), unit="D"),
            "Sex": pd.Series(np.where(np.arange(ROWS) == 17, "X", np.where(generator.uniform(size=ROWS) < 0.3, "M", "F")), dtype="str"),
            "Hours": hours,
            "Pay": np.where(silent & (generator.uniform(size=ROWS) < 0.8), np.nan, pay),
            "Score": np.where(silent & (generator.uniform(size=ROWS) < 0.8), np.nan, score),
            "Risk": np.where(generator.uniform(size=ROWS) < 0.05, np.nan, risk),
        }
    )


@cache
def measured() -> Statistics:
    return measure(CONTRACT, people(), [], how="a test")


@cache
def drawn() -> pd.DataFrame:
    return FakeRecords.of(CONTRACT, measured()).frame(20_000, seed=1)


def test_what_is_measured_fits_its_contract() -> None:
    assert find_mistake(CONTRACT, measured()) is None
    assert measured().about.rows == ROWS


def test_a_stratum_ends_where_the_other_columns_jump() -> None:
    assert 0.4 in {stratum.target[1] for stratum in measured().strata if stratum.target}


def test_rows_without_target_are_a_stratum_of_their_own() -> None:
    [without] = [stratum for stratum in measured().strata if stratum.target is None]

    assert without.rows == people()["Risk"].isna().sum()
    assert "Risk" not in without.marginals


def test_edges_that_are_given_are_kept() -> None:
    strata = measure(CONTRACT, people(), [0.4, 0.7], how="a test").strata

    assert [stratum.target[1] for stratum in strata if stratum.target] == [0.4, 0.7, 1.0]


def test_drawn_rows_depend_on_each_other_like_the_measured_ones() -> None:
    names = ["Hours", "Pay", "Score", "Risk"]

    expected = people()[names].corr("spearman").to_numpy()
    assert np.abs(drawn()[names].corr("spearman").to_numpy() - expected).max() < 0.04
    assert drawn().loc[drawn()["Risk"] <= 0.4, "Hours"].max() < 40
    assert drawn().loc[drawn()["Risk"] > 0.4, "Hours"].min() >= 50


def test_values_go_missing_together_like_the_measured_ones() -> None:
    def together(frame: pd.DataFrame) -> list[float]:
        return [
            float(frame["Pay"].isna().mean()),
            float(frame["Score"].isna().mean()),
            float(frame[["Pay", "Score"]].isna().all(axis=1).mean()),
        ]

    assert together(people())[2] > 4 * together(people())[0] * together(people())[1]  # far from independent
    assert together(drawn()) == pytest.approx(together(people()), abs=0.012)


def test_numbers_have_the_decimals_of_the_file() -> None:
    assert {name: column.decimals for name, column in measured().columns.items() if column.decimals is not None} == {
        "Pay": 1,
        "Score": 2,
        "Risk": 2,
    }
    assert np.array_equal(drawn()["Pay"].dropna(), drawn()["Pay"].dropna().round(1))


def test_a_single_person_leaves_no_trace() -> None:
    text = measured().model_dump_json()

    assert "999" not in text
    assert '"X"' not in text
    assert drawn()["Pay"].max() < 500


def test_copies_of_a_row_are_measured_once() -> None:
    twice = pd.concat([people(), people()], ignore_index=True)

    assert measure(CONTRACT, twice, [0.4], how="a test").strata == measure(CONTRACT, people(), [0.4], how="a test").strata


def test_too_small_a_stratum_is_refused_with_its_bounds() -> None:
    with pytest.raises(InvalidRawData, match=r"Only \d+ rows have 'Risk' within 0 to 0\.01: a stratum needs 100\."):
        measure(CONTRACT, people(), [0.01, 0.5], how="a test")


def test_a_class_code_is_a_stratum() -> None:
    columns = {**CONTRACT.model_dump()["columns"], "Risk": {**NUMBER, "kind": "integer", "maximum": 1}}
    contract = Contract.model_validate(
        {**CONTRACT.model_dump(), "target": {"column": "Risk", "classes": ["Low", "High"]}, "columns": columns}
    )
    codes = people()[people()["Risk"].notna()].assign(Risk=lambda frame: (frame["Risk"] > 0.4).astype(float))

    statistics = measure(contract, codes, [], how="a test")

    assert [stratum.target for stratum in statistics.strata] == [(0, 0), (1, 1)]
    assert set(FakeRecords.of(contract, statistics).frame(500, seed=1)["Risk"]) == {0, 1}


def test_a_category_as_target_is_a_stratum_for_each_of_its_values() -> None:
    kinds = {**CONTRACT.model_dump()["columns"], "Kind": {"kind": "category", "categories": ["b", "c", "a"], "description": "d"}}
    contract = Contract.model_validate(
        {**CONTRACT.model_dump(), "target": {"column": "Kind", "classes": ["B", "C", "A"]}, "columns": kinds, "drop": ["Key", "Joined"]}
    )
    hours = people()["Hours"]
    rows = people().assign(Kind=pd.Series(np.where(hours < 35, "a", np.where(hours < 55, "b", "c")), dtype="str"))

    statistics = measure(contract, rows, [], how="a test")

    assert [stratum.target for stratum in statistics.strata] == [(0, 0), (1, 1), (2, 2)]
    drawn_rows = FakeRecords.of(contract, statistics).frame(2_000, seed=1)
    assert drawn_rows.groupby("Kind")["Hours"].max().to_dict() == {"a": 34, "b": 54, "c": 59}


@pytest.mark.parametrize("rows", [300, 500, 2_000])
def test_a_small_stratum_has_so_few_quantiles_that_ten_rows_lie_between_two(rows: int) -> None:
    part = people()[people()["Risk"].notna()].head(rows)

    for stratum in measure(CONTRACT, part, [0.5], how="a test").strata:
        known = stratum.rows * (1 - stratum.missing.get("Score", 0))
        assert len(stratum.marginals["Score"]) == pytest.approx(min(25, known / 10 + 1), abs=1)


def test_make_data_writes_the_rows_of_its_seed(tmp_path: Path) -> None:
    output = tmp_path / "a folder" / "demo.csv"

    done = _make_data("--rows", "50", "--seed", "7", "--output", str(output))

    assert done.returncode == 0, done.stderr
    assert f"{output}: 50 fake rows of 'employees' (seed 7)" in done.stdout
    assert len(output.read_text("utf-8").splitlines()) == 51


@pytest.mark.parametrize(
    ("arguments", "reason"), [(["--rows", "0"], "whole number of 1 or more"), (["--dataset", "cats"], "no data set 'cats'")]
)
def test_make_data_says_what_it_was_given_wrong(tmp_path: Path, arguments: list[str], reason: str) -> None:
    done = _make_data(*arguments, "--output", str(tmp_path / "demo.csv"))

    assert done.returncode != 0
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "demo.csv").exists()


def _make_data(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hearth", "data", "make", *arguments]
    environment = {**os.environ, "HEARTH_ROOT": str(ROOT), "HEARTH_ENVIRONMENT": "laptop", "HEARTH_DATA_DIR": "data"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False)
