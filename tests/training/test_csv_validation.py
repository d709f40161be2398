import csv
import io
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hearth.contracts import Contract, load_contract
from hearth.contracts.records import split_records
from hearth.contracts.rules import rules_of
from hearth.contracts.texts import MISSING
from hearth.data.csv_validation import RawTable, read_raw, validate
from hearth.errors import InvalidRawData
from tests.support.real_files import require_real_file
from tests.training.raw_rows import raw_csv, raw_rows

EMPLOYEES = load_contract("employees")
TEN_ROWS = raw_csv(EMPLOYEES, 10)
HEADER, FIRST_ROW = TEN_ROWS.split(b"\n")[:2]


def small_contract(
    form: Mapping[str, str] | None = None, drop: Sequence[str] = (), missing: Sequence[object] = (), **columns: dict[str, object]
) -> Contract:
    """Make a contract of the given columns, beside a target `y` that holds class codes; `form` has words of `source.format`."""
    target = {"kind": "integer", "minimum": 0, "maximum": 1, "unit": "class", "description": "target"}
    return Contract.model_validate(
        {
            "name": "small",
            "title": "Small",
            "description": "for tests",
            "source": {"file": "small.csv", "format": dict(form or {})},
            "missing": list(missing),
            "target": {"column": "y", "classes": ["no", "yes"]},
            "metric": "macro_f1",
            "families": ["knn"],
            "drop": list(drop),
            "columns": {**{name: {"description": name, **column} for name, column in columns.items()}, "y": target},
        }
    )


NUMBER: dict[str, object] = {"kind": "number", "minimum": -5, "maximum": 5, "unit": "u"}
CATEGORY: dict[str, object] = {"kind": "category", "categories": ["a", "None"]}


