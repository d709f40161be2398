"""A contract is drafted from rows: it loads as it is, and the ETL accepts the rows that it was drafted from."""

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sklearn import datasets

from hearth.contracts import Contract, load_contract
from hearth.contracts.drafting import Draft, RawTable, csv_content, draft_contract, parse_csv, read_raw_table, texts
from hearth.contracts.drafting.names import dataset_name, is_dataset_name
from hearth.contracts.texts import MISSING, normalized
from hearth.data import csv_validation
from hearth.data.cleaning import clean, split
from hearth.data.csv_validation import Validated
from hearth.errors import InvalidRawData
from tests.support.real_files import require_real_file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def written(draft: Draft, data_dir: Path) -> Contract:
    """Write a draft as the command does and load it again."""
    path = data_dir / draft.contract.name
    path.mkdir(parents=True, exist_ok=True)
    (path / "contract.yaml").write_text(draft.contract_yaml, "utf-8")
    loaded = load_contract(draft.contract.name, data_dir)
    assert loaded == draft.contract
    return loaded


def validated(draft: Draft) -> Validated:
    raw = csv_validation.read_raw(draft.contract, csv_content(draft.rows), "its own rows")
    return csv_validation.validate(draft.contract, raw)


def require_accepted(draft: Draft) -> None:
    rejected = validated(draft).rejected
    assert rejected.empty, rejected["reason"].head().tolist()


def column(draft: Draft, name: str) -> dict[str, object]:
    """What the contract says of a column."""
    return draft.contract.columns[name].model_dump()


def from_csv(text: str, target: str | None = None) -> Draft:
    return draft_contract(parse_csv(text.encode(), "some.csv"), "some", target)


def repeated(header: str, *lines: str, times: int = 10) -> str:
    return "\n".join([header, *lines * times]) + "\n"


TRICKY = [
    *(
        "no",
        "Yes",
        "12:30",
        "010",
        "1e5",
        "=",
        "~",
        "null ",
        "NA",
        "-",
        "?",
        "# a",
        "a: b",
        "[x",
        "{y",
        "0x1F",
        "1_000",
        "<<",
        "'",
        '"',
        "a\nb",
    ),
    *("\u00e9", "e\u0301", "\U0001f40e", "2020-01-01", ".5", "-0", "1.0", "nan", " ", "off", "%", "@x", "\ufeff", "a\x85b", "\\", "y", "N"),
]
CELLS = st.one_of(
    st.sampled_from(TRICKY),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=6),
    st.integers(-(10**18), 10**18).map(str),
    st.floats().map(repr),
    st.dates().map(str),
)


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.integers(1, 60))
    names = draw(
        st.lists(
            st.one_of(st.sampled_from(["", "class", "a b", "A_B", "größe", "Q1_1", "Q11", "x|y", "m (cm)"]), st.text(max_size=8)),
            min_size=2,
            max_size=5,
        )
    )
    columns = []
    for _ in names:
        values = draw(
            st.one_of(
                st.lists(CELLS, min_size=1, max_size=8),
                st.lists(st.integers(-5, 300).map(str), min_size=1, max_size=20),
                st.lists(st.floats(-1e6, 1e6).map(repr), min_size=1, max_size=20),
            )
        )
        columns.append(
            [values[i % len(values)] for i in range(rows)]
            if draw(st.booleans())
            else draw(st.lists(st.sampled_from(values), min_size=rows, max_size=rows))
        )
    frame = pd.DataFrame(dict(enumerate(columns)), dtype="str")
    frame.columns = pd.Index(names, dtype="object")
    return frame


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
)
@given(frames(), st.booleans())
def test_whatever_the_table_the_draft_loads_and_accepts_its_rows(
    tmp_path_factory: pytest.TempPathFactory, frame: pd.DataFrame, decimal_comma: bool
) -> None:
    try:
        draft = draft_contract(RawTable(frame, decimal_comma=decimal_comma), "any")
    except InvalidRawData as error:
        assume("No column" not in str(error))
        raise

    written(draft, tmp_path_factory.mktemp("data"))
    rejected = validated(draft).rejected
    announced = sum("the ETL rejects their rows" in line for line in draft.contract_yaml.splitlines())
    assert rejected.empty or announced
    assert len(rejected) <= 0.02 * announced * len(frame)


