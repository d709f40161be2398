"""Small files that hold large tables: refused, or read in small parts. Memory is that of a process that does nothing else."""

import io
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hearth.errors import InvalidFile
from hearth.serving.files import AddedColumns, CsvFile, FileLimits, ParquetFile
from hearth.serving.files import parquet_files as parquet
from tests.support.models import employees, good_record

CONTRACT = employees()
ADDED = AddedColumns.of(CONTRACT, "")
HEADER = [*CONTRACT.feature_names]
RECORD = good_record(CONTRACT)
ROOT = Path(__file__).parents[2]


def repeated(rows: int, **columns: pa.Array) -> bytes:
    """A file whose rows are all alike; an array in `columns` has one element, which is stored once."""
    zeros = pa.array(np.zeros(rows, np.int32))
    values = {name: pa.array([RECORD[name]]) for name in HEADER} | columns
    table = pa.table({name: pa.DictionaryArray.from_arrays(zeros, array) for name, array in values.items()})
    sink = io.BytesIO()
    pq.write_table(table, sink, store_schema=False, compression="zstd")
    return sink.getvalue()


def check(content: bytes, limits: FileLimits = FileLimits()) -> ParquetFile | CsvFile:  # noqa: B008 - frozen
    kind = ParquetFile if content.startswith(b"PAR1") else CsvFile
    opened = kind.open(io.BytesIO(content), CONTRACT, ADDED, limits)
    for _ in opened.check():
        pass
    return opened


def test_a_repeated_long_text_is_refused() -> None:
    content = repeated(100_000, note=pa.array(["x" * 1_000_001]))
    assert len(content) < 20_000
    with pytest.raises(InvalidFile, match=r"a row has 1000\d+ bytes, more than the 1000000 of HEARTH_API_MAX_ROW_BYTES"):
        check(content)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda texts: pa.array([[texts]]),
        lambda texts: pa.array([{"a": {"b": texts}}]),
        lambda texts: pa.array([[("k", texts)]], pa.map_(pa.string(), pa.string())),
        lambda texts: pa.array([texts.encode()]),
    ],
    ids=["list", "struct", "map", "bytes"],
)
def test_a_long_text_inside_another_column_counts_too(wrap: Callable[[str], pa.Array]) -> None:
    table = pa.table({**{name: pa.array([RECORD[name]]) for name in HEADER}, "note": wrap("x" * 1_000_001)})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    with pytest.raises(InvalidFile, match="HEARTH_API_MAX_ROW_BYTES"):
        check(sink.getvalue())


def test_rows_with_long_texts_are_read_in_small_batches() -> None:
    opened = check(repeated(1_000, note=pa.array(["x" * 400_000])))
    assert isinstance(opened, ParquetFile)
    sizes = [batch.nbytes for batch in opened._batches()]
    assert max(sizes) <= parquet._BATCH_BYTES
    assert len(sizes) == 1_000 // 40 + 1


def test_cells_are_counted_before_a_row_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    content = repeated(1_000_000)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", None)
    with pytest.raises(InvalidFile, match="HEARTH_API_MAX_FILE_CELLS"):
        ParquetFile.open(io.BytesIO(content), CONTRACT, ADDED, FileLimits(cells=1_000_000))


def test_a_column_that_unpacks_to_much_is_refused() -> None:
    sink = io.BytesIO()
    lists = pa.ListArray.from_arrays(pa.array([0, 20_000_000], pa.int32()), pa.array(np.zeros(20_000_000, np.int8)))
    pq.write_table(pa.table({**{name: pa.array([RECORD[name]]) for name in HEADER}, "list": lists}), sink, compression="zstd")
    with pytest.raises(InvalidFile, match="smaller row groups"):
        ParquetFile.open(io.BytesIO(sink.getvalue()), CONTRACT, ADDED)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_columns_are_bounded(suffix: str) -> None:
    if suffix == "csv":
        content = (",".join(HEADER) + "," * 1_000 + "\n" + "1\n" * 10).encode()
    else:
        content = repeated(1, **{f"c{number}": pa.array([""]) for number in range(1_000)})
    with pytest.raises(InvalidFile, match=r"has 10\d\d columns, more than the 1000 of HEARTH_API_MAX_FILE_COLUMNS"):
        check(content)


def test_cells_of_csv_count_where_a_row_leaves_them_out() -> None:
    content = (",".join(HEADER) + "," * 80 + "\n" + "1\n" * 3_000).encode()
    with pytest.raises(InvalidFile, match="HEARTH_API_MAX_FILE_CELLS"):
        check(content, FileLimits(cells=100_000))
    assert check(content, FileLimits(cells=1_000_000)).refused == 3_000


def test_rows_that_leave_out_most_cells_are_refused_before_the_answer_would_fill_them() -> None:
    content = (",".join(HEADER) + "," * 900 + "\n" + "1\n" * 20_000).encode()
    steps = CsvFile.open(io.BytesIO(content), CONTRACT, ADDED).check()
    next(steps)
    with pytest.raises(InvalidFile, match="cells less than the header"):
        next(steps)


def test_all_rows_together_are_bounded_when_they_are_unpacked() -> None:
    content = repeated(10_000, note=pa.array(["x" * 200_000]))
    with pytest.raises(InvalidFile, match="unpacks to more than 1000000000 bytes, the limit of HEARTH_API_MAX_FILE_BYTES"):
        check(content)


def test_surplus_cells_are_named_up_to_fifty() -> None:
    content = (",".join(HEADER) + "\n" + "," * 900_000 + "\n").encode()
    opened = check(content)
    assert isinstance(opened, CsvFile)
    [batch] = [opened._parse(rows) for rows in opened._batches()]
    assert len(batch.refusals[0]) < 1_000
    assert "more" in batch.refusals[0]


@pytest.mark.parametrize("bomb", ["parquet", "csv"])
def test_scoring_a_bomb_takes_little_memory(bomb: str, tmp_path: Path) -> None:
    """The largest texts and the most columns that are allowed, a thousand rows of them."""
    note = repeated(1_000, note=pa.array(["x" * 900_000]))
    blank = (",".join(HEADER) + "," * 900 + "\n" + ("," * (len(HEADER) + 899) + "\n") * 20_000).encode()
    path = tmp_path / "bomb"
    path.write_bytes(note if bomb == "parquet" else blank)
    program = """
        import resource, sys
        from tests.unit.test_file_bombs import ADDED, CONTRACT, CsvFile, ParquetFile
        def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        before = peak()
        with open(sys.argv[1], "rb") as file:
            opened = (ParquetFile if sys.argv[2] == "parquet" else CsvFile).open(file, CONTRACT, ADDED)
            for _ in opened.check(): pass
            rows = sum(len(opened._parse(batch)) for batch in opened._batches())
        print(rows, peak() - before)
    """
    command = [sys.executable, "-c", textwrap.dedent(program), str(path), bomb]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    rows, grown = done.stdout.split()
    assert int(rows) == (1_000 if bomb == "parquet" else 20_000)
    assert float(grown) < 150