class TestReadRaw:
    def test_every_row_comes_as_texts_with_its_line_in_the_file(self) -> None:
        raw = read_raw(EMPLOYEES, TEN_ROWS, "x.csv")

        assert list(raw.columns) == list(EMPLOYEES.columns)
        assert raw.lines.tolist() == list(range(2, 12))
        assert {str(dtype) for dtype in raw.cells().dtypes} == {"str"}
        assert not raw.malformed

    def test_quoted_line_breaks_and_blank_lines_count_as_lines(self) -> None:
        contract = small_contract(name={"kind": "category", "categories": ["a\nb", "c"]})

        raw = read_raw(contract, b'name,y\n"a\nb",0\n\nc,1\n', "x.csv")

        assert raw.lines.tolist() == [2, 5]
        assert raw.cells()["name"].tolist() == ["a\nb", "c"]

    @pytest.mark.parametrize(
        "change", [lambda text: b"\xef\xbb\xbf" + text, lambda text: text.replace(b"\n", b"\r\n"), lambda text: text[:-1]]
    )
    def test_a_byte_order_mark_and_other_line_ends_change_nothing(self, change: Callable[[bytes], bytes]) -> None:
        pd.testing.assert_frame_equal(
            read_raw(EMPLOYEES, change(TEN_ROWS), "x.csv").cells(), read_raw(EMPLOYEES, TEN_ROWS, "x.csv").cells()
        )

    def test_columns_may_come_in_any_order(self) -> None:
        turned = raw_rows(EMPLOYEES, 10).iloc[:, ::-1].to_csv(index=False).encode()

        pd.testing.assert_frame_equal(read_raw(EMPLOYEES, turned, "x.csv").cells(), read_raw(EMPLOYEES, TEN_ROWS, "x.csv").cells())

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", r"x.csv is empty \(0 bytes\)"),
            (b" \n\n", "x.csv is empty"),
            (b"PK\x03\x04\x14\x00", "The zip archive cannot be read"),
            (b"\x1f\x8b\x08\x00", "a broken gzip archive"),
            (b"%PDF-1.7", "The file is a PDF: expected CSV, Parquet or .xlsx"),
            (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
            (HEADER + b"\n1,\x00\n", "Line 2: a zero byte, so the file is binary"),
            (HEADER.decode().encode("utf-16-le"), "UTF-16 without a byte order mark"),
            (HEADER + b"\n" + "Zoë".encode("latin-1"), r"Line 2: not UTF-8 text .byte 0xeb.*source\.format\.encoding"),
            (HEADER + b"\n", "a header but no rows"),
            (FIRST_ROW + b"\n" + FIRST_ROW, r"there seems to be no header: the first line holds 'id-0-0', .*Put a line .*'Employee ID'"),
            (TEN_ROWS.replace(b"Team Size", b"Gender", 1), "names a column twice: 'Gender'"),
            (TEN_ROWS.replace(b"Team Size", b"Teamsize", 1), "are missing: 'Team Size'; columns are not in the contract: 'Teamsize'"),
            (TEN_ROWS.replace(b",", b":"), "separated by something other than commas"),
            (HEADER + b",\n" + FIRST_ROW + b",\n" + FIRST_ROW + b",7\n", "a column without a name, but line 3 has a value in it"),
            (HEADER + b"\n" + FIRST_ROW + b'\n"open', "Line 3: not CSV"),
        ],
    )
    def test_a_file_that_is_no_table_of_the_contract_is_refused_with_the_reason(self, content: bytes, message: str) -> None:
        with pytest.raises(InvalidRawData, match=message):
            read_raw(EMPLOYEES, content, "x.csv")

    def test_a_header_of_a_hundred_thousand_columns_is_refused_before_a_row_is_read(self) -> None:
        with pytest.raises(InvalidRawData, match="the header has 100,000 columns, at most 10,000 are read"):
            read_raw(EMPLOYEES, b"," * 99_999 + b"Gender\n" + b"x\n" * 2_000, "x.csv")

    def test_a_comma_at_the_end_of_each_line_changes_nothing(self) -> None:
        commas = TEN_ROWS.replace(b"\n", b",\n")

        pd.testing.assert_frame_equal(read_raw(EMPLOYEES, commas, "x.csv").cells(), read_raw(EMPLOYEES, TEN_ROWS, "x.csv").cells())

    @given(st.binary(max_size=200))
    @example(b'"')
    @example(b"\xef\xbb\xbf")
    def test_no_bytes_make_it_fail_in_another_way(self, content: bytes) -> None:
        with pytest.raises(InvalidRawData):
            read_raw(EMPLOYEES, content, "x.csv")

    @given(
        st.lists(st.tuples(st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1), st.text('01x ,"\n\r')), min_size=1)
    )
    def test_whatever_csv_can_hold_is_read_back(self, rows: list[tuple[str, str]]) -> None:
        contract = small_contract({"decimal": "point"}, name={"kind": "number", "minimum": 0, "maximum": 1, "unit": "u"})
        buffer = io.StringIO(newline="")
        csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows([("name", "y"), *rows])

        raw = read_raw(contract, buffer.getvalue().encode(), "x.csv")

        assert list(raw.cells().itertuples(index=False, name=None)) == rows