SETS = {name: getattr(datasets, f"load_{name}") for name in ("iris", "wine", "breast_cancer", "diabetes")}


@pytest.mark.parametrize("name", SETS)
def test_the_sets_of_scikit_learn_come_through_the_etl(name: str, folder: Path) -> None:
    frame = SETS[name](as_frame=True).frame

    draft = draft_contract(RawTable(texts(frame)), name)

    contract = written(draft, folder)
    assert contract.target.column == "target"
    parts = split(contract, clean(contract, validated(draft).accepted).frame)
    assert len(parts.X_train) > 3 * len(parts.X_test)
    require_accepted(draft)


@pytest.mark.parametrize(("dataset", "target"), [("employees", "Burn Rate"), ("heart", "target")])
def test_real_files_are_drafted_with_the_columns_of_their_contracts(dataset: str, target: str, folder: Path) -> None:
    draft = draft_contract(read_raw_table(require_real_file(dataset)), "real", target)

    contract = written(draft, folder)
    assert draft.is_as_read
    assert set(contract.drop) <= {"Employee ID", "Date of Joining"}
    require_accepted(draft)


def test_a_parquet_file_is_drafted_as_the_csv_of_its_rows(folder: Path) -> None:
    frame = pd.DataFrame(
        {
            "Day": pd.date_range("2024-01-01", periods=40),
            "Open": [True, False] * 20,
            "Level": pd.array([1, 2, 3, None] * 10, dtype="Int64"),
            "Size": [0.5, np.nan, 12.25, 3] * 10,
            "Shift": pd.Categorical(["12:30", "no", "no", "010"] * 10),
            "Class": ["good", "bad", "bad", "bad", "good"] * 8,
        }
    )
    frame.to_parquet(folder / "shop.parquet")

    draft = draft_contract(read_raw_table(folder / "shop.parquet"), "shop", "Class")

    contract = written(draft, folder)
    assert {name: described.kind for name, described in contract.columns.items()} == {
        "Day": "date", "Open": "category", "Level": "category", "Size": "number", "Shift": "category", "Class": "category",
    }  # fmt: skip
    assert column(draft, "Open")["categories"] == ("False", "True")
    assert column(draft, "Shift")["categories"] == ("010", "12:30", "no")
    assert column(draft, "Level")["categories"] == (1, 2, 3)
    assert contract.columns["Level"].nullable
    assert contract.drop == ("Day",)
    assert not draft.is_as_read
    require_accepted(draft)


def test_a_file_that_is_no_parquet_or_holds_lists_is_refused(folder: Path) -> None:
    (folder / "x.parquet").write_bytes(b"no")
    pd.DataFrame({"a": [[1], [2]], "b": [1, 2]}).to_parquet(folder / "y.parquet")

    with pytest.raises(InvalidRawData, match=r"x\.parquet is no Parquet file"):
        read_raw_table(folder / "x.parquet")
    with pytest.raises(InvalidRawData, match="cannot be columns of a data set: 'a'"):
        read_raw_table(folder / "y.parquet")


