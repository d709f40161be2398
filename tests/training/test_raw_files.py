"""Raw files as people have them are read as the same rows as plain CSV, and what can be read in two ways is refused."""

import gzip
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearth.contracts import Contract, load_contract
from hearth.contracts.file_format import FileFormat
from hearth.contracts.numbers import AmbiguousNumbers, find_number_format
from hearth.data.csv_validation import RawTable, Validated, read_raw, validate
from hearth.errors import InvalidRawData
from tests.support.workbooks import workbook
from tests.training.raw_rows import raw_rows
from tests.training.test_csv_validation import NUMBER, small_contract

EMPLOYEES = load_contract("employees")
ROWS = raw_rows(EMPLOYEES, 30)
PLAIN = ROWS.to_csv(index=False)
NULLABLE = {**NUMBER, "nullable": True}


def employees(**words: str) -> Contract:
    return EMPLOYEES.model_copy(update={"source": EMPLOYEES.source.model_copy(update={"format": FileFormat.model_validate(words)})})


def read(content: bytes, contract: Contract = EMPLOYEES) -> tuple[RawTable, Validated]:
    raw = read_raw(contract, content, "x.csv")
    return raw, validate(contract, raw)


def same_rows(content: bytes, contract: Contract = EMPLOYEES) -> RawTable:
    """Read a file, which must hold the rows of PLAIN."""
    raw, result = read(content, contract)
    pd.testing.assert_frame_equal(result.accepted, read(PLAIN.encode())[1].accepted)
    return raw