class TestValidate:
    def validated(self, change: Callable[[pd.DataFrame], None]) -> tuple[pd.DataFrame, pd.DataFrame]:
        raw = raw_rows(EMPLOYEES, 10)
        change(raw)
        result = validate(EMPLOYEES, read_raw(EMPLOYEES, raw.to_csv(index=False).encode(), "x.csv"))
        return result.accepted, result.rejected

    def test_good_rows_are_typed(self) -> None:
        accepted, rejected = self.validated(lambda _: None)

        kinds = {name: str(dtype) for name, dtype in accepted.dtypes.items()}
        assert rejected.empty
        assert len(accepted) == 10
        assert kinds["Employee ID"] == kinds["Gender"] == "str"
        assert kinds["Date of Joining"] == "datetime64[us]"
        assert kinds["Designation"] == kinds["Burn Rate"] == "float64"

    @pytest.mark.parametrize(
        ("column", "value", "reason"),
        [
            ("Designation", "abc", "Designation: got 'abc', expected a whole number from 0 to 5 (level)"),
            ("Designation", "2.5", "Designation: got '2.5', expected a whole number from 0 to 5 (level)"),
            ("Designation", "6", "Designation: got '6', expected a whole number from 0 to 5 (level)"),
            ("Designation", "", "Designation: it is missing, expected a whole number from 0 to 5 (level)"),
            ("Designation", "NaN", "Designation: it is missing, expected a whole number from 0 to 5 (level)"),
            ("Sleep Hours", "inf", "Sleep Hours: got 'inf', expected a number from 0 to 24 (hours)"),
            ("Sleep Hours", "1e999", "Sleep Hours: got '1e999', expected a number from 0 to 24 (hours)"),
            ("Sleep Hours", "6,5", "Sleep Hours: got '6,5', expected a number from 0 to 24 (hours)"),
            ("Burn Rate", "-0.1", "Burn Rate: got '-0.1', expected a number from 0 to 1 (ratio) or nothing"),
            ("Gender", "male", "Gender: got 'male', expected one of 'Female', 'Male'"),
        ],
    )
    def test_one_bad_value_rejects_its_row_alone(self, column: str, value: str, reason: str) -> None:
        def change(raw: pd.DataFrame) -> None:
            raw.loc[4, column] = value

        accepted, rejected = self.validated(change)

        assert len(accepted) == 9
        assert rejected[["line", "reason"]].to_numpy().tolist() == [[6, reason]]
        assert rejected.loc[0, column] == value
        assert list(rejected.columns) == ["line", "reason", *EMPLOYEES.columns]

    @pytest.mark.parametrize(("value", "number"), [("3.0", 3.0), (" 3 ", 3.0), ("3e0", 3.0), ("+3", 3.0), ("03", 3.0)])
    def test_every_usual_spelling_of_a_number_is_read(self, value: str, number: float) -> None:
        def change(raw: pd.DataFrame) -> None:
            raw.loc[4, "Designation"] = value

        accepted, _ = self.validated(change)

        assert accepted.loc[4, "Designation"] == number

    @pytest.mark.parametrize("value", sorted(MISSING))
    def test_every_usual_spelling_of_missing_is_missing_where_the_contract_allows_it(self, value: str) -> None:
        def change(raw: pd.DataFrame) -> None:
            raw.loc[4, "Resource Allocation"] = value

        accepted, rejected = self.validated(change)

        assert rejected.empty
        assert accepted["Resource Allocation"].isna()[4]

    def test_a_category_that_is_spelled_like_missing_is_a_category(self) -> None:
        contract = small_contract(kind=CATEGORY)

        result = validate(contract, read_raw(contract, b"kind,y\nNone,0\nNA,1\n", "x.csv"))

        assert result.accepted["kind"].tolist() == ["None"]
        assert result.rejected["line"].tolist() == [3]

    def test_a_row_of_another_width_is_rejected_alone(self) -> None:
        content = b"\n".join([HEADER, FIRST_ROW, FIRST_ROW + b",too much", b"1,2", b"\x1a", FIRST_ROW, b""])

        result = validate(EMPLOYEES, read_raw(EMPLOYEES, content, "x.csv"))

        assert len(result.accepted) == 2
        assert result.rejected["line"].tolist() == [3, 4, 5]
        assert result.rejected["reason"].tolist() == [
            "the row has 18 cells, expected 17, one for each column of the header; left out of this row: 'too much'",
            "the row has 2 cells, expected 17, one for each column of the header",
            "the row has 1 cells, expected 17, one for each column of the header",
        ]

    def test_a_row_is_rejected_with_all_its_reasons(self) -> None:
        def change(raw: pd.DataFrame) -> None:
            raw.loc[0, ["Gender", "Team Size"]] = ["", "1000"]

        _, rejected = self.validated(change)

        assert rejected.loc[0, "reason"] == (
            "Gender: it is missing, expected one of 'Female', 'Male'; Team Size: got '1000', expected a whole number from 1 to 100 (people)"
        )

    def test_a_dropped_column_rejects_no_row_and_what_breaks_its_rule_is_a_warning(self) -> None:
        days: dict[str, object] = {"kind": "date", "minimum": "2008-01-02", "maximum": "2008-01-03"}
        contract = small_contract(drop=["day", "n"], x=NUMBER, day=days, n=NUMBER)
        content = b"x,day,n,y\n1,2008-01-01,1,0\n1,2008-01-02,99,0\n1,2008-01-03,1,0\n9,04.01.2008,1,0\n"

        result = validate(contract, read_raw(contract, content, "x.csv"))

        assert result.rejected["reason"].tolist() == ["x: got '9', expected a number from -5 to 5 (u)"]
        assert result.accepted["day"].isna().tolist() == [True, False, False]
        assert result.accepted["n"].isna().tolist() == [False, True, False]
        lost = "break the rule of a dropped column and lost that value"
        assert result.warnings == (
            f"2 of 4 rows {lost}: line 2: day: got '2008-01-01', expected a date such as 2008-09-30",
            f"1 of 4 rows {lost}: line 3: n: got '99', expected a number from -5 to 5 (u)",
        )

    def test_a_hundred_thousand_bad_rows_are_all_rejected(self) -> None:
        contract = small_contract(x=NUMBER, kind=CATEGORY)
        content = b"x,kind,y\n" + b"99,z,7\n" * 100_000

        result = validate(contract, read_raw(contract, content, "x.csv"))

        assert result.accepted.empty
        assert len(result.rejected) == 100_000
        assert result.rejected["reason"].str.count(";").eq(2).all()

    def test_codes_are_read_as_tables_of_numbers_write_them(self) -> None:
        contract = small_contract(sex={"kind": "category", "categories": {0: "female", 1: "male", -1: "unknown"}, "nullable": True})
        texts = ["1", "1.0", " 0 ", "-1.", "+1.00", "", "1.5", "01", "male", "2"]

        validated = validate(contract, RawTable.of(contract, [(text, "0") for text in texts]))

        assert validated.accepted["sex"].fillna("-").tolist() == ["1", "1", "0", "-1", "1", "-"]
        assert validated.rejected["sex"].tolist() == ["1.5", "01", "male", "2"]
        assert validated.rejected["reason"][0] == "sex: got '1.5', expected one of 0 (female), 1 (male), -1 (unknown) or nothing"

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.lists(
            st.tuples(st.text("0123456789.-+eE x", max_size=5) | st.sampled_from(sorted(MISSING)), st.sampled_from("aNn01 ")), max_size=8
        )
    )
    def test_a_row_is_either_accepted_or_rejected_and_what_is_accepted_keeps_the_schema(self, rows: list[tuple[str, str]]) -> None:
        contract = small_contract(x={**NUMBER, "nullable": True}, kind=CATEGORY)
        result = validate(contract, RawTable.of(contract, [(x, kind, "1") for x, kind in rows]))

        assert len(result.accepted) + len(result.rejected) == len(rows)
        assert result.rejected["reason"].str.len().gt(0).all()
        assert result.accepted.dtypes.astype(str).to_dict() == {"x": "float64", "kind": "str", "y": "float64"}
        for name, rule in rules_of(contract).items():
            for value in result.accepted[name]:
                rule.value(None if pd.isna(value) else value)  # raises InvalidValue unless the value keeps the contract

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.integers(-7_000, 7_000).map(lambda value: value / 1000) | st.integers(-10, 10).map(float) | st.just(float("inf")),
        st.sampled_from(["number", "integer"]),
    )
    def test_a_number_is_accepted_exactly_when_a_request_may_hold_it(self, value: float, kind: str) -> None:
        contract = small_contract(x={**NUMBER, "kind": kind})
        good = split_records(contract, [{"x": value}]).good

        assert len(validate(contract, RawTable.of(contract, [(repr(value), "1")])).accepted) == len(good)


def test_the_real_extract_keeps_the_contract() -> None:
    path = require_real_file("employees")
    raw = read_raw(EMPLOYEES, path.read_bytes(), path.name)

    result = validate(EMPLOYEES, raw)

    assert len(result.accepted) == len(raw) == 18_136


def test_a_table_may_have_the_columns_that_rejected_rows_get() -> None:
    contract = small_contract(line=NUMBER, reason=CATEGORY)

    rejected = validate(contract, read_raw(contract, b"line,reason,y\n1,a,0\n9,b,1\n", "small.csv")).rejected

    assert list(rejected.columns) == ["line_", "reason_", "line", "reason", "y"]
    assert rejected.iloc[0, [0, 2, 3, 4]].tolist() == [3, "9", "b", "1"]
    assert rejected["reason_"][0] == "line: got '9', expected a number from -5 to 5 (u); reason: got 'b', expected one of 'a', 'None'"
