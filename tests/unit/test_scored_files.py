"""Files in, scored files out: nothing of a file is lost, and what is wrong is named."""

import csv
import gzip
import io
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearth.contracts import CategoryColumn, Contract, NumberColumn
from hearth.contracts.record_parser import RecordParser
from hearth.errors import InvalidFile
from hearth.fakes import FakeRecords
from hearth.modelling.scorer import Scores
from hearth.serving.compiled.scorer import CompiledScorer
from hearth.serving.files import AddedColumns, CsvFile, ParquetFile, ScoreBatch, csv_files
from hearth.serving.files.limits import FileLimits
from hearth.serving.files.row_batches import RowBatch
from hearth.serving.loaded_model import LoadedModel
from tests.support.models import DATA, ByDesignation, FakeRegistry, employees
from tests.support.workbooks import workbook

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTRACT = employees()
FAKES = FakeRecords.load(CONTRACT, DATA)
ADDED = AddedColumns.of(CONTRACT, "")
NAMES = ["prediction", "label", "probability_Low", "probability_Medium", "probability_High", "version", "error"]
MODEL = LoadedModel("knn", FakeRegistry().version("employees", "7"), CompiledScorer(ByDesignation(), CONTRACT), datetime.now(UTC))
HEADER = [*CONTRACT.feature_names]


def rows(count: int, seed: int = 1) -> list[list[str]]:
    return [["" if value is None else str(value) for value in record.values()] for record in FAKES.records(count, seed)]


def csv_text(header: list[str], cells: list[list[str]], **form: Any) -> bytes:
    text = io.StringIO()
    csv.writer(text, **{"lineterminator": "\n", **form}).writerows([header, *cells])
    return text.getvalue().encode()


def scoring(on_batch: Any) -> ScoreBatch:
    def score(batch: RowBatch) -> tuple[LoadedModel, Scores]:
        scores = MODEL.scorer.score_columns(batch.columns)
        on_batch(batch, scores)
        return MODEL, scores

    return score


def nobody(_batch: RowBatch, _scores: Scores) -> None:
    """Nobody is told."""


def score_csv(content: bytes, contract: Contract = CONTRACT, seen: Any = nobody) -> tuple[CsvFile, bytes]:
    opened = CsvFile.open(io.BytesIO(content), contract, AddedColumns.of(contract, ""))
    assert all(step is None for step in opened.check())
    return opened, b"".join(opened.scored(scoring(seen)))


def table(content: bytes, delimiter: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=delimiter, strict=True))


def only_error(change: dict[str, str]) -> str:
    [cells] = rows(1)
    row = dict(zip(HEADER, cells, strict=True)) | change
    opened, content = score_csv(csv_text(HEADER, [list(row.values())]))
    [answered] = table(content)
    assert {name: answered[name] for name in HEADER} == row
    assert {name: answered[name] for name in NAMES[:-1]} == dict.fromkeys(NAMES[:-1], "") or not answered["error"]
    assert opened.refused == bool(answered["error"])
    return answered["error"]


