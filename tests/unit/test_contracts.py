"""A contract with a mistake is refused with the file, the key and the reason."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hearth.contracts import CategoryColumn, Contract, DateColumn, NumberColumn, list_contracts, load_contract
from hearth.contracts.airflow_names import Dag, dag_id, variable_name
from hearth.contracts.file_format import FileFormat
from hearth.contracts.gate_words import Bounds, Gate
from hearth.contracts.model import BatchSource, Cleaning, Features, FileSource, Split, Target
from hearth.contracts.names import field_name
from hearth.contracts.probability_words import Sets
from hearth.contracts.record_parser import RecordParser
from hearth.contracts.records import check_records, record_model
from hearth.errors import InvalidContract, InvalidRecords, UnknownDataset

if TYPE_CHECKING:
    from hearth.contracts.column_types import Part

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
        (changed("{file: staff.csv}", "{}"), "source.file", "Field required"),
        (changed("{file: staff.csv}", "staff.csv"), "source", "a valid dictionary"),
        (changed("{file: staff.csv}", "{kind: table, file: staff.csv}"), "source", "'file', 'batches'"),
        (changed("{file: staff.csv}", "{kind: batches, file: staff.csv}"), "source.table", "Field required"),
        (changed("{file: staff.csv}", "{kind: batches, file: a.csv, table: a; drop}"), "source.table", "should match pattern"),
        (changed("{file: staff.csv}", "{kind: batches, file: a.csv, table: a, path: http://x}"), "source.path", "should match pattern"),
        (changed("metric: macro_f1", "metric: f1"), "metric", "'macro_f1' or 'accuracy'"),
        (GOOD + "imbalance: smote\n", "imbalance", "'none' or 'class_weights'"),
        # columns
        (changed("kind: date", "kind: day"), "columns.Joined", "'day'"),
        (changed("kind: date, ", ""), "columns.Joined", "discriminator 'kind'"),
        (changed("unit: level, ", ""), "columns.Level.unit", "Field required"),
        (changed("minimum: 0, maximum: 5", "minimum: 5, maximum: 0"), "columns.Level", "minimum (5) must be below maximum (0)"),
        (changed("minimum: 0, maximum: 5", "minimum: 5, maximum: 5"), "columns.Level", "minimum (5) must be below maximum (5)"),
        (changed("minimum: 0, maximum: 5", "minimum: 0.5, maximum: 5"), "columns.Level", "must be whole"),
        (changed("maximum: 5", "maximum: five"), "columns.Level.maximum", "valid number"),
        (changed("maximum: 5", "maximum: true"), "columns.Level.maximum", "reads true as a boolean"),
        (changed("maximum: 5", "maximum: .inf"), "columns.Level.maximum", "finite"),
        (changed("maximum: 5", "maximum: .nan"), "columns.Level.maximum", "finite"),
        (
            changed("kind: date,", "kind: date, minimum: 2009-01-01, maximum: 2008-01-01,"),
            "columns.Joined",
            "minimum (2009-01-01) must be before maximum (2008-01-01)",
        ),
        (changed("[F, M]", "[F]"), "columns.Sex.categories", "at least 2 items"),
        (changed("[F, M]", "[F, F]"), "columns.Sex.categories", "'F' is named twice"),
        (changed("[F, M]", "[false, true]"), "columns.Sex.categories.0", "reads the boolean false: put a text in quotes"),
        (changed("[F, M]", "[~, M]"), "columns.Sex.categories.0", "reads nothing: put a text in quotes"),
        (changed("[F, M]", "[2020-01-01, M]"), "columns.Sex.categories.0", "reads the date 2020-01-01: put a text in quotes"),
        (changed("[F, M]", '["", M]'), "columns.Sex.categories", "category '' is empty"),
        (changed("[F, M]", '["F ", M]'), "columns.Sex.categories", "'F ' is empty or starts or ends with a space"),
        (changed("[F, M]", "[F, 1]"), "columns.Sex.categories", "all texts or all whole numbers, got 'F', 1"),
        (changed("[F, M]", "[0, 1.5]"), "columns.Sex.categories.1", "a text or a whole number"),
        (changed("[F, M]", "{0: female, 1: female}"), "columns.Sex", "'female' is named twice"),
        (changed("[F, M]", "{0: female, 1: 5}"), "columns.Sex.meanings.1", "valid string"),
        (changed("[F, M]", "{0: female}"), "columns.Sex.categories", "at least 2 items"),
        (changed("  Level:", '  " Level":'), "columns", "' Level' is empty or starts or ends with a space"),
        (
            GOOD + "  le-vel: {kind: integer, minimum: 0, maximum: 1, unit: u, description: d}\n"
            "  le vel: {kind: integer, minimum: 0, maximum: 1, unit: u, description: d}\n",
            "columns.le vel",
            "differs from 'le-vel' only by signs",
        ),
        # target
        (changed("column: Risk", "column: Burn"), "target.column", "'Burn' must be a number, an integer or a category in columns"),
        (changed("column: Risk", "column: Joined").replace("[Key, Joined]", "[Key]"), "target.column", "'Joined' must be a number"),
        (changed("column: Risk", "column: Sex"), "target.cuts", "'Sex' is a category, which cannot be cut"),
        (changed("column: Risk, cuts: [0.5], classes: [Low, High]", "column: Sex, classes: [a, b, c]"), "target.classes", "'F', 'M'"),
        (changed("column: Risk, cuts: [0.5], classes: [Low, High]", "column: Sex, classes: {F: a, X: b}"), "target.classes", "'F', 'M'"),
        (changed("classes: [Low, High]", "classes: {0: Low, 1: High}"), "target", "holds no codes"),
        (changed("cuts: [0.5], classes: [Low, High]", "classes: {1: Low, a: High}"), "target", "all texts or all whole numbers"),
        (changed("cuts: [0.5], classes: [Low, High]", "classes: {true: Low, false: High}"), "target.codes.0", "put a text in quotes"),
        (changed("column: Risk, cuts: [0.5], classes: [Low, High]", "column: Level, classes: {1: a, 2: b}"), "target.classes", "1, 2"),
        (changed("cuts: [0.5]", "cuts: [0.3, 0.6]"), "target", "2 cuts make 3 classes, but classes names 2"),
        (changed("cuts: [0.5], classes: [Low, High]", "cuts: [0.6, 0.3], classes: [a, b, c]"), "target", "cuts must rise"),
        (changed("cuts: [0.5], classes: [Low, High]", "cuts: [0.3, 0.3], classes: [a, b, c]"), "target", "cuts must rise"),
        (changed("cuts: [0.5]", "cuts: [1.5]"), "target.cuts", "must lie within 0 to 1"),
        (changed("cuts: [0.5]", "cuts: [0]"), "target.cuts", "must lie within 0 to 1"),  # no value is below the minimum: an empty class
        (changed("cuts: [0.5], ", ""), "target.classes", "must be an integer whose range is just the codes: 0, 1"),
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
        (GOOD + "features: {imputer: nearest}\n", "features.imputer", "'mice', 'knn', 'median', 'mean' or 'most_frequent'"),
        (GOOD + "features: {imputer_neighbors: 0}\n", "features.imputer_neighbors", "greater than or equal to 1"),
        (GOOD + "features: {category_imputer: mode}\n", "features.category_imputer", "'own_category' or 'most_frequent'"),
        (GOOD + "features: {imputer_iterations: true}\n", "features.imputer_iterations", "as a boolean"),
        # the gate, and whose groups are compared
        (GOOD + "gate: {passes: always}\n", "gate.passes", "'tie_break', 'better' or 'not_worse'"),
        (GOOD + "gate: {ties: [log_loss, log_loss]}\n", "gate", "'log_loss' is named twice"),
        (GOOD + "gate: {ties: [beauty]}\n", "gate.ties.0", "'log_loss' or 'size'"),
        (GOOD + "gate: {margin: 0}\n", "gate.margin", "greater than 0"),
        (GOOD + "gate: {level: 95}\n", "gate.level", "less than 1"),
        (GOOD + "gate: {bounds: {calibration_eror: 0.1}}\n", "gate.bounds.calibration_eror", "Extra inputs"),
        (GOOD + "gate: {bounds: {recall_gap: 0.1}}\n", "gate.bounds.recall_gap", "valid dictionary"),
        (GOOD + "gate: {bounds: {recall_gap: {High: 10}}}\n", "gate.bounds", "recall_gap.High must lie above 0 and at most 1, got 10"),
        (GOOD + "gate: {bounds: {recall_gap: {High: 0.1}}}\n", "gate.bounds", "compares groups, but no column is named under sensitive"),
        (
            GOOD + "sensitive: [Sex]\ngate: {bounds: {selection_rate_gap: {Middle: 0.1}}}\n",
            "gate.bounds.selection_rate_gap",
            "names 'Middle', which is no class: Low, High",
        ),
        # probabilities
        (GOOD + "calibration: platt\n", "calibration", "'auto', 'none', 'isotonic', 'sigmoid' or 'temperature'"),
        (GOOD + "calibration: ~\n", "calibration", "'auto', 'none', 'isotonic', 'sigmoid' or 'temperature'"),
        (GOOD + "sets: 0.9\n", "sets", "valid dictionary"),
        (GOOD + "sets: {level: 90}\n", "sets.level", "less than 1"),
        (GOOD + "sets: {level: 0.4}\n", "sets.level", "greater than or equal to 0.5"),
        (GOOD + "sets: {level: true}\n", "sets.level", "as a boolean"),
        (GOOD + "sensitive: [Sex, Sex]\n", "sensitive", "'Sex' is named twice"),
        (GOOD + "sensitive: [Gender]\n", "sensitive.Gender", "must be a category without limits"),
        (GOOD + "sensitive: [Level]\n", "sensitive.Level", "a number with the limits of its bands"),
        (GOOD + "sensitive: {Level: [3, 3]}\n", "sensitive.Level", "must rise, got [3.0, 3.0]"),
        (GOOD + "sensitive: {Sex: [1]}\n", "sensitive.Sex", "must be a category without limits"),
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


def test_the_dags_of_a_data_set_are_called_after_it_unless_the_contract_says_otherwise(load: Loader) -> None:
    plain, named = load(GOOD), load(GOOD + "dags_without_prefix: [train, mlops_pipeline]\n")

    assert (dag_id(plain, "etl_mlflow"), dag_id(plain, "train", "knn")) == ("staff_etl_mlflow", "staff_train_knn")
    assert (dag_id(named, "etl_mlflow"), dag_id(named, "train", "knn")) == ("staff_etl_mlflow", "train_knn")
    assert (variable_name(plain, "best_model_type"), variable_name(named, "best_model_type")) == (
        "staff_best_model_type",
        "best_model_type",
    )


def test_two_data_sets_cannot_have_the_same_dag(load: Loader, tmp_path: Path) -> None:
    load(GOOD + "dags_without_prefix: [train]\n")
    (tmp_path / "others").mkdir()
    text = GOOD.replace("name: staff", "name: others") + "dags_without_prefix: [etl_mlflow, train]\n"
    (tmp_path / "others" / "contract.yaml").write_text(text, "utf-8")

    with pytest.raises(InvalidContract) as refused:
        list_contracts(tmp_path)

    assert refused.value.path == tmp_path / "staff" / "contract.yaml"
    assert refused.value.key == "dags_without_prefix"
    assert "names 'train', as 'others' does" in refused.value.reason


def test_class_codes_need_no_cuts(load: Loader) -> None:
    content = yaml.safe_load(GOOD)
    content["target"] = {"column": "Risk", "classes": ["No", "Yes"]}
    content["columns"]["Risk"] = {"kind": "integer", "minimum": 0, "maximum": 1, "unit": "class", "description": "d"}

    assert load(yaml.safe_dump(content)).target.cuts == ()


@pytest.mark.parametrize(
    ("target", "column", "codes", "classes"),
    [
        ("{column: Risk, cuts: [0.5], classes: [Low, High]}", "", (0, 1), ("Low", "High")),
        ("{column: Kind, classes: [a, b, c]}", "{kind: integer, minimum: 0, maximum: 2, unit: class}", (0, 1, 2), ("a", "b", "c")),
        ("{column: Kind, classes: {3: a, 1: b, 2: c}}", "{kind: integer, minimum: 1, maximum: 3, unit: class}", (3, 1, 2), ("a", "b", "c")),
        ("{column: Kind, classes: [A, B]}", "{kind: category, categories: [a, b]}", ("a", "b"), ("A", "B")),
        ("{column: Kind, classes: {b: B, a: A}}", "{kind: category, categories: [a, b]}", ("b", "a"), ("B", "A")),
        ("{column: Kind, classes: {-1: A, 7: B}}", "{kind: category, categories: [7, -1]}", (-1, 7), ("A", "B")),
    ],
)
def test_a_class_has_the_code_that_the_data_hold_for_it(
    load: Loader, target: str, column: str, codes: tuple[str | int, ...], classes: tuple[str, ...]
) -> None:
    content = changed("{column: Risk, cuts: [0.5], classes: [Low, High]}", target)
    contract = load(content + (f"  Kind: {column[:-1]}, description: d}}\n" if column else ""))

    assert contract.class_codes == codes
    assert contract.target.classes == classes


def test_codes_of_a_category_have_meanings_and_texts(load: Loader) -> None:
    column = load(changed("[F, M]", "{1: female, 0: male}")).columns["Sex"]

    assert isinstance(column, CategoryColumn)
    assert column.categories == (1, 0)
    assert column.texts == ("1", "0")
    assert column.meanings == ("female", "male")
    assert column.expected == "one of 1 (female), 0 (male)"


CODES = st.one_of(
    st.lists(st.integers(-(2**53), 2**53), min_size=2, max_size=9, unique=True),
    st.lists(st.text(min_size=1).filter(lambda text: text == text.strip()), min_size=2, max_size=9, unique=True),
)


@given(codes=CODES, data=st.data())
def test_a_list_or_a_mapping_of_categories_is_read_back_as_it_was_written(codes: list[str | int], data: st.DataObject) -> None:
    meanings = data.draw(st.lists(st.text(), min_size=len(codes), max_size=len(codes), unique=True))
    written: dict[str, object] = {"kind": "category", "description": "d", "nullable": data.draw(st.booleans())}

    plain = CategoryColumn.model_validate({**written, "categories": codes})
    named = CategoryColumn.model_validate({**written, "categories": dict(zip(codes, meanings, strict=True))})

    assert plain.categories == named.categories == tuple(codes)
    assert named.meanings == tuple(meanings)
    assert [type(category) for category in named.categories] == [type(code) for code in codes]
    for column in (plain, named):
        assert CategoryColumn.model_validate(column.model_dump()) == column


def test_a_source_is_a_file_unless_it_says_otherwise(load: Loader) -> None:
    assert load(GOOD).source == FileSource(file="staff.csv")

    source = load(changed("{file: staff.csv}", "{kind: batches, path: /v1/rows, group_number: 4, table: staff_raw, file: a.csv}")).source

    assert source == BatchSource(kind="batches", path="/v1/rows", group_number=4, table="staff_raw", file="a.csv")


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
    heart = contracts["heart"]
    assert ", ".join(heart.feature_names) == "age, sex, cp, trestbps, chol, fbs, restecg, thalach, exang, oldpeak, slope, ca, thal"
    assert (heart.class_codes, heart.metric, heart.cleaning.drop_duplicates) == ((0, 1), "accuracy", True)
    covertype = contracts["covertype"]
    assert len(covertype.feature_names) == 12
    assert (covertype.class_codes, covertype.imbalance) == ((1, 2, 3, 4, 5, 6, 7), "class_weights")
    assert len(covertype.categorical_features["Soil_Type"]) == 40


@pytest.mark.parametrize("contract", list_contracts(ROOT / "data"), ids=lambda contract: contract.name)
def test_the_readme_of_a_data_set_has_every_column_as_the_contract_says_it(contract: Contract) -> None:
    readme = (ROOT / "data" / contract.name / "README.md").read_text("utf-8")

    for name, column in contract.columns.items():
        role = "target" if name == contract.target.column else "dropped" if name in contract.drop else "feature"
        expected = column.expected + (", may be missing" if column.nullable else "")
        assert f"| {name} | {role} | {expected} | {column.description} |" in readme


def test_a_record_of_codes_takes_the_plain_numbers_that_its_users_know() -> None:
    heart = load_contract("heart", ROOT / "data")
    values = [61, 0, 2, 141, 239, 1, 0, 148, 0, 1.7, 1, 1, 2]

    [checked] = check_records(heart, [dict(zip(heart.feature_names, values, strict=True))])

    assert list(checked.values()) == values
    assert RecordParser(heart).parse([checked]).codes.tolist() == [[0, 2, 1, 0, 0, 1, 1, 2]]


@pytest.mark.parametrize("value", [True, "1", 1.5, 7, None, [1]])
def test_what_is_no_code_is_refused_with_the_codes_and_what_they_mean(value: object) -> None:
    heart = load_contract("heart", ROOT / "data")
    record = dict(zip(heart.feature_names, [61, 0, 2, 141, 239, 1, 0, 148, 0, 1.7, 1, 1, 2], strict=True))

    for records in ([{**record, "sex": value}], [{**record, "sex": value}] * 100):
        with pytest.raises(InvalidRecords, match=r"one of 0 \(female\), 1 \(male\)"):
            RecordParser(heart).parse(records)


def test_sensitive_columns_are_a_list_or_have_the_limits_of_their_bands(load: Loader) -> None:
    assert load(GOOD + "sensitive: [Sex]\n").sensitive == {"Sex": ()}
    assert load(GOOD + "sensitive: {Sex: [], Level: [2, 4]}\n").sensitive == {"Sex": (), "Level": (2, 4)}


def test_a_contract_without_a_word_about_the_gate_compares_and_has_no_bound(load: Loader) -> None:
    gate = load(GOOD).gate

    assert (gate.passes, gate.ties, gate.level) == ("tie_break", ("log_loss", "size"), 0.95)
    assert gate.bounds == Bounds()
    assert not gate.bounds.compares_groups


def test_probabilities_are_calibrated_where_it_helps_and_sets_have_a_level_unless_the_contract_says_otherwise(load: Loader) -> None:
    plain, fixed = load(GOOD), load(GOOD + "calibration: none\nsets: {level: 0.95}\n")

    assert (plain.calibration, plain.sets.level) == ("auto", 0.9)
    assert (fixed.calibration, fixed.sets.level) == ("none", 0.95)


def test_the_reference_has_every_word_of_a_contract_and_an_example_that_is_one(load: Loader) -> None:
    text = (ROOT / "docs" / "contract.md").read_text("utf-8")
    example = text.split("```yaml\n")[1].split("```")[0]
    derived = {"codes", "meanings"}  # what a mapping of classes or categories is read into

    assert load(example).class_codes == (0, 1)
    sources = (FileSource, BatchSource, FileFormat)
    columns = (CategoryColumn, NumberColumn, DateColumn)
    for word in {
        word for part in (Contract, *sources, *columns, Target, Cleaning, Split, Features, Gate, Bounds, Sets) for word in part.model_fields
    } - derived:
        assert re.search(rf"`{word}[`:]|^ *{word}:|{{{word}:| {word}:", text, re.MULTILINE), word
    closed: list[tuple[type[Part], str]] = [
        (Gate, "passes"),
        (Contract, "calibration"),
        *((Features, word) for word in ("imputer", "category_imputer", "scaler")),
    ]
    for choices in [*(part.model_fields[word].annotation for part, word in closed), Dag]:
        for choice in get_args(choices):
            assert re.search(rf"\b{choice}\b", text), choice
