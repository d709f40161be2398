"""What a name becomes elsewhere is unique and legal there, whatever the name."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from mlflow.utils.validation import MAX_ENTITY_KEY_LENGTH, _validate_metric_name
from strawberry.utils.str_converters import to_camel_case

from hearth.contracts import Contract, list_contracts, usable_contracts
from hearth.contracts.names import (
    LONGEST_NAME,
    class_metric_names,
    field_name,
    graphql_names,
    metric_name,
    type_name,
    unusable,
)
from hearth.contracts.records import record_model
from hearth.errors import InvalidContract
from tests.support.contracts import DATA, ODD_NAMES, ODD_RECORD, write_contract

GRAPHQL_NAME = re.compile("[A-Za-z][_0-9A-Za-z]*")  # two underscores in front are GraphQL's own
NAMES = st.text(min_size=1, max_size=LONGEST_NAME).filter(lambda text: not unusable(text))
ALIKE = st.text(alphabet="aAbB1_ -$/.éß年", min_size=1, max_size=8).filter(lambda text: not unusable(text))


def columns_of(names: list[str]) -> list[str]:
    """Leave out the columns that a contract could not have beside the others."""
    return list({field_name(name): name for name in names}.values())


class TestColumns:
    @pytest.mark.parametrize(
        ("column", "field"),
        [
            ("Work-Life Balance Score", "work_life_balance_score"),
            ("Größe", "grosse"),
            ("Gro\u0308ße", "grosse"),
            ("Ünicødé", "unicuf8de"),  # ø is a letter of its own, not an o with an accent
            ("年龄", "u5e74u9f84"),
            ("m²", "m2"),
            ("class", "class"),
            ("1st", "column_1st"),
            ("?", "column_"),
            ("_x", "x"),
            ("schema", "column_schema"),
            ("Model Dump Rate", "column_model_dump_rate"),
        ],
    )
    def test_a_field_is_an_identifier_in_ascii(self, column: str, field: str) -> None:
        assert field_name(column) == field

    @given(NAMES)
    @example("model_validate_x")
    def test_a_field_is_legal_in_python_pydantic_graphql_and_sql(self, column: str) -> None:
        name = field_name(column)

        assert re.fullmatch("[a-z][_0-9a-z]*", name)

    def test_columns_whose_camel_case_is_the_same_keep_apart(self) -> None:
        assert graphql_names(["Q1_1", "Q11", "Sleep Hours"]) == {"Q1_1": "q1_1", "Q11": "q11", "Sleep Hours": "sleepHours"}

    def test_a_column_that_keeps_its_field_name_pushes_another_aside_too(self) -> None:
        assert graphql_names(["x__1", "x_1", "x1"]) == {"x__1": "x__1", "x_1": "x_1", "x1": "x1"}

    @given(st.lists(ALIKE | NAMES, max_size=12))
    def test_the_fields_of_a_record_are_legal_and_different(self, names: list[str]) -> None:
        fields = graphql_names(columns_of(names))

        assert all(GRAPHQL_NAME.fullmatch(name) for name in fields.values())
        assert len(set(fields.values())) == len(fields)

    @pytest.mark.parametrize("contract", list_contracts(DATA), ids=lambda contract: contract.name)
    def test_the_fields_of_the_data_sets_here_are_those_that_strawberry_made(self, contract: Contract) -> None:
        assert graphql_names(contract.columns) == {name: to_camel_case(field_name(name)) for name in contract.columns}

    @pytest.mark.parametrize(
        ("column", "metric"),
        [
            ("Mental Fatigue Score", "mean/Mental Fatigue Score"),
            ("Annual Income (k$)", "mean/Annual Income k"),
            ("Größe", "mean/Größe"),
            ("Gro\u0308ße", "mean/Größe"),
            ("a/b", "mean/a/b"),
            ("a//b", "mean/a b"),
            ("..", "mean/column_"),
            ("/x/", "mean/x"),
            ("%", "mean/column_"),
        ],
    )
    def test_a_metric_has_the_name_of_its_column_without_signs(self, column: str, metric: str) -> None:
        assert metric_name("mean", column) == metric

    @given(NAMES)
    @example("x/../y")
    @example("x" * LONGEST_NAME)
    def test_mlflow_takes_the_metric_of_any_column(self, column: str) -> None:
        name = metric_name("missing_before", column)

        _validate_metric_name(name)  # type: ignore[no-untyped-call]
        assert len(name) <= MAX_ENTITY_KEY_LENGTH

    @given(st.lists(ALIKE | NAMES, max_size=12))
    def test_columns_that_a_contract_can_have_together_have_different_metrics(self, names: list[str]) -> None:
        columns = columns_of(names)

        assert len({metric_name("mean", name) for name in columns}) == len(columns)


class TestClasses:
    @pytest.mark.parametrize(
        ("classes", "names"),
        [
            (("Low", "High"), ("low", "high")),
            (("Spruce/Fir", "Douglas-fir"), ("spruce_fir", "douglas_fir")),
            (("<=50K", ">50K"), ("le_50k", "gt_50k")),
            (("A+", "A-", "B"), ("a_plus", "a_minus", "b")),
            (("under $50k", "$50k_and_$more"), ("under_50k", "_50k_and__more")),
            (("+", "-"), ("plus", "minus")),
            (("Low", "LOW", "high"), ("low_1", "low_2", "high")),
        ],
    )
    def test_metrics_tell_them_apart(self, classes: tuple[str, ...], names: tuple[str, ...]) -> None:
        assert class_metric_names(classes) == names

    def test_those_that_no_spelling_tells_apart_are_refused(self) -> None:
        with pytest.raises(ValueError, match="'b' and 'B 1' have the same name in metrics, 'b_1'"):
            class_metric_names(("b", "B", "B 1"))

    def test_one_whose_signs_take_too_many_letters_to_spell_is_refused(self) -> None:
        with pytest.raises(ValueError, match="too long for the name of a metric"):
            class_metric_names(("?" * 30, "!" * 30))

    @given(st.lists(st.text(alphabet="aA1<>=+-$ ", min_size=1, max_size=4) | NAMES, min_size=2, max_size=6, unique=True))
    def test_they_are_legal_and_different_or_refused(self, classes: list[str]) -> None:
        try:
            names = class_metric_names(classes)
        except ValueError:
            return
        assert len(set(names)) == len(classes)
        for name in names:
            _validate_metric_name(f"precision_{name}")  # type: ignore[no-untyped-call]
            assert len(f"precision_{name}") <= MAX_ENTITY_KEY_LENGTH


class TestContracts:
    def test_odd_names_load_and_their_record_keeps_them(self, tmp_path: Path) -> None:
        contract = write_contract(tmp_path)

        record = record_model(contract).model_validate(ODD_RECORD)

        assert {**record.model_dump(by_alias=True), "Ends at $": None} == {**ODD_RECORD, "Ends at $": None}
        assert [*graphql_names(contract.columns).values()][:6] == ["q1_1", "q11", "class", "return", "grosse", "u5e74u9f84"]

    @pytest.mark.parametrize(
        ("old", "new", "key", "reason"),
        [
            ("name: in\n", "name: models\n", "name", "'models' is part of a path of the services"),
            ("name: in\n", f"name: {'a' * 101}\n", "name", "at most 100 characters"),
            ("  Q11:", f"  {'x' * 201}:", "columns", "has 201 letters: at most 200"),
            ("  Q11:", '  "a\\nb":', "columns", "column name 'a\\nb' holds a line break or another control character"),
            ("  Q11:", "  Grosse:", "columns.Größe", "differs from 'Grosse' only by signs: both are called 'grosse' in code. Rename one"),
            ("_rest", '"x\\u2028y"', "target", "the class 'x\\u2028y' holds a line break"),
            ('"<=50K", b: ">50K", c: "$1_to_$2"', "b, b: B, c: B 1", "target", "'b' and 'B 1' have the same name in metrics, 'b_1'"),
            ("{file: in.csv}", "{kind: batches, table: hearth_batches, file: a.csv}", "source.table", "which batches of all data sets"),
        ],
    )
    def test_a_name_that_cannot_be_made_is_refused_with_file_and_key(
        self, tmp_path: Path, old: str, new: str, key: str, reason: str
    ) -> None:
        assert ODD_NAMES.count(old) == 1

        with pytest.raises(InvalidContract) as refused:
            write_contract(tmp_path, ODD_NAMES.replace(old, new))

        assert refused.value.path.name == "contract.yaml"
        assert refused.value.key == key
        assert reason in refused.value.reason

    def test_a_column_that_a_database_would_cut_is_refused_where_there_is_one(self, tmp_path: Path) -> None:
        text = ODD_NAMES.replace("  Q11:", f"  {'x' * 64}:")
        assert write_contract(tmp_path / "file", text).columns

        with pytest.raises(InvalidContract, match=r"columns\.x+: is too long for a column of a database: 64 bytes, at most 63"):
            write_contract(tmp_path / "table", text.replace("{file: in.csv}", "{kind: batches, table: t, file: a.csv}"))


class TestDataSets:
    def test_two_with_one_name_in_code_are_refused(self, tmp_path: Path) -> None:
        assert type_name("in_2") == type_name("in2") == "In2"
        write_contract(tmp_path, ODD_NAMES.replace("name: in\n", "name: in2\n"))
        write_contract(tmp_path, ODD_NAMES.replace("name: in\n", "name: in_2\n"))

        with pytest.raises(InvalidContract, match=r"in_2/contract\.yaml: name: becomes 'In2' in code, as 'in2' does"):
            list_contracts(tmp_path)

    def test_two_with_one_table_are_refused(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            source = "{kind: batches, table: shared, file: a.csv}"
            write_contract(tmp_path, ODD_NAMES.replace("name: in\n", f"name: {name}\n").replace("{file: in.csv}", source))

        with pytest.raises(InvalidContract, match=r"b/contract\.yaml: source\.table: names 'shared', as 'a' does"):
            list_contracts(tmp_path)

    def test_those_with_a_mistake_are_left_out_and_logged_with_file_key_and_reason(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        write_contract(tmp_path)
        (tmp_path / "bad").mkdir()
        (tmp_path / "bad" / "contract.yaml").write_text("name: bad\ntitle: 12:30\n", "utf-8")

        assert [contract.name for contract in usable_contracts(tmp_path, "in")] == ["in"]
        [record] = caplog.records
        assert record.levelname == "ERROR"
        assert f"The data set 'bad' is left out: {tmp_path}/bad/contract.yaml: line 2: 12:30 is read as 750" in record.getMessage()
        with pytest.raises(InvalidContract, match="bad"):
            usable_contracts(tmp_path, "bad")

    def test_a_folder_of_nothing_but_mistakes_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "bad").mkdir()
        (tmp_path / "bad" / "contract.yaml").write_text("name: bad\n", "utf-8")

        with pytest.raises(InvalidContract, match="bad"):
            usable_contracts(tmp_path)
