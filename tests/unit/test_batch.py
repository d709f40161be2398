"""A batch: every row is scored or rejected with its line, once, whatever the chunks, and whenever the process was killed."""

import gzip
import io
import json
import os
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearth.batch.chunk import Parts, score_chunk
from hearth.batch.objects import find_objects
from hearth.batch.output import Folder, find_output
from hearth.batch.readers import _joined, open_table
from hearth.batch.runner import Batch, Step, finish, require_complete, score_objects
from hearth.batch.summary import Summary
from hearth.errors import IncompleteScoring, InvalidScoring, NotKept
from hearth.serving.compiled.scorer import CompiledScorer
from hearth.tables import find_form, read_chunks, read_columns
from tests.support.batches import HEADER, batch, contents, csv_text, model, no_store, parquet, pipeline, rejected, rows, scored
from tests.support.samples import EMPLOYEES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hearth.predictions import Prediction


class Killed(BaseException):
    """The process ends here."""


class DyingFolder(Folder):
    """A folder whose process is killed at the n-th change."""

    def __init__(self, path: Path, changes: int) -> None:
        super().__init__(path)
        self._left = changes

    def write(self, name: str, content: bytes) -> None:
        self._change()
        super().write(name, content)

    def delete(self, name: str) -> None:
        self._change()
        super().delete(name)

    def _change(self) -> None:
        if not self._left:
            raise Killed
        self._left -= 1


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output"


def run(made: Batch, **more: Any) -> Summary:
    score_objects(made)
    return finish(made, **more)


def spoiled(cells: list[list[str]]) -> list[list[str]]:
    """Make three rows break the contract: a number out of range, an unknown category with a word for a number, and a short row."""
    cells[7][HEADER.index("Sleep Hours")] = "99"
    cells[50][HEADER.index("Gender")] = "unknown"
    cells[50][HEADER.index("Designation")] = "boss"
    cells[70] = cells[70][:5]
    return cells


def test_each_row_is_scored_or_rejected_with_its_line_column_value_and_reason(source: Path, output: Path) -> None:
    cells = spoiled(rows(100))
    content = csv_text(cells).split(b"\n")
    content.insert(30, b"")  # a blank line is no row, and moves those below it
    (source / "a.csv").write_bytes(b"\n".join(content))

    summary = run(batch(source, output))

    table = scored(output, "a.csv")
    lines = [line for line in range(2, 103) if line not in {9, 31, 53, 73}]
    assert table["line"].to_pylist() == lines
    assert table["Employee ID"].to_pylist() == [cell[0] for place, cell in enumerate(cells) if place not in {7, 50, 70}]
    wrong = [(each["file"], each["line"], each["column"], each["value"]) for each in rejected(output, "a.csv")]
    assert wrong == [
        ("a.csv", "9", "Sleep Hours", "99"),
        ("a.csv", "53", "Gender", "unknown"),
        ("a.csv", "53", "Designation", "boss"),
        ("a.csv", "73", "", ""),
    ]
    reasons = [each["reason"] for each in rejected(output, "a.csv")]
    assert reasons[0].startswith("Sleep Hours: got '99', expected a number")
    assert reasons[3].startswith("the row has 5 cells, expected 14")
    assert (summary.rows, summary.scored, summary.rejected, sum(summary.labels.values())) == (100, 97, 3, 97)
    assert json.loads((output / "summary.json").read_bytes())["rejected"] == 3


def test_results_are_those_of_scoring_all_rows_at_once(source: Path, output: Path) -> None:
    cells = rows(130)
    (source / "a.csv").write_bytes(csv_text(cells))
    (source / "b.parquet").write_bytes(parquet(cells, row_group_size=30))
    run(batch(source, output))

    frame = scored(output, "a.csv").to_pandas()
    raw = model().scorer.parser.frame(model().scorer.parser.parse([_record(row) for row in cells]))
    expected = pipeline().predict_proba(raw)
    assert np.allclose(frame[[f"probability_{name}" for name in EMPLOYEES.target.classes]], expected, rtol=0, atol=1e-12)
    assert frame["label"].tolist() == [EMPLOYEES.target.classes[code] for code in expected.argmax(axis=1)]
    other = scored(output, "b.parquet").to_pandas()
    assert other["line"].tolist() == list(range(1, 131))
    assert other.drop(columns="line").equals(frame.drop(columns="line"))