class TestKinds:
    def test_each_kind_is_recognised(self) -> None:
        lines = [f"a{i:03},{1000 + i * 7},{i / 7},{i % 3},{'x' if i % 2 else 'y'},20{10 + i % 9}-03-01,{i % 2}" for i in range(60)]

        contract = from_csv("\n".join(["Key,Count,Share of all,Code,Group,Since,target", *lines])).contract

        assert {name: described.kind for name, described in contract.columns.items()} == {
            "Key": "identifier", "Count": "integer", "Share of all": "number", "Code": "category", "Group": "category", "Since": "date",
            "target": "category",
        }  # fmt: skip
        assert contract.target.codes == (0, 1)
        assert "Key" in contract.drop
        assert "Since" in contract.drop

    def test_ranges_are_a_little_wider_than_the_rows_and_keep_to_natural_bounds(self) -> None:
        draft = from_csv(repeated("Age,Share,Loss,y", *(f"{20 + i},{i / 50},{-i * 3.7},{i % 2}" for i in range(50))), "y")

        bounds = {name: (column(draft, name)["minimum"], column(draft, name)["maximum"]) for name in ("Age", "Share", "Loss")}
        assert bounds == {"Age": (15, 74), "Share": (0, 1), "Loss": (-200, 0)}

    def test_a_numeric_target_is_cut_into_thirds_and_a_person_is_asked(self) -> None:
        draft = from_csv(repeated("a,Price", *(f"{i % 7},{i * 1.5}" for i in range(90)), times=1), "Price")

        assert (draft.contract.target.classes, list(draft.contract.target.cuts)) == (("Low", "Medium", "High"), [45, 90])
        assert "# decide: Hearth predicts classes: choose the cuts" in draft.contract_yaml

    def test_a_number_with_a_spike_at_its_smallest_value_still_has_two_classes(self) -> None:
        draft = from_csv(repeated("a,Claims", *(f"{i % 7},{0.5 if i < 80 else i + 0.25}" for i in range(100)), times=1), "Claims")

        assert (draft.contract.target.cuts, draft.contract.target.classes) == ((80.25,), ("Low", "High"))

    def test_words_for_a_missing_value_are_named(self) -> None:
        draft = from_csv(repeated("a,b,y", "1.5,NA,u", "?,x,v", "2.5,y,u", "3.5,x,v"), "y")

        assert draft.contract.columns["a"].nullable
        assert draft.contract.columns["b"].nullable
        assert (
            "# missing values are written as '?' 10 times, which the ETL reads only if `missing` names them: they are empty in the copy"
            in draft.contract_yaml
        )
        assert "# missing values are written as 'NA' 10 times" in draft.contract_yaml
        assert not draft.is_as_read
        require_accepted(draft)

    def test_a_few_values_that_are_no_number_do_not_make_a_column_of_texts(self) -> None:
        draft = from_csv("\n".join(["a,y", *(f"{i / 3},{'uv'[i % 2]}" for i in range(200)), "Total,u"]), "y")

        assert draft.contract.columns["a"].kind == "number"
        assert "# 1 values are no number, such as 'Total': the ETL rejects their rows" in draft.contract_yaml
        assert len(validated(draft).rejected) == 1

    def test_days_in_other_forms_become_iso_days(self) -> None:
        draft = from_csv(repeated("d,e,x,y", "26/02/2008,03/04/2008,1.5,u", "29/03/2008,04/03/2008,2.5,v"), "y")

        assert draft.rows["d"].unique().tolist() == ["2008-02-26", "2008-03-29"]
        assert draft.contract_yaml.count("no value shows whether the day or the month comes first") == 1
        require_accepted(draft)

    def test_categories_that_look_alike_or_missing_are_pointed_out(self) -> None:
        draft = from_csv(repeated("c,x,y", "Paris,1.5,u", "paris,2.5,v", "?,3.5,u"), "y")

        assert column(draft, "c")["categories"] == ("?", "Paris", "paris")
        assert "# decide: 'Paris', 'paris' look like one category" in draft.contract_yaml
        assert "# decide: '?' may mean a missing value" in draft.contract_yaml