class TestCsv:
    def test_a_scored_file_has_its_own_columns_and_the_added_ones(self) -> None:
        cells = rows(5)
        opened, content = score_csv(csv_text(["Name", *HEADER], [[f"Person {number}", *row] for number, row in enumerate(cells)]))
        answered = table(content)
        assert (opened.rows, opened.refused, list(answered[0])) == (5, 0, ["Name", *HEADER, *NAMES])
        for number, (row, told) in enumerate(zip(cells, answered, strict=True)):
            code = int(dict(zip(HEADER, row, strict=True))["Designation"]) // 2
            assert [told["Name"], *(told[name] for name in HEADER)] == [f"Person {number}", *row]
            assert (told["prediction"], told["label"], told["version"], told["error"]) == (
                str(code),
                ["Low", "Medium", "High"][code],
                "7",
                "",
            )
            assert float(told[f"probability_{told['label']}"]) == pytest.approx(0.8)

    @settings(max_examples=60, deadline=None)
    @given(data=st.data())
    def test_whatever_stands_in_other_columns_comes_back_as_it_was(self, data: st.DataObject) -> None:
        text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"), max_size=12)
        delimiter = data.draw(st.sampled_from([",", ";", "\t", "|"]))
        line_end = data.draw(st.sampled_from(["\n", "\r\n"]))
        quoting = csv.QUOTE_MINIMAL if line_end == "\r\n" else csv.QUOTE_ALL  # else a lone \\r would not be quoted
        bom = data.draw(st.booleans())
        taken = {*HEADER, *NAMES, ""}
        names = data.draw(st.lists(text.filter(lambda name: name.strip() not in taken), max_size=3))
        header = data.draw(st.permutations([*HEADER, *names]))
        count = data.draw(st.integers(1, 6))
        features = [dict(zip(HEADER, row, strict=True)) for row in rows(count, data.draw(st.integers(0, 99)))]
        cells = [[row[name] if name in row else data.draw(text) for name in header] for row in features]
        content = csv_text(header, cells, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
        opened, scored = score_csv((b"\xef\xbb\xbf" if bom else b"") + content)
        assert scored.startswith(b"\xef\xbb\xbf") == bom
        answered = list(csv.reader(io.StringIO(scored.decode("utf-8-sig"), newline=""), delimiter=delimiter, strict=True))
        assert [row[: len(header)] for row in answered] == [header, *cells]
        assert [row[len(header) :] for row in answered[:1]] == [NAMES]
        assert (opened.rows, opened.refused, len(answered)) == (count, 0, count + 1)
        assert scored.decode().endswith(line_end)

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.tuples(st.sampled_from(HEADER), st.text(max_size=5) | st.sampled_from(["", "NA", "-1", "1e3", "5", "Male", " 2 "])),
            max_size=9,
        )
    )
    def test_every_row_stays_and_has_either_a_prediction_or_an_error(self, changes: list[tuple[str, str]]) -> None:
        cells = rows(10)
        for number, (name, value) in enumerate(changes):
            cells[number][HEADER.index(name)] = value.replace("\0", "").replace("\r", "").encode(errors="ignore").decode()
        opened, content = score_csv(csv_text(HEADER, cells))
        answered = table(content)
        assert [[row[name] for name in HEADER] for row in answered] == cells
        assert all(bool(row["label"]) != bool(row["error"]) for row in answered)
        assert opened.refused == sum(bool(row["error"]) for row in answered)

    @pytest.mark.parametrize(
        ("column", "value", "reason"),
        [
            ("Designation", "7", "Designation: got '7', expected a whole number from 0 to 5 (level)"),
            ("Designation", "2.5", "Designation: got '2.5', expected a whole number from 0 to 5 (level)"),
            ("Designation", "", "Designation: it is missing, expected a whole number from 0 to 5 (level)"),
            ("Designation", "NA", "Designation: it is missing, expected a whole number from 0 to 5 (level)"),
            ("Sleep Hours", "7,5", "Sleep Hours: got '7,5', expected a number from 0 to 24 (hours)"),
            ("Sleep Hours", "1e999", "Sleep Hours: got '1e999', expected a number from 0 to 24 (hours)"),
            ("Sleep Hours", "1_0", "Sleep Hours: got '1_0', expected a number from 0 to 24 (hours)"),
            ("Sleep Hours", "infinity", "Sleep Hours: got 'infinity', expected a number from 0 to 24 (hours)"),
            ("Sleep Hours", "٣", "Sleep Hours: got '٣', expected a number from 0 to 24 (hours)"),
            ("Mental Fatigue Score", "11", "Mental Fatigue Score: got '11', expected a number from 0 to 10 (score) or nothing"),
            ("Gender", "female", "Gender: got 'female', expected one of 'Female', 'Male'"),
            ("Gender", "", "Gender: it is missing, expected one of 'Female', 'Male'"),
        ],
    )
    def test_a_refused_row_says_column_value_and_expectation(self, column: str, value: str, reason: str) -> None:
        assert only_error({column: value}) == reason

    @pytest.mark.parametrize(
        ("column", "value"),
        [
            ("Designation", " 2 "),
            ("Designation", "2.0"),
            ("Sleep Hours", "+7."),
            ("Mental Fatigue Score", ""),
            ("Mental Fatigue Score", "null"),
        ],
    )
    def test_what_a_raw_file_may_say_is_understood(self, column: str, value: str) -> None:
        assert only_error({column: value}) == ""

    def test_all_that_is_wrong_with_a_row_is_said(self) -> None:
        assert only_error({"Gender": "?", "Team Size": "many"}).count("; ") == 1

    def test_a_row_of_another_width_is_refused_alone(self) -> None:
        cells = rows(4)
        cells[1].append("too much")
        cells[2].pop()
        opened, content = score_csv(csv_text(HEADER, cells))
        answered = table(content)
        assert [row["error"] for row in answered] == [
            "",
            "the row has 14 cells, expected 13, one for each column of the header; left out of this row: 'too much'",
            "the row has 12 cells, expected 13, one for each column of the header",
            "",
        ]
        assert [bool(row["label"]) for row in answered] == [True, False, False, True]
        assert opened.refused == 2

    def test_blank_lines_are_no_rows(self) -> None:
        content = csv_text(HEADER, rows(2)).replace(b"\n", b"\n\n")
        assert score_csv(b"\n" + content)[0].rows == 2

    def test_batches_come_one_by_one_and_the_scored_rows_are_told(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(csv_files, "ROWS", 10)
        cells = rows(35)
        cells[12][HEADER.index("Designation")] = "x"
        told: list[tuple[int, int]] = []
        opened = CsvFile.open(io.BytesIO(csv_text(HEADER, cells)), CONTRACT, ADDED)
        parts: Iterator[bytes] = opened.scored(scoring(lambda batch, scores: told.append((len(batch.columns), len(scores.codes)))))
        first = next(parts)
        assert len(table(first)) == 9  # the header is the tenth
        assert told == [(9, 9)]
        assert len(table(first + b"".join(parts))) == 35
        assert told == [(9, 9), (9, 9), (10, 10), (6, 6)]
        assert len(list(opened.check())) == 4
        assert (opened.rows, opened.refused) == (35, 1)

    def test_a_file_can_be_scored_twice_with_a_prefix(self) -> None:
        _, once = score_csv(csv_text(HEADER, rows(2)))
        with pytest.raises(InvalidFile, match=r"columns that the answer adds: 'prediction', 'label'.*\?prefix=new_"):
            CsvFile.open(io.BytesIO(once), CONTRACT, ADDED)
        again = CsvFile.open(io.BytesIO(once), CONTRACT, AddedColumns.of(CONTRACT, "new_"))
        [first, _] = table(b"".join(again.scored(scoring(nobody))))
        assert first["new_label"] == first["label"]

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "The file is empty"),
            (b"\n\n\n", "The file is blank"),
            (csv_text(HEADER, []), "a header but no rows"),
            (csv_text(HEADER[1:], [HEADER[1:]]), "lacks columns that 'employees' needs: 'Gender'. It has: 'Company Type'"),
            (csv_text([*HEADER, "Gender"], [[*HEADER, ""]]), "names columns twice: 'Gender'"),
            (b"PK\x03\x04", "The zip archive cannot be read"),
            (b"PAR1....", "a Parquet file: send it to /predict/parquet"),
            ("a,b".encode("utf-16-le"), "UTF-16 without a byte order mark"),
            (csv_text(HEADER, rows(3)) + b"\xff", "Line 5: not UTF-8 text (byte 0xff)"),
            (csv_text(HEADER, rows(3000)) + b"a,\xff,\n", "Line 3002: not UTF-8 text (byte 0xff)"),
            (csv_text(HEADER, rows(3)) + b'"a"b,', "Line 5: not CSV: ',' expected after '\"'"),
            (csv_text(HEADER, rows(3)) + b'"never closed', "Line 5: not CSV: unexpected end of data"),
            (csv_text(HEADER, rows(3)) + b'"' + b"x" * 140_000 + b'"', "Line 5: not CSV: field larger than field limit"),
            (csv_text(HEADER, rows(3)) + b"x," * 600_000, "Line 5: the row has 1000000 characters or more"),
            (csv_text(HEADER, rows(3)) + b'"x\n",' * 300_000, "the row has 1000000 characters or more"),
            (b"x" * 2_000_000, "the row has 1000000 characters or more"),
        ],
    )
    def test_a_file_that_is_no_such_table_is_refused_whole(self, content: bytes, reason: str) -> None:
        with pytest.raises(InvalidFile) as refused:
            score_csv(content)
        assert reason in str(refused.value)
        assert len(str(refused.value)) < 1_500