@pytest.mark.parametrize("family", ["lightgbm", "logistic_regression"])
def test_the_compiled_scorer_gives_the_same_results(source: Path, tmp_path: Path, family: str) -> None:
    (source / "a.csv").write_bytes(csv_text(rows(200)))
    compiled = model(scorer=CompiledScorer(pipeline(family), EMPLOYEES))
    plain = model(scorer=replaced_scorer(family))
    tables = []
    for name, each in (("plain", plain), ("compiled", compiled)):
        run(replace(batch(source, tmp_path / name), model=each))
        tables.append(scored(tmp_path / name, "a.csv").to_pandas())

    assert tables[0]["label"].equals(tables[1]["label"])
    columns = [f"probability_{name}" for name in EMPLOYEES.target.classes]
    assert np.allclose(tables[0][columns], tables[1][columns], rtol=0, atol=1e-9)


def replaced_scorer(family: str) -> Any:
    from hearth.modelling.scorer import Scorer  # noqa: PLC0415 - beside its compiled form

    return Scorer(pipeline(family), EMPLOYEES)


@pytest.mark.parametrize("changes", [0, 1, 2, 3, 4, 5, 7, 8, 9, 13, 17, 19, 20, 21, 22])
def test_a_batch_that_was_killed_goes_on_and_has_the_same_bytes(source: Path, tmp_path: Path, changes: int) -> None:
    (source / "a.csv").write_bytes(csv_text(spoiled(rows(100))))
    (source / "b.csv.gz").write_bytes(gzip.compress(csv_text(rows(50, seed=2))))
    stored: list[Prediction] = []
    whole = run(batch(source, tmp_path / "whole"))

    dying = replace(batch(source, tmp_path / "killed"), output=DyingFolder(tmp_path / "killed", changes))
    with pytest.raises(Killed):
        run(dying, record=stored.extend)
    assert not (tmp_path / "killed/summary.json").exists()  # it is there only when all is done
    summary = run(batch(source, tmp_path / "killed"), record=stored.extend)

    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert (summary.id, summary.rows, summary.labels, summary.sampled) == (whole.id, whole.rows, whole.labels, 25)
    keys = {(each.message_id, each.row) for each in stored}
    assert len(keys) == 25  # stored once, or twice under the same keys


def test_a_second_run_does_nothing(source: Path, output: Path) -> None:
    (source / "a.csv").write_bytes(csv_text(rows(100)))
    stored: list[Prediction] = []
    logged: list[Summary] = []

    def log(summary: Summary) -> str:
        logged.append(summary)
        return "run"

    first = run(batch(source, output), record=stored.extend, log=log)
    times = {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file()}
    steps: list[Step] = []
    score_objects(batch(source, output), on_step=steps.append)
    assert finish(batch(source, output), record=stored.extend, log=log) == first

    assert {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file()} == times
    assert (len(stored), len(logged)) == (25, 1)
    assert [(step.rows, step.is_new) for step in steps] == [(100, False)]
    assert first.run_id == "run"


def test_an_object_that_changes_between_runs_is_scored_anew_and_leaves_nothing_behind(source: Path, output: Path, tmp_path: Path) -> None:
    (source / "a.csv").write_bytes(csv_text(spoiled(rows(200))))
    (source / "a.csv.00001.parquet").write_bytes(parquet(rows(30)))  # a name much like those of results
    run(batch(source, output))
    assert len(list((output / "scored").glob("a.csv.[0-9]*.parquet"))) == 6

    (source / "a.csv").write_bytes(csv_text(rows(50, seed=3)))
    os.utime(source / "a.csv", ns=(1, 1))
    summary = run(batch(source, output))

    run(batch(source, tmp_path / "fresh"))
    assert contents(output) == contents(tmp_path / "fresh")
    assert summary.rows == 80


def test_another_version_or_option_scores_all_anew(source: Path, output: Path) -> None:
    (source / "a.csv").write_bytes(csv_text(rows(50)))
    run(batch(source, output))

    run(batch(source, output, model=model("8")))
    assert set(scored(output, "a.csv")["version"].to_pylist()) == {"8"}
    run(batch(source, output, model=model("8"), parts=Parts(set=True), keep=[]))

    table = scored(output, "a.csv")
    assert "Employee ID" not in table.column_names
    assert all("|" in each or each in EMPLOYEES.target.classes for each in table["set"].to_pylist())