def zipped(files: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def decimal_comma(delimiter: str = ";") -> str:
    return ROWS.map(lambda text: text.replace(".", ",")).to_csv(index=False, sep=delimiter)


class TestForms:
    @pytest.mark.parametrize(
        ("content", "understood"),
        [
            (ROWS.to_csv(index=False, sep=";").encode(), "UTF-8 text, separated by semicolons, decimal point"),
            (ROWS.to_csv(index=False, sep="\t").encode(), "UTF-8 text, separated by tabs, decimal point"),
            (ROWS.to_csv(index=False, sep="|").encode(), "UTF-8 text, separated by bars, decimal point"),
            (decimal_comma().encode(), "UTF-8 text, separated by semicolons, decimal comma"),
            (decimal_comma(",").encode(), "UTF-8 text, separated by commas, decimal comma"),
            (b"sep=;\r\n" + decimal_comma().encode(), "UTF-8 text, separated by semicolons, decimal comma"),
            (b"sep=:\n" + ROWS.to_csv(index=False, sep=":").encode(), "UTF-8 text, separated by ':', decimal point"),
            (b"\xef\xbb\xbf\xef\xbb\xbf" + PLAIN.encode(), "UTF-8 text, separated by commas, decimal point"),
            (PLAIN.encode("utf-16"), "UTF-16 text, separated by commas, decimal point"),
            (b"\xfe\xff" + decimal_comma("\t").encode("utf-16-be"), "UTF-16 text, separated by tabs, decimal comma"),
            (ROWS.to_csv(index=False, quoting=1).encode(), "UTF-8 text, separated by commas, decimal point"),
            (b"\n,,\n" + PLAIN.encode(), "UTF-8 text, separated by commas, decimal point"),
            (gzip.compress(PLAIN.encode()), "unpacked from gzip, UTF-8 text, separated by commas, decimal point"),
            (
                zipped({"a/x.csv": PLAIN.encode(), "__MACOSX/x.csv": b"1", "a/.x": b"2"}),
                "unpacked from zip (a/x.csv), UTF-8 text, separated by commas, decimal point",
            ),
            (
                gzip.compress(zipped({"x.csv": decimal_comma().encode()})),
                "unpacked from gzip, unpacked from zip (x.csv), UTF-8 text, separated by semicolons, decimal comma",
            ),
        ],
    )
    def test_the_same_rows_in_another_form_are_the_same_rows_and_the_form_is_said(self, content: bytes, understood: str) -> None:
        assert same_rows(content).understood == (understood,)

    def test_an_encoding_without_a_mark_is_named_by_the_contract(self) -> None:
        contract = small_contract({"encoding": "windows-1252"}, city={"kind": "category", "categories": ["Zürich", "Köln € Süd"]})

        raw, result = read("city,y\nZürich,0\nKöln € Süd,1\n".encode("windows-1252"), contract)

        assert result.accepted["city"].tolist() == ["Zürich", "Köln € Süd"]
        assert raw.understood == ("WINDOWS-1252 text, separated by commas, decimal point",)
        with pytest.raises(InvalidRawData, match=r"Line 2: not WINDOWS-1252 text \(byte 0x81\)"):
            read(b"city,y\n\x81,0\n", contract)

    def test_a_parquet_file_and_a_workbook_hold_the_same_rows(self) -> None:
        typed = pd.DataFrame(
            {
                name: pd.to_numeric(column, errors="coerce") if EMPLOYEES.columns[str(name)].kind in {"number", "integer"} else column
                for name, column in ROWS.items()
            }
        )
        typed["Date of Joining"] = pd.to_datetime(typed["Date of Joining"])
        target = io.BytesIO()
        pq.write_table(pa.Table.from_pandas(typed.set_index(pd.Index([3, *range(5, 34)]))), target)

        raw = same_rows(target.getvalue())
        assert raw.understood == (
            "converted from Parquet, UTF-8 text, separated by commas, decimal point",
            "the column '__index_level_0__' numbers the rows and was left out",
        )
        cells = [list(typed.columns), *typed.astype("object").where(typed.notna(), None).to_numpy().tolist()]
        raw = same_rows(workbook({"empty": [], "people": cells}))
        assert raw.understood == ("converted from the sheet 'people' of a workbook, UTF-8 text, separated by commas, decimal point",)
        two = workbook({"other": [["x"]], "people": cells})
        with pytest.raises(InvalidRawData, match=r"the sheets 'other', 'people', of which 2 could be meant.*source\.format\.sheet"):
            read(two)
        same_rows(two, employees(sheet="people"))

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (zipped({"a.csv": b"1", "b.csv": b"2"}), "holds 2 files, expected one: 'a.csv', 'b.csv'"),
            (gzip.compress(PLAIN.encode())[:-20], "broken gzip archive"),
            (gzip.compress(gzip.compress(gzip.compress(gzip.compress(PLAIN.encode())))), "packed 3 times or more"),
            (b"PAR1" + bytes(20) + b"PAR1", "not Parquet, or broken"),
            (workbook({"people": []}), "the sheets 'people', of which 0 could be meant"),
            (workbook({"people": [["a"], ["b"]]}, last="XFD1048576"), "takes too much memory or time"),
        ],
    )
    def test_what_cannot_be_unpacked_is_refused_with_the_reason(self, content: bytes, message: str) -> None:
        with pytest.raises(InvalidRawData, match=message):
            read(content)

    @pytest.mark.parametrize("pack", [gzip.compress, lambda content: zipped({"x.csv": content})])
    def test_a_small_file_that_unpacks_to_a_large_one_is_refused_before_it_is_there(self, pack: Callable[[bytes], bytes]) -> None:
        bomb = pack(PLAIN.encode() + bytes(50_000_000))

        with pytest.raises(InvalidRawData, match="larger than 1,000,000 bytes when it is unpacked"):
            read_raw(EMPLOYEES, bomb, "x.csv", 1_000_000)

    def test_two_delimiters_that_do_as_well_are_refused_with_the_word_that_decides(self) -> None:
        contract = small_contract(a=NUMBER, b=NUMBER)

        with pytest.raises(InvalidRawData, match=r"names as many columns with ';' as with ','.*source\.format\.delimiter"):
            read(b"a;y,b\n1;2,3\n", contract)


class TestColumns:
    def test_an_index_column_and_an_empty_one_are_left_out_and_said(self) -> None:
        pandas_index = ROWS.to_csv()
        twice = pandas_index.replace(",Employee ID", "Unnamed: 0,Employee ID", 1)

        assert same_rows(pandas_index.encode()).understood[1:] == ("the column '' numbers the rows and was left out",)
        assert same_rows(twice.encode()).understood[1:] == ("the column 'Unnamed: 0' numbers the rows and was left out",)
        assert same_rows(PLAIN.replace("\n", ",\n").encode()).understood[1:] == ("a column without name and values was left out",)

    def test_extra_columns_are_refused_warned_of_or_left_out_by_the_word_of_the_contract(self) -> None:
        content = ROWS.assign(note="x", other="y").to_csv(index=False).encode()

        with pytest.raises(InvalidRawData, match=r"not in the contract: 'note', 'other'\. source\.format\.extra_columns: warn or ignore"):
            read(content)
        warned, ignored = same_rows(content, employees(extra_columns="warn")), same_rows(content, employees(extra_columns="ignore"))
        sentence = "columns that the contract does not have were left out: 'note', 'other'"
        assert (warned.warnings, ignored.warnings) == ((sentence,), ())
        assert sentence in ignored.understood

    def test_texts_and_names_are_compared_in_one_normal_form(self) -> None:
        contract = small_contract(São={"kind": "category", "categories": ["São Paulo", "Zu\u0308rich"]})

        _, result = read("Sa\u0303o,y\nSa\u0303o Paulo,0\nZürich,1\n".encode(), contract)

        assert result.accepted["São"].tolist() == ["São Paulo", "Zu\u0308rich"]