def parquet(columns: dict[str, Any]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


def arrays(count: int = 4) -> dict[str, Any]:
    frame = FAKES.frame(count, 1)[HEADER]
    return {name: pa.array(frame[name], from_pandas=True) for name in HEADER}


def score_parquet(content: bytes) -> tuple[ParquetFile, pa.Table]:
    opened = ParquetFile.open(io.BytesIO(content), CONTRACT, ADDED)
    assert all(step is None for step in opened.check())
    return opened, pq.read_table(io.BytesIO(b"".join(opened.scored(scoring(nobody)))))


class TestParquet:
    def test_a_scored_file_has_its_own_columns_and_the_added_ones(self) -> None:
        extra = pa.array([[1], [], None, [2, 3]])
        opened, answered = score_parquet(parquet({"extra": extra, **arrays()}))
        assert (opened.rows, opened.refused, answered.column_names) == (4, 0, ["extra", *HEADER, *NAMES])
        assert answered["extra"].to_pylist() == extra.to_pylist()
        assert answered["prediction"].to_pylist() == [level // 2 for level in answered["Designation"].to_pylist()]
        assert answered["version"].to_pylist() == ["7"] * 4

    def test_it_says_the_same_as_the_csv_of_the_same_rows(self) -> None:
        _, of_parquet = score_parquet(parquet(arrays(200)))
        _, of_csv = score_csv(csv_text(HEADER, rows(200)))
        assert of_parquet["label"].to_pylist() == [row["label"] for row in table(of_csv)]

    @pytest.mark.parametrize(
        "convert",
        [
            lambda array: array.dictionary_encode(),
            lambda array: array.cast(pa.string()),
            lambda array: array.cast(pa.large_string()),
            lambda array: array.cast(pa.float32()) if pa.types.is_integer(array.type) else array,
            lambda array: array.cast(pa.int8()) if pa.types.is_integer(array.type) else array,
            lambda array: array.cast(pa.decimal128(38, 6), safe=False) if pa.types.is_floating(array.type) else array,
        ],
    )
    def test_other_types_of_the_same_values_are_understood(self, convert: Any) -> None:
        opened, answered = score_parquet(parquet({name: convert(array) for name, array in arrays(50).items()}))
        assert (opened.refused, answered["label"].null_count) == (0, 0)
        _, plain = score_parquet(parquet(arrays(50)))
        assert answered["label"].to_pylist() == plain["label"].to_pylist()

    def test_refused_rows_stay_with_their_reason(self) -> None:
        columns = arrays()
        columns["Designation"] = pa.array([1, 9, None, 3])
        columns["Mental Fatigue Score"] = pa.array([None, 1.0, 2.0, np.nan])
        columns["Sleep Hours"] = pa.array([1.0, 2.0, 3.0, np.inf])
        opened, answered = score_parquet(parquet(columns))
        assert answered["error"].to_pylist() == [
            None,
            "Designation: got 9, expected a whole number from 0 to 5 (level)",
            "Designation: it is missing, expected a whole number from 0 to 5 (level)",
            "Sleep Hours: got inf, expected a number from 0 to 24 (hours)",
        ]
        assert answered["label"].to_pylist() == ["Low", None, None, None]
        assert opened.refused == 3

    def test_row_groups_come_one_by_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("hearth.serving.files.parquet_files._GROUP_ROWS", 4_000)
        opened = ParquetFile.open(io.BytesIO(parquet(arrays(9_000))), CONTRACT, ADDED)
        parts = [part for part in opened.scored(scoring(nobody)) if part]
        answered = pq.ParquetFile(io.BytesIO(b"".join(parts)))
        assert [answered.metadata.row_group(group).num_rows for group in range(answered.num_row_groups)] == [4_000, 4_000, 1_000]
        with pytest.raises(pa.ArrowInvalid):  # what was cut off is seen to be
            pq.read_table(io.BytesIO(b"".join(parts[:-1])))

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "not Parquet"),
            (b"a,b\n1,2\n", "not Parquet"),
            (parquet(arrays())[:-9], "not Parquet"),
            (parquet({name: array[:0] for name, array in arrays().items()}), "has no rows"),
            (parquet({"a": [1]}), "lacks columns that 'employees' needs: 'Gender'"),
            (parquet(arrays() | {"Designation": [True] * 4}), "'Designation' has the type bool, expected a whole number"),
            (parquet(arrays() | {"Gender": [[1]] * 4}), "'Gender' has the type list"),
            (parquet(arrays() | {"label": ["x"] * 4}), "columns that the answer adds: 'label'"),
        ],
    )
    def test_a_file_that_is_no_such_table_is_refused_whole(self, content: bytes, reason: str) -> None:
        with pytest.raises(InvalidFile) as refused:
            score_parquet(content)
        assert reason in str(refused.value)

    def test_a_file_that_is_broken_in_the_middle_is_refused_before_anything_is_scored(self) -> None:
        content = bytearray(parquet(arrays(5_000)))
        content[len(content) // 3 : len(content) // 3 + 400] = b"\xff" * 400
        with pytest.raises(InvalidFile, match=r"broken|not Parquet"):
            score_parquet(bytes(content))


def test_a_path_can_be_opened_like_a_body(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(csv_text(HEADER, rows(3)))
    with (tmp_path / "x.csv").open("rb") as file:
        opened = CsvFile.open(file, CONTRACT, ADDED)
        assert len(table(b"".join(opened.scored(scoring(nobody))))) == 3
        assert not file.closed


class TestForms:
    """Uploads are read as the ETL reads raw files."""

    @pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
    @pytest.mark.parametrize("first_line", ["", "sep=;\n"])
    def test_numbers_with_a_decimal_comma_are_read_and_come_back_as_they_were(self, encoding: str, first_line: str) -> None:
        cells = [[cell.replace(".", ",") for cell in row] for row in rows(20)]
        content = first_line + csv_text(HEADER, cells, delimiter=";").decode()

        opened, scored = score_csv(content.encode(encoding))

        text = scored.decode("utf-8-sig")
        assert text.startswith(first_line)
        answered = table(text.removeprefix(first_line).encode(), ";")
        assert opened.refused == 0
        assert [[row[name] for name in HEADER] for row in answered] == cells
        assert [row["label"] for row in answered] == [row["label"] for row in table(score_csv(csv_text(HEADER, rows(20)))[1])]

    @pytest.mark.parametrize("pack", [gzip.compress, lambda content: workbook({"people": list(csv.reader(content.decode().splitlines()))})])
    def test_a_packed_file_and_a_workbook_are_answered_as_csv(self, pack: Callable[[bytes], bytes]) -> None:
        content = csv_text(HEADER, rows(5))

        assert score_csv(pack(content))[1] == score_csv(content)[1]

    def test_a_small_upload_that_unpacks_to_a_large_one_is_refused(self) -> None:
        with pytest.raises(InvalidFile, match="larger than 1,000,000 bytes when it is unpacked"):
            CsvFile.open(io.BytesIO(gzip.compress(bytes(20_000_000))), CONTRACT, ADDED, FileLimits(unpacked_bytes=1_000_000))

    def test_an_upload_that_can_be_read_in_two_ways_is_refused_with_the_word_that_decides(self) -> None:
        cells = [dict(zip(HEADER, row, strict=True)) | {"Sleep Hours": "6,500"} for row in rows(3)]
        whole = [[cell if cell == "6,500" else cell.partition(".")[0] for cell in row.values()] for row in cells]

        with pytest.raises(InvalidFile, match=r"'6,500' can be the number 6\.5 or 6500\.0.*source\.format\.decimal"):
            score_csv(csv_text(HEADER, whole))

    def test_a_category_in_another_normal_form_is_that_category(self) -> None:
        city = {"kind": "category", "categories": ["São Paulo", "Lima"], "description": "Where"}
        contract = CONTRACT.model_copy(update={"columns": {**CONTRACT.columns, "Gender": CategoryColumn.model_validate(city)}})
        cells = [["Sa\u0303o Paulo" if name == "Gender" else cell for name, cell in zip(HEADER, row, strict=True)] for row in rows(2)]

        opened = CsvFile.open(io.BytesIO(csv_text(HEADER, cells)), contract, AddedColumns.of(contract, ""))

        assert list(opened.check())
        assert opened.refused == 0
        assert RecordParser(contract).parse([_record(contract, "Sa\u0303o Paulo"), _record(contract, "São Paulo")]).codes[
            :, 0
        ].tolist() == [0, 0]

    def test_a_number_of_parquet_that_means_missing_is_missing(self) -> None:
        fatigue = NumberColumn.model_validate({**CONTRACT.columns["Mental Fatigue Score"].model_dump(), "missing": [-9]})
        contract = CONTRACT.model_copy(update={"columns": {**CONTRACT.columns, "Mental Fatigue Score": fatigue}})
        columns = arrays(3) | {"Mental Fatigue Score": pa.array([-9.0, 5.0, -8.0])}

        opened = ParquetFile.open(io.BytesIO(parquet(columns)), contract, AddedColumns.of(contract, ""))

        assert list(opened.check())
        assert opened.refused == 1


def _record(contract: Contract, gender: str) -> dict[str, object]:
    [record] = FAKES.records(1, 1)
    return {name: record[name] for name in contract.feature_names} | {"Gender": gender}