class TestDropped:
    def test_what_says_nothing_or_too_much(self) -> None:
        rng = np.random.default_rng(1)
        y = rng.integers(0, 2, 200)
        frame = pd.DataFrame(
            {
                "row": range(1, 201),
                "constant": 7,
                "word": "same",
                "empty": "",
                "leak": np.where(y == 1, "left", "stayed"),
                "late": y * 50 + rng.normal(size=200),
                "note": [f"text {i} of a person" for i in range(200)],
                "good": rng.normal(size=200) + y,
                "y": y,
            }
        )

        draft = draft_contract(RawTable(texts(frame)), "left", "y")

        assert set(draft.contract.drop) == {"row", "constant", "word", "empty", "leak", "late", "note"}
        for reason in (
            "- row # its values number the rows",
            "- constant # it holds one value only, 7",
            "- word # it holds one value only, 'same'",
            "- empty # it holds no value at all",
            "- leak # alone it gives 'y' away",
            "- late # alone it gives 'y' away",
            "- note # 200 different texts in 200 rows are a key or free text",
        ):
            assert reason in draft.contract_yaml
        require_accepted(draft)

    def test_a_strong_feature_is_not_taken_for_a_leak(self) -> None:
        assert draft_contract(RawTable(texts(datasets.load_iris(as_frame=True).frame)), "iris").contract.drop == ()


class TestNames:
    def test_names_that_hearth_cannot_have_are_replaced_in_contract_and_rows(self) -> None:
        header = "Annual Income (k$),größe,class,Q1_1,Q11,,x y,X_Y,target"

        draft = from_csv(repeated(header, "15.5,1.5,a,1.5,2.5,3.5,4.5,5.5,u", "16.5,2.5,b,2.5,2.75,3.75,4.75,5.75,v"), "target")

        names = ["Annual Income", "grosse", "class", "Q1_1", "Q11", "column 6", "x y", "X_Y 2", "target"]
        assert list(draft.contract.columns) == names
        assert column(draft, "Annual Income")["unit"] == "k$"
        assert draft.renamed["größe"] == "grosse"
        assert "# 'größe' is called 'grosse'" in draft.contract_yaml
        require_accepted(draft)

    def test_a_target_may_be_called_class_and_be_named_as_the_file_does(self) -> None:
        draft = from_csv(repeated("a,class", "1.5,u", "2.5,v"), "class")
        renamed = from_csv(repeated("a,Grün?", "1.5,u", "2.5,v"), "Grün?")

        assert (draft.contract.target.column, renamed.contract.target.column) == ("class", "Grun")

    def test_classes_that_a_contract_cannot_have_are_numbered_and_others_keep_their_names(self) -> None:
        odd = from_csv(repeated("a,y", '1.5,"u\nv"', "2.5,w"), "y")
        plain = from_csv(repeated("a,y", "1.5,<=50K", "2.5,>50K"), "y")

        assert odd.contract.target.classes == ("class 1", "class 2")
        assert set(odd.contract.class_codes) == {"u\nv", "w"}
        assert set(plain.contract.target.classes) == {"<=50K", ">50K"}

    @pytest.mark.parametrize(
        ("file", "name"),
        [
            ("Heart Disease.csv", "heart_disease"),
            ("2024-sales.parquet", "data_2024_sales"),
            ("models.csv", "models_data"),
            ("---.csv", "data"),
        ],
    )
    def test_a_file_gives_the_data_set_its_name(self, file: str, name: str) -> None:
        assert dataset_name(file) == name
        assert is_dataset_name(name)

    def test_a_name_that_is_a_route_is_refused(self) -> None:
        with pytest.raises(InvalidRawData, match="cannot be called 'models': lower case letters, digits and _, such as 'models_data'"):
            draft_contract(parse_csv(b"a,b\n1,2\n", "x.csv"), "models")


class TestRefused:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "some.csv is empty"),
            ("a,b\n", "has a header but no rows"),
            ("a\n1\n2\n", "needs two columns or more"),
            ('a,b\n"1,2\n', "line 2: not CSV"),
            ("a,b\nx,1\nx,1\n", "No column can be the target"),
            (repeated("a,y", "x,u", "x,v"), "No column is left to predict 'y' from. a: it holds one value only, 'x'."),
        ],
    )
    def test_a_table_that_makes_no_data_set(self, text: str, reason: str) -> None:
        with pytest.raises(InvalidRawData, match=reason.replace("(", r"\(")):
            from_csv(text)

    @pytest.mark.parametrize(
        ("target", "reason"),
        [
            ("nothing", "There is no column 'nothing'; there are: day, one, note, x, y."),
            ("day", "cannot be the target: it holds days"),
            ("one", "cannot be the target: it holds one value only, 5"),
            ("note", "cannot be the target: it is an identifier"),
        ],
    )
    def test_a_column_that_cannot_be_predicted(self, target: str, reason: str) -> None:
        lines = [f"2024-01-{1 + i % 28:02},5,note {i},{i / 3},{'uv'[i % 2]}" for i in range(100)]

        with pytest.raises(InvalidRawData, match=reason):
            from_csv("\n".join(["day,one,note,x,y", *lines]), target)