@settings(max_examples=30)
@given(
    chunk_rows=st.integers(1, 90),
    other=st.integers(1, 90),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoted=st.sets(st.integers(0, 59), max_size=3),
    blank=st.sets(st.integers(1, 60), max_size=5),
    short=st.sets(st.integers(0, 59), max_size=3),
    ended=st.booleans(),
)
def test_the_size_of_chunks_changes_no_result(  # noqa: PLR0913, PLR0917 - what a file can be like
    tmp_path_factory: pytest.TempPathFactory,
    chunk_rows: int,
    other: int,
    line_end: str,
    quoted: set[int],
    blank: set[int],
    short: set[int],
    ended: bool,
) -> None:
    folder = tmp_path_factory.mktemp("chunks")
    cells = rows(60)
    for place in quoted:
        cells[place][0] = 'an "id",\nof two lines'
    for place in short:
        cells[place] = cells[place][:-2]
    parts = [csv_text([row], header=HEADER, lineterminator=line_end).decode().split(line_end, 1)[1] for row in cells]
    for place in sorted(blank, reverse=True):
        parts.insert(place, line_end)
    text = line_end.join([",".join(HEADER), ""]) + "".join(parts)
    (folder / "source").mkdir()
    (folder / "source/a.csv").write_bytes((text if ended else text.removesuffix(line_end)).encode())

    found = []
    for size in (chunk_rows, other):
        run(batch(folder / "source", folder / str(size), size))
        table = scored(folder / str(size), "a.csv") if len(short) < 60 else pa.table({})
        found.append((table.to_pylist(), rejected(folder / str(size), "a.csv")))

    assert found[0] == found[1]
    assert len(found[0][0]) + len({each["line"] for each in found[0][1]}) == 60


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("rows_of_chunk", [1, 7, 100])
def test_chunks_are_the_rows_of_the_whole_file_from_any_of_them_on(encoding: str, rows_of_chunk: int) -> None:
    text = "id,Größe\n" + "".join(f"{'é' * (place % 3)}{place},{place}.5\n" + "\n" * (place % 5 == 0) for place in range(40))
    words = EMPLOYEES.file_format.model_copy(update={"encoding": encoding if encoding == "cp1252" else "utf-8"})
    file = io.BytesIO(text.encode(encoding))
    form, _ = find_form(file, ["id", "Größe"], words)
    whole = read_columns(file, form)

    chunks = list(read_chunks(file, form, [1, 0], rows_of_chunk))
    assert [text for chunk in chunks for text in chunk.columns[1].cells().to_pylist()] == whole.columns[0].cells().to_pylist()
    assert np.concatenate([chunk.lines for chunk in chunks]).tolist() == whole.lines.tolist()
    for number in range(0, len(chunks), 3):
        rest = list(read_chunks(file, form, [1, 0], rows_of_chunk, chunks[number].end))
        assert [chunk.lines.tolist() for chunk in rest] == [chunk.lines.tolist() for chunk in chunks[number + 1 :]]


def test_packed_objects_and_other_forms_are_read(source: Path, output: Path) -> None:
    cells = rows(60)
    plain = csv_text(cells)
    (source / "a.csv").write_bytes(plain)
    (source / "b.csv.gz").write_bytes(gzip.compress(plain))
    (source / "day=2/c.tsv").parent.mkdir()
    (source / "day=2/c.tsv").write_bytes(csv_text(cells, delimiter="\t", lineterminator="\r\n"))
    with zipfile.ZipFile(source / "d.zip", "w") as archive:
        archive.writestr("d.csv", plain)
    (source / "e.parquet.gz").write_bytes(gzip.compress(parquet(cells)))
    (source / "_SUCCESS").write_bytes(b"")
    (source / ".hidden").write_bytes(b"nothing")

    summary = run(batch(source, output))

    first = scored(output, "a.csv").to_pylist()
    for name in ("b.csv.gz", "day=2/c.tsv", "d.zip", "e.parquet.gz"):
        assert scored(output, name).to_pylist() == first
    assert summary.rows == 300
    assert not summary.problems


def test_empty_objects_have_no_rows_and_are_no_problem(source: Path, output: Path) -> None:
    (source / "empty.csv").write_bytes(b"")
    (source / "empty.csv.gz").write_bytes(gzip.compress(b""))
    (source / "header.csv").write_bytes(csv_text([]))
    (source / "none.parquet").write_bytes(parquet(rows(3), row_group_size=3))
    (source / "wrong.csv").write_bytes(csv_text([["x"] * len(HEADER)] * 5))

    summary = run(batch(source, output))

    require_complete(summary)
    assert (summary.objects, summary.rows, summary.scored, summary.rejected) == (5, 8, 3, 5)
    assert not list((output / "scored").glob("wrong*"))


