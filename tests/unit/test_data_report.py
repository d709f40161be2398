"""Typical records, and records that are drawn from a profile: always such that the contract takes them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hearth.contracts import Contract, list_contracts
from hearth.contracts.examples import example_record, random_records
from hearth.contracts.record_parser import RecordParser
from hearth.data.data_report import MOST_ENTRIES, largest, sample, shortened, typical_record
from hearth.data.profile import Profile, profile
from hearth.fakes import FakeRecords
from hearth.fakes.typical import fake_records
from hearth.fakes.typical import typical_record as typical_of_statistics
from tests.support.contracts import write_contract
from tests.support.models import DATA

CONTRACTS = {contract.name: contract for contract in list_contracts(DATA)}
EMPLOYEES = CONTRACTS["employees"]


def profile_of(contract: Contract, rows: int = 500) -> Profile:
    frame = FakeRecords.load(contract, DATA).frame(rows, seed=3)
    X = frame[list(contract.feature_names)].copy()
    for name in contract.numeric_features:
        X[name] = X[name].astype("float64")
    for name in contract.categorical_features:
        X[name] = X[name].astype("str")
    return profile(contract, X, pd.Series(np.zeros(rows, dtype=int)), "digest")


@pytest.mark.parametrize("rows", [1, 2, 3, 10, 99, 100])
def test_the_median_of_a_profile_is_that_of_its_values(rows: int) -> None:
    values = np.round(np.random.default_rng(rows).normal(5, 3, rows))
    X = pd.DataFrame(dict.fromkeys(EMPLOYEES.numeric_features, values) | {name: ["x"] * rows for name in EMPLOYEES.categorical_features})
    found = profile(EMPLOYEES, X, pd.Series(np.zeros(rows, dtype=int)), "digest")

    assert found.numbers["Sleep Hours"].median == np.quantile(values, 0.5, method="inverted_cdf")


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_typical_record_is_one_of_the_contract_and_not_the_middle_of_the_range(name: str) -> None:
    contract = CONTRACTS[name]

    for record in (typical_record(contract, profile_of(contract)), typical_of_statistics(contract, DATA)):
        assert list(record) == list(contract.feature_names)
        assert len(RecordParser(contract).parse([record])) == 1
        assert record != example_record(contract)


def test_a_typical_employee_sleeps_as_people_do() -> None:
    assert example_record(EMPLOYEES)["Sleep Hours"] == 12
    assert 5 < float(str(typical_of_statistics(EMPLOYEES, DATA)["Sleep Hours"])) < 8


def test_a_data_set_without_statistics_has_the_middle_of_its_ranges(tmp_path: Path) -> None:
    contract = write_contract(tmp_path)

    assert fake_records(contract, tmp_path) is None
    assert typical_of_statistics(contract, tmp_path) == example_record(contract)


def test_statistics_that_do_not_fit_the_contract_stop_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    contract = write_contract(tmp_path)
    (tmp_path / contract.name / "statistics.json").write_text("{}", encoding="utf-8")

    assert typical_of_statistics(contract, tmp_path) == example_record(contract)
    assert "examples are made without statistics.json" in caplog.text


@pytest.mark.parametrize("name", CONTRACTS)
def test_records_from_a_profile_are_of_the_contract_and_distributed_as_the_profile(name: str) -> None:
    contract = CONTRACTS[name]
    found = profile_of(contract)

    records = sample(contract, found, 400, seed=1)

    assert len(RecordParser(contract).parse(records)) == 400
    assert records == sample(contract, found, 400, seed=1) != sample(contract, found, 400, seed=2)
    drawn = pd.DataFrame(records)
    for column, number in found.numbers.items():
        assert number.minimum is not None
        assert number.maximum is not None
        assert number.mean is not None
        assert abs(drawn[column].mean() - number.mean) < 0.15 * (number.maximum - number.minimum)


def test_a_profile_of_another_contract_gives_records_of_this_one() -> None:
    heart, other = CONTRACTS["heart"], profile_of(EMPLOYEES)

    assert len(RecordParser(heart).parse(sample(heart, other, 20, seed=1))) == 20
    assert typical_record(heart, other) == example_record(heart)


@pytest.mark.parametrize("name", CONTRACTS)
def test_records_from_a_contract_alone_are_of_it(name: str) -> None:
    assert len(RecordParser(CONTRACTS[name]).parse(random_records(CONTRACTS[name], 50, seed=2))) == 50


def test_a_report_is_bounded() -> None:
    assert list(largest({str(number): number for number in range(100)}).values()) == list(range(99, 99 - MOST_ENTRIES, -1))
    texts = shortened(tuple(["x" * 10_000] * 100))
    assert (len(texts), len(texts[0])) == (MOST_ENTRIES, 501)


@pytest.mark.parametrize(
    "change",
    [
        {"shares": (-1.0, 2.0)},
        {"shares": (float("nan"), 1.0)},
        {"shares": (1.0,) * 50},
        {"shares": ()},
        {"minimum": float("-inf")},
        {"edges": (float("inf"),)},
        {"minimum": None, "maximum": None},
    ],
)
def test_a_report_that_somebody_has_forged_gives_records_of_the_contract_all_the_same(change: dict[str, Any]) -> None:
    found = profile_of(EMPLOYEES)
    forged = replace(found, numbers={name: replace(number, **change) for name, number in found.numbers.items()})

    assert len(RecordParser(EMPLOYEES).parse(sample(EMPLOYEES, forged, 20, seed=1))) == 20
    assert len(RecordParser(EMPLOYEES).parse([typical_record(EMPLOYEES, forged)])) == 1
