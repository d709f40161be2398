"""Labelled served records as rows that can be trained on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hearth.contracts import list_contracts
from hearth.data.cleaning import target_codes
from hearth.fakes import FakeRecords
from hearth.monitoring.labelled_rows import labelled_rows, mixed, raw_target, split_by_time
from tests.support.samples import EMPLOYEES, ROOT, sample_split

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
CONTRACTS = {contract.name: contract for contract in list_contracts(ROOT / "data")}
PLAIN = EMPLOYEES.model_copy(update={"cleaning": EMPLOYEES.cleaning.model_copy(update={"compare_identifiers": False})})


@dataclass(frozen=True)
class Labelled:
    message_id: str
    row: int
    record: Mapping[str, object]
    truth: int
    scored_at: datetime


RECORDS = FakeRecords.load(EMPLOYEES, ROOT / "data").records(300, 1)
FULL = [record for record in RECORDS if None not in record.values()]


def labelled(records: Sequence[Mapping[str, object]], truth: int = 1) -> list[Labelled]:
    return [Labelled("m", row, record, truth, NOON + timedelta(seconds=row)) for row, record in enumerate(records)]


@pytest.mark.parametrize("name", CONTRACTS)
def test_the_etl_reads_each_class_back_from_what_a_file_would_hold_for_it(name: str) -> None:
    contract = CONTRACTS[name]
    codes = list(range(len(contract.target.classes)))
    raw = pd.Series([raw_target(contract, code) for code in codes])
    assert target_codes(contract, raw).tolist() == codes


@given(cuts=st.lists(st.floats(0.01, 1.0).map(lambda cut: round(cut, 3)), min_size=1, max_size=6, unique=True))
def test_classes_that_are_cut_are_read_back_wherever_the_cuts_are(cuts: list[float]) -> None:
    cuts.sort()
    target = EMPLOYEES.target.model_copy(update={"cuts": tuple(cuts), "classes": tuple(map(str, range(len(cuts) + 1)))})
    contract = EMPLOYEES.model_copy(update={"target": target})
    raw = pd.Series([raw_target(contract, code) for code in range(len(cuts) + 1)])
    assert target_codes(contract, raw).tolist() == list(range(len(cuts) + 1))


def test_rows_are_in_the_order_in_which_they_were_scored_with_the_types_of_the_etl() -> None:
    rows = labelled_rows(EMPLOYEES, labelled(FULL[:50])[::-1])
    assert rows.keys == tuple(("m", row) for row in range(50))
    assert list(rows.frame.columns) == [*EMPLOYEES.feature_names, "Burn Rate"]
    assert rows.frame["Gender"].tolist() == [record["Gender"] for record in FULL[:50]]
    assert rows.frame["Designation"].dtype == np.float64


def test_a_record_that_the_contract_of_today_refuses_costs_no_good_one_beside_it() -> None:
    bad = [{**FULL[0], "Gender": "Unknown"}, {**FULL[1], "Sleep Hours": 1e9}, {}, {**FULL[2], "Resource Allocation": None}]
    rows = labelled_rows(EMPLOYEES, [*labelled(FULL[:10]), *labelled(bad), Labelled("n", 0, FULL[3], 7, NOON)])
    assert len(rows) == 11
    assert rows.dropped == {"rejected": 3, "no_class": 1, "too_many_missing": 0, "duplicate": 0}


def test_records_that_miss_more_than_the_etl_keeps_are_left_out() -> None:
    nullable = [name for name, column in EMPLOYEES.feature_columns.items() if column.nullable][:2]
    rows = labelled_rows(EMPLOYEES, labelled([*FULL[:5], {**FULL[5], **dict.fromkeys(nullable)}]))
    assert (len(rows), rows.dropped["too_many_missing"]) == (5, 1)


def test_equal_records_are_different_ones_where_the_contract_compares_identifiers_and_copies_where_not() -> None:
    equal = labelled([FULL[0]] * 3)
    assert len(labelled_rows(EMPLOYEES, equal)) == 3
    rows = labelled_rows(PLAIN, equal)
    assert (rows.keys, rows.dropped["duplicate"]) == ((("m", 2),), 2)


def test_personal_features_make_it_impossible() -> None:
    hidden = EMPLOYEES.columns["Gender"].model_copy(update={"personal": True})
    contract = EMPLOYEES.model_copy(update={"columns": {**EMPLOYEES.columns, "Gender": hidden}})
    with pytest.raises(ValueError, match="values of Gender are not stored"):
        labelled_rows(contract, labelled(FULL[:3]))


def test_the_newest_rows_judge_and_no_row_that_equals_one_of_them_trains() -> None:
    rows = labelled_rows(EMPLOYEES, labelled([*FULL[:40], FULL[3], *FULL[40:49]]))
    split, copies = split_by_time(EMPLOYEES, rows, 10)
    assert (len(split.X_train), len(split.X_test), copies) == (39, 10, 1)
    assert split.X_test["Sleep Hours"].tolist()[1:] == [record["Sleep Hours"] for record in FULL[40:49]]
    assert split.y_test.tolist() == [1] * 10
    with pytest.raises(ValueError, match="50 labelled rows are too few to hold 50 out"):
        split_by_time(EMPLOYEES, rows, 50)


@given(old=st.integers(20, 300), new=st.integers(12, 200))
def test_reference_and_window_have_equal_total_weight_and_one_mean(old: int, new: int) -> None:
    window, _ = split_by_time(EMPLOYEES, labelled_rows(EMPLOYEES, labelled(FULL[:new])), 10)
    both = mixed(window, sample_split(EMPLOYEES, train_rows=old))
    assert both.weights_train is not None
    assert len(both.X_train) == len(both.y_train) == len(both.weights_train)
    assert both.weights_train.iloc[:old].sum() == pytest.approx(both.weights_train.iloc[old:].sum())
    assert both.weights_train.mean() == pytest.approx(1)
    assert both.X_test is window.X_test


def test_reference_rows_that_are_held_out_do_not_train_either() -> None:
    window, _ = split_by_time(EMPLOYEES, labelled_rows(EMPLOYEES, labelled(FULL[:50])), 10)
    reference = sample_split(EMPLOYEES, train_rows=30)
    known = pd.concat([reference.X_train, window.X_test.iloc[:4]], ignore_index=True)
    both = mixed(window, sample_split(EMPLOYEES, train_rows=34).__class__(known, reference.X_test, pd.Series([0] * 34), reference.y_test))
    assert len(both.X_train) == 30 + len(window.X_train)