def test_one_broken_object_does_not_cost_the_others(source: Path, output: Path) -> None:
    cells = rows(60)
    (source / "a.csv").write_bytes(csv_text(cells))
    (source / "b.parquet").write_bytes(b"PAR1 and nothing more")
    (source / "c.csv").write_bytes(b"a,b\n1,2\n")
    (source / "d.csv.gz").write_bytes(gzip.compress(csv_text(cells))[:-40])
    late = csv_text(cells).split(b"\n")
    late[55] = b'"never closed'
    (source / "e.csv").write_bytes(b"\n".join(late))
    (source / "f.csv").write_bytes(csv_text(cells))

    summary = run(batch(source, output, chunk_rows=20))

    assert set(summary.problems) == {"b.parquet", "c.csv", "d.csv.gz", "e.csv"}
    assert "not Parquet" in summary.problems["b.parquet"]
    assert "The header lacks columns that 'employees' needs" in summary.problems["c.csv"]
    assert "broken gzip archive" in summary.problems["d.csv.gz"]
    assert summary.problems["e.csv"].startswith("Line ")
    assert len(scored(output, "a.csv")) == len(scored(output, "f.csv")) == 60
    assert len(scored(output, "e.csv")) == 40  # what came before the broken line stays
    with pytest.raises(IncompleteScoring, match=r"4 of 6 objects could not be read: b\.parquet: "):
        require_complete(summary)
    assert run(batch(source, output, chunk_rows=20)) == summary

    (source / "e.csv").write_bytes(csv_text(cells))
    again = run(batch(source, output, chunk_rows=20))
    assert set(again.problems) == {"b.parquet", "c.csv", "d.csv.gz"}
    assert again.rows == 180


def test_what_cannot_be_is_refused_before_anything_is_written(source: Path, output: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidScoring, match="There is nothing to score in"):
        find_objects([str(source)], no_store)
    (source / "a.csv").write_bytes(csv_text(rows(3)))
    with pytest.raises(InvalidScoring, match="is no file and no folder"):
        find_objects([str(source / "b.csv")], no_store)
    with pytest.raises(InvalidScoring, match="would have the same results: score them apart"):
        find_objects([str(source), str(source / "a.csv")], no_store)
    with pytest.raises(InvalidScoring, match="is inside the source"):
        find_output(str(source / "out"), [str(source)], no_store)
    with pytest.raises(InvalidScoring, match="is inside the source"):
        find_output("s3://data/score/out", ["s3://data/score"], no_store)
    with pytest.raises(InvalidScoring, match="is a file, expected a folder"):
        find_output(str(source / "a.csv"), [str(tmp_path / "other")], no_store)
    with pytest.raises(InvalidScoring, match="cannot be kept: 'label'"):
        batch(source, output, keep=["label"])
    with pytest.raises(NotKept):
        batch(source, output, parts=Parts(unusual=True))
    assert not output.exists()


def test_a_column_to_keep_that_is_not_there_is_a_problem_of_its_object(source: Path, output: Path) -> None:
    (source / "a.csv").write_bytes(csv_text(rows(3)))
    (source / "b.parquet").write_bytes(parquet(rows(3)))

    summary = run(batch(source, output, keep=["Badge"]))

    assert all("Columns to keep are not there: 'Badge'" in problem for problem in summary.problems.values())
    assert len(summary.problems) == 2


def test_a_batch_whose_objects_nobody_has_tried_is_not_finished(source: Path, output: Path) -> None:
    (source / "a.csv").write_bytes(csv_text(rows(3)))
    (source / "b.csv").write_bytes(csv_text(rows(3)))
    made = batch(source, output)
    score_objects(made, made.share(0, 2))

    with pytest.raises(IncompleteScoring, match="1 of 2 objects were not scored yet"):
        finish(made)
    score_objects(made, made.share(1, 2))
    assert finish(made).rows == 6


def test_workers_share_objects_by_their_bytes(source: Path, output: Path) -> None:
    for name, count in (("a", 100), ("b", 40), ("c", 30), ("d", 20)):
        (source / f"{name}.csv").write_bytes(csv_text(rows(count)))
    made = batch(source, output)

    shares = [[each.name for each in made.share(number, 2)] for number in range(2)]

    assert shares == [["a.csv"], ["b.csv", "c.csv", "d.csv"]]


