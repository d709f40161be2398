"""A contract with a mistake is refused with the file, the key and the reason."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from hearth.contracts import Contract, list_contracts, load_contract
from hearth.contracts.kinds import field_name
from hearth.contracts.records import record_model
from hearth.errors import InvalidContract, UnknownDataset

ROOT = Path(__file__).parents[2]
Loader = Callable[[str | bytes], Contract]

GOOD = """
name: staff
title: Staff
description: Who leaves?
source: {file: staff.csv}
target: {column: Risk, cuts: [0.5], classes: [Low, High]}
metric: macro_f1
families: [knn]
drop: [Key, Joined]
columns:
  Key: {kind: identifier, description: d}
  Joined: {kind: date, description: d}
  Sex: {kind: category, categories: [F, M], description: d}
  Level: {kind: integer, minimum: 0, maximum: 5, unit: level, description: d}
  Score: {kind: number, minimum: 0, maximum: 10, unit: score, nullable: true, description: d}
  Risk: {kind: number, minimum: 0, maximum: 1, unit: ratio, nullable: true, description: d}
"""


@pytest.fixture
def load(tmp_path: Path) -> Loader:
    """Write a text as the contract of `staff` and load it."""
    folder = tmp_path / "staff"
    folder.mkdir()

    def load(content: str | bytes) -> Contract:
        (folder / "contract.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
        return load_contract("staff", tmp_path)

    return load


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def test_a_good_contract_says_which_columns_are_features(load: Loader) -> None:
    contract = load(GOOD)

    assert contract.feature_names == ("Sex", "Level", "Score")
    assert contract.numeric_features == ("Level", "Score")
    assert contract.categorical_features == {"Sex": ("F", "M")}


@pytest.mark.parametrize(
    ("content", "key", "reason"),
    [
        # the file
        ("", "the file", "must be a mapping"),
        ("- a\n- b\n", "the file", "must be a mapping"),
        ("name: [", "line 1", "expected the node content"),
        (GOOD + "\tx: 1\n", "line 17", "cannot start any token"),
        (GOOD + "---\nname: other\n", "line 17", "another document"),
        (GOOD.replace("Staff", "St\u00e4ff").encode("latin-1"), "the file", "can't decode byte 0xe4"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "the file", "can't decode byte 0x89"),
        (b"PK\x03\x04\x00\x00", "the file", "special characters are not allowed"),
        ("a: " + "[" * 5000, "the file", "nested too deeply"),
        (changed("title: Staff", "title: !!python/object/apply:os.getcwd []"), "line 3", "could not determine a constructor"),
        # keys
        (GOOD + "name: staff\n", "line 17", "'name' is written twice"),
        (changed("  Level:", "  Sex:"), "line 14", "'Sex' is written twice"),
        (GOOD + "? [a, b]\n: 1\n", "line 17", "a key must be a text"),
        (GOOD + "colums: {}\n", "colums", "Extra inputs are not permitted"),
        (changed("title: Staff\n", ""), "title", "Field required"),
        (changed("maximum: 5,", "maximum: 5, minumum: 0,"), "columns.Level.minumum", "Extra inputs are not permitted"),
        (changed("name: staff", "name: employees"), "name", "is 'employees', but the folder is 'staff'"),
        (changed("name: staff", "name: My Staff"), "name", "should match pattern"),
        (changed("staff.csv", "../staff.csv"), "source.file", "should match pattern"),
        (changed("metric: macro_f1", "metric: f1"), "metric", "'macro_f1' or 'accuracy'"),
        # columns
        (changed("kind: date", "kind: day"), "columns.Joined", "'day'"),
        (changed("kind: date, ", ""), "columns.Joined", "discriminator 'kind'"),
        (changed("unit: level, ", ""), "columns.Level.unit", "Field required"),
        (changed("minimum: 0, maximum: 5", "minimum: 5, maximum: 0"), "columns.Level", "minimum (5) must be below maximum (0)"),
        (changed("minimum: 0, maximum: 5", "minimum: 5, maximum: 5"), "columns.Level", "minimum (5) must be below maximum (5)"),
        (changed("minimum: 0, maximum: 5", "minimum: 0.5, maximum: 5"), "columns.Level", "must be whole"),
        (changed("maximum: 5", "maximum: five"), "columns.Level.maximum", "valid number"),
        (changed("maximum: 5", "maximum: yes"), "columns.Level.maximum", "as booleans"),
        (changed("maximum: 5", "maximum: .inf"), "columns.Level.maximum", "finite"),
        (changed("maximum: 5", "maximum: .nan"), "columns.Level.maximum", "finite"),
        (
            changed("kind: date,", "kind: date, minimum: 2009-01-01, maximum: 2008-01-01,"),
            "columns.Joined",
            "minimum (2009-01-01) must be before maximum (2008-01-01)",
        ),
        (changed("[F, M]", "[F]"), "columns.Sex.categories", "at least 2 items"),
        (changed("[F, M]", "[F, F]"), "columns.Sex.categories", "'F' is named twice"),
        (changed("[F, M]", "[No, Yes]"), "columns.Sex.categories.0", "valid string"),
        (changed("[F, M]", '["", M]'), "columns.Sex.categories", "category '' is empty"),
        (changed("[F, M]", '["F ", M]'), "columns.Sex.categories", "'F ' is empty or starts or ends with a space"),
        (changed("  Level:", '  " Level":'), "columns", "' Level' is empty or starts or ends with a space"),
        (
            GOOD + "  le-vel: {kind: integer, minimum: 0, maximum: 1, unit: u, description: d}\n"
            "  le vel: {kind: integer, minimum: 0, maximum: 1, unit: u, description: d}\n",
            "columns.le vel",
            "differs from 'le-vel' only by signs",
        ),
        # target
        (changed("column: Risk", "column: Burn"), "target.column", "'Burn' must be a number or integer in columns"),
        (changed("column: Risk", "column: Sex"), "target.column", "'Sex' must be a number or integer in columns"),
        (changed("cuts: [0.5]", "cuts: [0.3, 0.6]"), "target", "2 cuts make 3 classes, but classes names 2"),
        (changed("cuts: [0.5], classes: [Low, High]", "cuts: [0.6, 0.3], classes: [a, b, c]"), "target", "cuts must rise"),
        (changed("cuts: [0.5], classes: [Low, High]", "cuts: [0.3, 0.3], classes: [a, b, c]"), "target", "cuts must rise"),
        (changed("cuts: [0.5]", "cuts: [1.5]"), "target.cuts", "must lie within 0 to 1"),
        (changed("cuts: [0.5]", "cuts: [0]"), "target.cuts", "must lie within 0 to 1"),  # no value is below the minimum: an empty class
        (changed("cuts: [0.5], ", ""), "target.cuts", "must be an integer from 0 to 1"),
        (changed("[Low, High]", "[Low, Low]"), "target", "'Low' is named twice"),
        (changed("[Low, High]", "[Low]"), "target.classes", "at least 2 items"),
        # between columns
        (changed("[Key, Joined]", "[Key, Joined, Age]"), "drop", "names 'Age', which is not in columns"),
        (changed("[Key, Joined]", "[Key, Joined, Key]"), "drop", "'Key' is named twice"),
        (changed("[Key, Joined]", "[Key, Joined, Risk]"), "drop", "names the target 'Risk'"),
        (changed("[Key, Joined]", "[Joined]"), "columns.Key", "kind identifier cannot be a feature: name it under drop"),
        (changed("[Key, Joined]", "[Key]"), "columns.Joined", "kind date cannot be a feature"),
        (changed("[Key, Joined]", "[Key, Joined, Sex, Level, Score]"), "columns", "leave no feature"),
        (changed("[knn]", "[]"), "families", "at least 1 item"),
        (changed("[knn]", "[knn, svm, knn]"), "families", "'knn' is named twice"),
        # numbers of other parts
        (GOOD + "cleaning: {max_nulls: -1}\n", "cleaning.max_nulls", "greater than or equal to 0"),
        (GOOD + "cleaning: {max_rejected_share: 5}\n", "cleaning.max_rejected_share", "less than or equal to 1"),
        (GOOD + "split: {test_share: 1}\n", "split.test_share", "less than 1"),
        (GOOD + "split: {seed: -1}\n", "split.seed", "greater than or equal to 0"),
        (GOOD + "features: {scaler: robust}\n", "features.scaler", "'standard' or 'min_max'"),
        (GOOD + "features: {imputer_iterations: true}\n", "features.imputer_iterations", "as booleans"),
    ],
)
def test_a_mistake_is_refused_with_file_key_and_reason(load: Loader, tmp_path: Path, content: str | bytes, key: str, reason: str) -> None:
    with pytest.raises(InvalidContract) as caught:
        load(content)

    assert caught.value.path == tmp_path / "staff" / "contract.yaml"
    assert caught.value.key == key
    assert reason in caught.value.reason
    assert str(caught.value) == f"{caught.value.path}: {key}: {caught.value.reason}"


def test_an_unknown_data_set_is_refused_with_the_names_that_there_are(load: Loader, tmp_path: Path) -> None:
    load(GOOD)

    with pytest.raises(UnknownDataset, match="no data set 'heart'; there are: staff"):
        load_contract("heart", tmp_path)


@pytest.mark.parametrize("name", ["../staff", "staff/", ".", "", "STAFF"])
def test_a_name_never_leads_to_another_folder(load: Loader, tmp_path: Path, name: str) -> None:
    load(GOOD)

    with pytest.raises(UnknownDataset):
        load_contract(name, tmp_path)


def test_an_empty_data_folder_holds_no_data_sets(tmp_path: Path) -> None:
    assert list_contracts(tmp_path) == []
    with pytest.raises(UnknownDataset, match="there are: none"):
        load_contract("employees", tmp_path)


def test_one_bad_contract_is_not_skipped_in_the_list(load: Loader, tmp_path: Path) -> None:
    load(GOOD)
    (tmp_path / "heart").mkdir()
    (tmp_path / "heart" / "contract.yaml").write_text("name: heart", "utf-8")

    with pytest.raises(InvalidContract, match="heart"):
        list_contracts(tmp_path)


def test_class_codes_need_no_cuts(load: Loader) -> None:
    content = yaml.safe_load(GOOD)
    content["target"] = {"column": "Risk", "classes": ["No", "Yes"]}
    content["columns"]["Risk"] = {"kind": "integer", "minimum": 0, "maximum": 1, "unit": "class", "description": "d"}

    assert load(yaml.safe_dump(content)).target.cuts == ()


@pytest.mark.parametrize("name", ["Copy", "JSON", "Model Dump", "1st", "schema", "class", "s_c-o.r e", "\u00c4ge"])
def test_a_column_may_have_a_name_that_means_something_to_python_or_pydantic(load: Loader, name: str) -> None:
    contract = load(GOOD.replace("  Level:", f"  {name}:"))

    record = record_model(contract).model_validate({"Sex": "F", name: 3, "Score": None})

    assert record.model_dump(by_alias=True)[name] == 3
    assert field_name(name).isidentifier()


def test_the_contracts_of_this_repository_are_good() -> None:
    contracts = {contract.name: contract for contract in list_contracts(ROOT / "data")}

    employees = contracts["employees"]
    assert len(employees.columns) == 17
    assert employees.target.cuts == (0.33, 0.66)
    assert employees.drop == ("Employee ID", "Date of Joining", "Years in Company")
    assert len(employees.feature_names) == 13


def test_the_readme_of_a_data_set_has_every_column_as_the_contract_says_it() -> None:
    employees = load_contract("employees", ROOT / "data")
    readme = (ROOT / "data" / "employees" / "README.md").read_text("utf-8")

    for name, column in employees.columns.items():
        role = "target" if name == employees.target.column else "dropped" if name in employees.drop else "feature"
        expected = column.expected + (", may be missing" if column.nullable else "")
        assert f"| {name} | {role} | {expected} | {column.description} |" in readme