class TestValues:
    def test_words_that_mean_missing_are_those_of_the_column_and_of_the_contract(self) -> None:
        contract = small_contract(
            missing=["?", "\\N"],
            x={**NULLABLE, "missing": [-9, "-"]},
            sex={"kind": "category", "categories": [0, 1], "nullable": True, "missing": [9]},
        )

        raw, result = read(b"x,sex,y\n?,?,0\n-9,9,1\n-9.0,9.0,1\n-,\\N,1\n1,-,0\n2,1,0\n", contract)

        assert result.accepted["x"].isna().tolist() == [True] * 4 + [False]
        assert result.accepted["sex"].isna().tolist() == [True] * 4 + [False]
        assert result.rejected["reason"].tolist() == ["sex: got '-', expected one of 0, 1 or nothing"]
        assert result.understood[0] == "x: missing values are written as '-9' 1 times, '-' 1 times, '?' 1 times"
        assert len(raw) == 6

    @pytest.mark.parametrize(
        ("columns", "missing", "message"),
        [
            ({"x": {**NULLABLE, "missing": [5]}}, [], "5 is a value between minimum and maximum"),
            ({"x": NULLABLE}, [0], "0 is a value between minimum and maximum"),
            ({"x": {"kind": "category", "categories": ["?", "a"]}}, ["?"], "'\\?' is a category, so it cannot mean a missing value"),
            ({"x": {**NULLABLE, "missing": [True]}}, [], "must be a word or a number"),
        ],
    )
    def test_a_value_cannot_mean_missing(self, columns: dict[str, dict[str, object]], missing: Sequence[object], message: str) -> None:
        with pytest.raises(ValueError, match=message):
            small_contract(None, (), missing, **columns)

    @pytest.mark.parametrize("written", ["true,TRUE,False", "1,1,0", "1.0,+1,0."])
    def test_booleans_are_the_codes_1_and_0(self, written: str) -> None:
        contract = small_contract(
            a={"kind": "category", "categories": {0: "no", 1: "yes"}}, b={**NUMBER, "kind": "integer", "minimum": 0, "maximum": 1}
        )

        _, result = read(f"a,b,y\n{written}\n".encode(), contract)

        assert (result.accepted["a"].tolist(), result.accepted["b"].tolist(), result.accepted["y"].tolist()) == (["1"], [1], [0])

    def test_a_boolean_is_no_code_where_there_are_others_and_no_number(self) -> None:
        contract = small_contract(a={"kind": "category", "categories": [0, 1, 2]}, x=NUMBER)

        assert read(b"a,x,y\ntrue,1,0\n1,true,0\n", contract)[1].accepted.empty

    @pytest.mark.parametrize(
        ("format_", "text"),
        [
            ("", "2008-03-09"),
            ("", "2008-03-09 00:00:00"),
            ("", "2008-03-09T00:00"),
            ("%d/%m/%Y", "09/03/2008"),
            ("%d/%m/%Y", "9/3/2008"),
            ("%d/%m/%Y", "2008-03-09"),
            ("%m/%d/%Y", "03/09/2008"),
            ("%d.%m.%Y %H:%M", "09.03.2008 17:30"),
        ],
    )
    def test_dates_are_read_in_iso_form_and_in_that_of_the_contract(self, format_: str, text: str) -> None:
        contract = small_contract(drop=["day"], day={"kind": "date", "format": format_}, x=NUMBER)

        _, result = read(f"day,x,y\n{text},1,0\n".encode(), contract)

        assert result.warnings == ()
        assert result.accepted["day"].tolist() == [pd.Timestamp("2008-03-09")]

    @pytest.mark.parametrize(
        ("format_", "message"), [("%d/%m", "day, month and year"), ("%Q", "no format of a date"), ("%Y-%d-%m", "another day than ISO")]
    )
    def test_a_format_that_makes_no_day_or_two_is_refused(self, format_: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            small_contract(drop=["day"], day={"kind": "date", "format": format_}, x=NUMBER)

    @pytest.mark.parametrize("text", ["2008-03-09 12:00:00", "09/03/2008", "2008-03-09 00:00:00 x"])
    def test_a_date_that_the_contract_does_not_describe_is_no_date(self, text: str) -> None:
        contract = small_contract(drop=["day"], day={"kind": "date"}, x=NUMBER)

        assert len(read(f"day,x,y\n{text},1,0\n".encode(), contract)[1].warnings) == 1


class TestNumbers:
    @pytest.mark.parametrize(
        ("texts", "expected"),
        [
            (["1.5", "2"], "decimal point"),
            (["1,5", "2"], "decimal comma"),
            (["1,500", "2.5"], "decimal point, thousands separated by comma"),
            (["1,234,567"], "decimal point, thousands separated by comma"),
            (["1.234,5"], "decimal comma, thousands separated by point"),
            (["1 234,5", "1\u00a0234"], "decimal comma, thousands separated by space"),
            (["1'234.5", "1\u2019234.5"], "decimal point, thousands separated by apostrophe"),
            (["0.123", "2.5", "1,5"], "decimal point"),
            (["x", "?", "-"], "decimal point"),
        ],
    )
    def test_the_format_that_reads_most_numbers_is_found(self, texts: list[str], expected: str) -> None:
        assert str(find_number_format(texts, FileFormat())) == expected

    @pytest.mark.parametrize("texts", [["1,500"], ["1,500", "2"], ["1.234", "1,5"], ["12.345.678,5", "1.234"]])
    def test_numbers_that_can_be_read_in_two_ways_are_refused_unless_the_contract_decides(self, texts: list[str]) -> None:
        with pytest.raises(AmbiguousNumbers, match=r"can be the number .* or .*source\.format\.decimal .* and source\.format\.thousands"):
            find_number_format(texts, FileFormat())

        assert find_number_format(texts, FileFormat(decimal="comma", thousands="point")).decimal == "comma"

    def test_the_file_is_refused_that_can_be_read_in_two_ways(self) -> None:
        contract = small_contract(x={**NUMBER, "maximum": 5000})

        with pytest.raises(InvalidRawData, match=r"x\.csv: '1,500' can be the number 1\.5 or 1500\.0"):
            read(b"x;y\n1,500;0\n", contract)
        decided = small_contract({"decimal": "point"}, x={**NUMBER, "maximum": 5000})
        assert read(b"x;y\n1,500;0\n", decided)[1].accepted["x"].tolist() == [1500]

    def test_a_number_of_another_format_rejects_its_row(self) -> None:
        contract = small_contract({"decimal": "comma", "thousands": "none"}, x=NUMBER)

        _, result = read(b"x;y\n1,5;0\n1.5;0\n;0\n", contract)

        assert result.accepted["x"].tolist() == [1.5]
        assert result.rejected["reason"].str.startswith(("x: got '1.5'", "x: it is missing")).tolist() == [True, True]

    @settings(deadline=None)
    @given(
        st.lists(st.floats(-9_999_999, 9_999_999).map(lambda number: round(number, 2)), min_size=1),
        st.sampled_from([(".", ","), (",", "."), (",", " "), (".", "'"), (",", "")]),
    )
    def test_numbers_come_back_in_every_format_or_are_refused_as_ambiguous(self, numbers: list[float], marks: tuple[str, str]) -> None:
        decimal, thousands = marks
        texts = [f"{number:,.2f}".replace(",", "t").replace(".", decimal).replace("t", thousands) for number in numbers]

        format_ = find_number_format(texts, FileFormat())

        assert [float(format_.plain(text) or "nan") for text in texts] == pytest.approx(numbers, nan_ok=False)


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_every_form_of_a_file_gives_the_same_digest_of_rows(delimiter: str, encoding: str, line_end: str, packed: bool) -> None:
    content = ROWS.to_csv(index=False, sep=delimiter, lineterminator=line_end).encode(encoding)

    same_rows(gzip.compress(content) if packed else content)