def test_the_sample_is_the_same_whatever_the_chunks_and_has_whole_answers(source: Path, tmp_path: Path) -> None:
    (source / "a.csv").write_bytes(csv_text(rows(100)))
    (source / "b.csv").write_bytes(csv_text(rows(100, seed=2)))
    samples: list[list[Prediction]] = []
    for size in (9, 100):
        stored: list[Prediction] = []
        run(batch(source, tmp_path / str(size), size), record=stored.extend)
        samples.append([replace(each, message_id="", scored_at=stored[0].scored_at) for each in stored])

    first, second = ([(each.record, each.probabilities, each.row) for each in sample] for sample in samples)
    assert first == second
    assert len(first) == 25
    one = samples[0][0]
    assert (one.source, one.role, one.version, one.alias) == ("batch", "answer", "7", "champion")
    assert set(one.record) == set(EMPLOYEES.feature_names)
    assert one.label in (one.label_set or ())
    assert not list((tmp_path / "9").glob("sample/*"))


def test_personal_values_are_in_no_reason_and_no_sample(source: Path, output: Path) -> None:
    gender = EMPLOYEES.columns["Gender"].model_copy(update={"personal": True})
    contract = EMPLOYEES.model_copy(update={"columns": {**EMPLOYEES.columns, "Gender": gender}})
    cells = rows(30)
    cells[3][HEADER.index("Gender")] = "secret"
    (source / "a.csv").write_bytes(csv_text(cells))
    made = batch(source, output)
    stored: list[Prediction] = []

    run(replace(made, contract=contract, sampler=replace(made.sampler, contract=contract)), record=stored.extend)

    assert "secret" not in "".join(str(each) for each in rejected(output, "a.csv"))
    assert all("Gender" not in each.record for each in stored)


def test_the_chunk_function_is_pure(source: Path) -> None:
    (source / "a.csv").write_bytes(csv_text(spoiled(rows(100))))
    [found] = find_objects([str(source)], no_store)
    with open_table(found, EMPLOYEES, ["Employee ID"]) as table:
        [chunk] = list(table.chunks(1_000, None))
        [*_, rest] = list(table.chunks(40, None))

    first, second = (score_chunk(EMPLOYEES, model(), chunk) for _ in range(2))

    assert first.scores.probabilities.tobytes() == second.scores.probabilities.tobytes()
    assert first.rejections.reasons.equals(second.rejections.reasons)
    assert (first.rows, len(first.lines), len(first.rejections)) == (100, 97, 4)
    assert len(rest) == 20


def _record(row: list[str]) -> dict[str, object]:
    numbers = set(EMPLOYEES.numeric_features)
    values = dict(zip(HEADER[1:], row[1:], strict=True))
    return {name: None if value == "" else float(value) if name in numbers else value for name, value in values.items()}


def test_a_text_that_parquet_repeats_is_in_memory_once(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = rows(20_000)
    table = pq.read_table(io.BytesIO(parquet(cells))).set_column(1, "Gender", pa.array(["x" * 10_000]).take(pa.array([0] * len(cells))))
    pq.write_table(table, source / "a.parquet")
    sizes: list[int] = []

    def joined(parts: "Sequence[pa.RecordBatch]") -> pa.RecordBatch:
        whole = _joined(parts)
        sizes.append(whole.nbytes)
        return whole

    monkeypatch.setattr("hearth.batch.readers._joined", joined)

    with open_table(find_objects([str(source)], no_store)[0], EMPLOYEES, []) as opened:
        [chunk] = opened.chunks(len(cells), None)

    assert len(chunk) == len(cells)
    assert max(sizes) < 10_000_000


def test_chunks_of_parquet_are_smaller_where_rows_are_large(source: Path, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hearth.batch.readers._MOST_BYTES", 3_000)
    (source / "a.parquet").write_bytes(parquet(rows(95), row_group_size=30, use_dictionary=False))

    run(batch(source, output, 80))

    assert len(list((output / "scored").glob("*.parquet"))) > 2
    assert scored(output, "a.parquet")["line"].to_pylist() == list(range(1, 96))


def test_bytes_that_parquet_calls_text_and_a_column_that_is_missing_cost_no_other_object(source: Path, output: Path) -> None:
    cells = rows(3)
    wrong = parquet([[cells[0][0], "\u00e9", *cells[0][2:]]], compression="none").replace("\u00e9".encode(), b"\xff\xff")
    (source / "a.parquet").write_bytes(wrong)
    pq.write_table(pq.read_table(io.BytesIO(parquet(cells))).drop_columns("Gender"), source / "b.parquet")
    (source / "c.parquet").write_bytes(parquet(cells))

    summary = run(batch(source, output))

    assert set(summary.problems) == {"a.parquet", "b.parquet"}
    assert "Invalid UTF8" in summary.problems["a.parquet"]
    assert "'Gender'" in summary.problems["b.parquet"]
    assert summary.scored == 3
