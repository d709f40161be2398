"""Columns of a text file: whatever its size and however it is cut into blocks, they are what the standard library reads."""

import io

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hearth.contracts.texts import fit_row, wrong_width
from hearth.tables import CsvForm, RowLimit, UnreadableTable, cut, open_rows, read_columns, text_blocks, text_chunks, text_columns
from hearth.tables.text_chunks import read_chunks

COMMAS = CsvForm(",")
LIMIT = RowLimit(200)
PIECES = ["a", "1.5", ",", ",", "\n", "\n", "\r\n", "\r", '"', '""', " ", "é", "\ufeff", "x,y\n", "x,y\r\n", "\n\n", "\0"]

Outcome = tuple[list[list[str]], list[int], dict[int, str]] | str


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_columns, "_BLOCK", 24)
    monkeypatch.setattr(text_columns, "_BATCH_ROWS", 3)


def by_the_standard_library(content: bytes, limit: RowLimit = LIMIT) -> Outcome:
    rows: list[list[str]] = []
    lines: list[int] = []
    malformed: dict[int, str] = {}
    width = 0
    try:
        with open_rows(io.BytesIO(content), COMMAS, limit) as (source, reader):
            start = 1
            for row in reader:
                source.row_start = source.characters
                if not width:
                    width = len(row) if any(cell.strip() for cell in row) else 0
                elif row:
                    if len(row) != width:
                        malformed[len(rows)] = wrong_width(row, width)
                    rows.append(fit_row(row, width))
                    lines.append(start)
                start = source.count + 1
    except UnreadableTable as error:
        return str(error)
    return rows, lines, malformed


def by_columns(content: bytes, limit: RowLimit = LIMIT) -> Outcome:
    try:
        read = read_columns(io.BytesIO(content), COMMAS, limit)
    except UnreadableTable as error:
        return str(error)
    rows = zip(*(column.cells().to_pylist() for column in read.columns), strict=True)
    return [list(row) for row in rows], read.lines.tolist(), read.malformed


class TestReadColumns:
    @given(pieces=st.lists(st.sampled_from(PIECES), max_size=60))
    @example(pieces=["x,y\n", "a,a\n" * 20, "a\n", "a,a\n" * 20])  # an uneven row between two blocks
    @example(pieces=["x,y\n", "a,a\n" * 20, '"a\n,",a\n', "a,a\n" * 20])  # a quoted line break
    @example(pieces=["x,y\n", "a,a\n" * 20, "a,a\r", "a,a\n" * 20])
    @example(pieces=["x,y\n", "a,a\n" * 20, '"never closed,a\n', "a,a\n" * 60])
    @example(pieces=["x,y\n", "a" * 60, ",a\n", "a,a\n" * 20])  # a line longer than a block
    def test_rows_lines_and_errors_are_those_of_the_standard_library(self, pieces: list[str]) -> None:
        content = f"x,y\n{''.join(pieces)}".encode()

        assert by_columns(content) == by_the_standard_library(content)

    @given(pieces=st.lists(st.sampled_from(PIECES), min_size=1, max_size=30))
    @example(pieces=["x,y\r", "a,a\n" * 3])
    @example(pieces=["\r", "x,y\n", "a,a\n" * 3])
    @example(pieces=['"a\rx",b\n', "1,2\n3,4\n"])
    @example(pieces=["\n\n", "x,y\r\n", "a,a\n" * 9])
    def test_so_are_those_of_any_header(self, pieces: list[str]) -> None:
        content = "".join(pieces).encode()

        assert by_columns(content) == by_the_standard_library(content)

    @pytest.mark.parametrize("row", ["", "a\n"])  # all rows even, or not
    def test_a_cell_that_the_standard_library_does_not_read_is_refused_wherever_it_stands(self, row: str) -> None:
        content = f"x,y\na,a\n{row}{'a' * 140_000},a\n".encode()

        with pytest.raises(UnreadableTable, match=r"Line \d: not CSV: field larger than field limit"):
            read_columns(io.BytesIO(content), COMMAS)

    def test_bytes_that_are_no_text_are_named_by_their_line(self) -> None:
        with pytest.raises(UnreadableTable, match=r"Line 22: not UTF-8 text \(byte 0xe9\)"):
            read_columns(io.BytesIO(b"x,y\n" + b"a,a\n" * 20 + b"caf\xe9,a\n" + b"a,a\n" * 20), COMMAS)

    def test_a_row_that_is_too_long_is_refused_wherever_it_stands(self) -> None:
        with pytest.raises(UnreadableTable, match="Line 22: the row has 200 characters or more"):
            read_columns(io.BytesIO(b"x,y\n" + b"a,a\n" * 20 + b"a" * 300 + b",a\n" + b"a,a\n" * 20), COMMAS, LIMIT)

    def test_a_text_that_occurs_often_is_kept_once(self) -> None:
        read = read_columns(io.BytesIO(b"x,y\n" + b"a,b\nc,b\n" * 1_000), COMMAS)

        assert [column.texts.to_pylist() for column in read.columns] == [["a", "c"], ["b"]]
        assert len(read.lines) == 2_000


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "windows-1252"])
@pytest.mark.parametrize("before", ["1,2\n", '"1",2\n'], ids=["plain", "quoted"])
def test_rows_behind_more_blank_lines_than_are_read_at_once_are_found(monkeypatch: pytest.MonkeyPatch, encoding: str, before: str) -> None:
    monkeypatch.setattr(text_blocks, "_BLOCK", 24)
    monkeypatch.setattr(text_chunks, "_MOST_BYTES", 24)
    content = "".join(["x,y\n", before, "\n" * 200, "3,4\n"]).encode(encoding)
    form = CsvForm(",", encoding=encoding)

    columns = read_columns(io.BytesIO(content), form)
    blocks = [block.columns([0, 1]) for block in cut(io.BytesIO(content), form)]
    chunks = list(read_chunks(io.BytesIO(content), form, [0, 1], 10))

    assert [column.cells().to_pylist() for column in columns.columns] == [["1", "3"], ["2", "4"]]
    assert [text for block in blocks for text in block.columns[0].to_pylist()] == ["1", "3"]
    assert [text for chunk in chunks for text in chunk.columns[0].cells().to_pylist()] == ["1", "3"]
    found = [columns.lines, np.concatenate([block.lines for block in blocks]), np.concatenate([chunk.lines for chunk in chunks])]
    assert [lines.tolist() for lines in found] == [[2, 203]] * 3
