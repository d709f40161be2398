"""A column with `feature: false`: in the raw file and in the report of groups, never seen by a model, and not needed in a record."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from hearth.contracts import Contract, load_contract
from hearth.contracts.loading import read_contract
from hearth.contracts.record_parser import RecordParser
from hearth.contracts.records import check_records, record_model
from hearth.data.cleaning import clean, digest, split
from hearth.data.csv_validation import read_raw, validate
from hearth.data.profile import profile
from hearth.data.row_hash import row_positions
from hearth.errors import InvalidContract, InvalidRecords
from hearth.fakes import FakeRecords
from hearth.modelling.bounds import judge_bounds
from hearth.modelling.features import build_features
from hearth.modelling.groups import group_masks
from tests.support.contracts import DATA, good_record

EMPLOYEES = load_contract("employees", DATA)


def contract_with(folder: Path, **changes: object) -> Contract:
    """Read the employees' contract, with Gender for groups only and further changes."""
    words = yaml.safe_load((DATA / "employees/contract.yaml").read_text("utf-8"))
    words["columns"]["Gender"]["feature"] = False
    path = folder / "employees/contract.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump({**words, **changes}, sort_keys=False), "utf-8")
    return read_contract(path)


@pytest.fixture
def contract(tmp_path: Path) -> Contract:
    return contract_with(tmp_path)


def raw(rows: int = 600, seed: int = 1) -> pd.DataFrame:
    return FakeRecords.load(EMPLOYEES, DATA).frame(rows, seed)


def accepted(contract: Contract, frame: pd.DataFrame) -> pd.DataFrame:
    return validate(contract, read_raw(contract, frame.to_csv(index=False).encode(), "rows")).accepted


def test_it_is_no_feature_of_any_form(contract: Contract) -> None:
    assert "Gender" not in contract.feature_names
    assert list(contract.group_columns) == ["Gender"]
    assert "Gender" not in contract.categorical_features
    assert [name for _, _, names in build_features(contract).transformers for name in names] == [
        *contract.numeric_features,
        *contract.categorical_features,
    ]


def test_a_record_may_have_it_and_need_not(contract: Contract) -> None:
    record = good_record(contract)
    with_it = {**record, "Gender": "Female"}

    assert "Gender" not in record
    assert not record_model(contract).model_fields["gender"].is_required()
    assert check_records(contract, [record, with_it, {**record, "Gender": None}]) == [record] * 3
    numbers = RecordParser(contract).parse([record, with_it])
    assert np.array_equal(numbers.codes[0], numbers.codes[1])
    with pytest.raises(InvalidRecords, match="Gender"):
        check_records(contract, [{**record, "Gender": "X"}])


def test_the_split_keeps_it_for_the_test_rows_beside_the_features(contract: Contract) -> None:
    parts = split(contract, clean(contract, accepted(contract, raw())).frame)

    assert tuple(parts.X_test.columns) == tuple(parts.X_train.columns) == contract.feature_names
    assert list(parts.groups_test.columns) == ["Gender"]
    assert tuple(parts.described_test.columns) == (*contract.feature_names, "Gender")
    masks = group_masks(contract, parts.described_test)["Gender"]
    assert set(masks) == {"Female", "Male"}
    assert sum(mask.sum() for mask in masks.values()) == len(parts.X_test)
    assert "Gender" not in profile(contract, parts.X_train, parts.y_train, "d").categories


def test_rows_belong_to_their_own_group(contract: Contract) -> None:
    frame = accepted(contract, raw())
    parts = split(contract, clean(contract, frame).frame)
    keys = [*contract.feature_names]

    joined = parts.described_test.merge(frame.drop_duplicates(keys), on=keys, suffixes=("", " in the file"))

    assert len(joined) == len(parts.X_test)
    assert (joined["Gender"] == joined["Gender in the file"]).all()


def test_the_digest_and_the_hash_of_a_row_follow(contract: Contract) -> None:
    frame = clean(contract, accepted(contract, raw())).frame
    other = frame.assign(Gender=frame["Gender"].map({"Female": "Male", "Male": "Female"}))

    assert digest(split(contract, frame)) != digest(split(contract, other))
    assert np.array_equal(row_positions(contract, frame, 1), row_positions(contract, other, 1))


def test_two_people_who_differ_by_it_alone_are_no_duplicates(contract: Contract) -> None:
    frame = raw(50)
    twin = frame.iloc[[0]].assign(Gender="Male" if frame["Gender"].iloc[0] == "Female" else "Female")
    both = accepted(contract, pd.concat([frame, twin], ignore_index=True))

    assert clean(contract, both).dropped["duplicate"] == 0


def test_a_bad_value_costs_the_value_and_not_the_row(contract: Contract) -> None:
    frame = raw(50)
    frame.loc[3, "Gender"] = "?"

    validated = validate(contract, read_raw(contract, frame.to_csv(index=False).encode(), "rows"))

    assert len(validated.rejected) == 0
    assert pd.isna(validated.accepted["Gender"].iloc[3])
    assert "group column" in validated.warnings[0]


def test_rows_without_the_column_are_named_and_break_nothing(contract: Contract) -> None:
    parts = split(contract, clean(contract, accepted(contract, raw())).frame)
    truth = parts.y_test.to_numpy()

    results = judge_bounds(contract, parts.X_test, truth, np.eye(3)[truth], None)

    assert [result.answer for result in results if "Gender" in result.about] == ["cannot tell"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sensitive": [], "gate": {}}, r"columns\.Gender\.feature: false is for groups"),
        ({"drop": ["Employee ID", "Date of Joining", "Years in Company", "Gender"]}, r"the column is named under drop"),
    ],
)
def test_the_word_has_to_make_sense(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidContract, match=message):
        contract_with(tmp_path, **changes)


def test_the_target_is_no_feature_anyway(tmp_path: Path) -> None:
    words = yaml.safe_load((DATA / "employees/contract.yaml").read_text("utf-8"))
    words["columns"]["Burn Rate"]["feature"] = False

    with pytest.raises(InvalidContract, match="the column is the target"):
        contract_with(tmp_path, columns=words["columns"])