class TestFiles:
    @pytest.mark.parametrize("delimiter", [";", "\t", "|"])
    def test_a_delimiter_is_recognised_and_said(self, delimiter: str) -> None:
        text = repeated("a,b,y", "1.5,x,u", "2.5,z,v").replace(",", delimiter)

        table = parse_csv(text.encode(), "x.csv")

        assert list(table.frame.columns) == ["a", "b", "y"]
        assert "the copy has commas" in table.notes[0]

    @pytest.mark.parametrize(("encoding", "note"), [("cp1252", "was read as Windows-1252"), ("utf-16", "is UTF-16"), ("utf-8-sig", "")])
    def test_an_encoding_is_recognised_and_said(self, encoding: str, note: str) -> None:
        table = parse_csv(repeated("a,y", "Köln,1", "Bonn,2").encode(encoding), "x.csv")

        assert table.frame["a"][0] == "Köln"
        assert note in " ".join(table.notes)
        assert bool(note) == bool(table.notes)

    def test_a_plain_file_needs_no_copy(self) -> None:
        assert from_csv(repeated("a,b,y", "1.5,NA,u", "2.5,x,v", "2.5,z,v"), "y").is_as_read

    def test_a_decimal_comma_becomes_a_point(self) -> None:
        draft = from_csv(repeated("a;b;y", "1,5;7;u", "2;8;v", "2,75;9;u", "3;11;u"), "y")

        assert draft.contract.columns["a"].kind == "number"
        assert draft.rows["a"][:3].tolist() == ["1.5", "2", "2.75"]
        require_accepted(draft)

    def test_many_rows_are_read_fast(self) -> None:
        rng = np.random.default_rng(0)
        frame = pd.DataFrame({"a": rng.normal(size=50_000), "b": rng.integers(0, 9, 50_000), "y": rng.integers(0, 2, 50_000)})
        buffer = io.BytesIO()
        frame.to_csv(buffer, index=False)

        assert len(draft_contract(parse_csv(buffer.getvalue(), "x.csv"), "x").rows) == 50_000


def test_the_readme_has_every_column_as_the_contract_says_it() -> None:
    draft = from_csv(repeated("a (cm),b,Key,y", "1.5,NA,k1,u", "2.5,x,k2,v", "9.5,z,k3,v"), "y")

    for name, described in draft.contract.columns.items():
        role = "target" if name == "y" else "dropped" if name in draft.contract.drop else "feature"
        expected = described.expected + (", may be missing" if described.nullable else "")
        assert f"| {name} | {role} | {expected} | {described.description} |" in draft.readme
    assert "'a (cm)' is called 'a'" in draft.readme


@pytest.fixture(scope="module")
def words() -> list[str]:
    return sorted(word for word in TRICKY if word.strip() == word and word not in MISSING)


def test_words_that_yaml_takes_for_something_else_stay_texts(words: list[str]) -> None:
    rows = pd.DataFrame(
        {"word": words * 3, "x": [str(i / 7) for i in range(3 * len(words))], "y": [*"uv" * 60][: 3 * len(words)]}, dtype="str"
    )

    draft = draft_contract(RawTable(rows), "words", "y")

    categories = sorted({normalized(word) for word in words})  # in the form in which texts are compared
    assert column(draft, "word")["categories"] == tuple(categories)
    assert yaml.safe_load(draft.contract_yaml)["columns"]["word"]["categories"] == categories
    require_accepted(draft)
