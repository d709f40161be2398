"""The ETL in parts: whatever the parts are, and whoever works on them, the outcome is that of the whole file."""

import bz2
import gzip
import io
import lzma
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from uuid import uuid4

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.embedded import temporary_servers
from hearth.contracts import Contract, load_contract
from hearth.contracts.numbers import PLAIN
from hearth.contracts.rules import rules_of
from hearth.data.chunked_cleaning import clean_and_split
from hearth.data.cleaning import clean, digest, split
from hearth.data.csv_validation import read_raw, validate
from hearth.data.hashed_file import HashedFile
from hearth.data.judged_column import JudgedColumn
from hearth.data.raw_blocks import RawBlocks
from hearth.data.row_buckets import RowBuckets
from hearth.data.row_keys import row_keys
from hearth.data.validated_spool import ValidatedSpool
from hearth.errors import InvalidRawData
from hearth.executors import Loop, find_executor
from hearth.jobs import etl
from hearth.settings import ExecutorSettings
from hearth.storage import ObjectStore
from hearth.tables import CsvForm, UnnamedColumn, UnreadableTable, cut, text_blocks
from tests.support.stores import store_of_its_own
from tests.training.raw_rows import raw_csv, raw_rows
from tests.training.test_text_columns import LIMIT, PIECES, Outcome, by_the_standard_library

EMPLOYEES = load_contract("employees")
HEART = load_contract("heart")


class Reversed:
    """An executor that works on the last part first."""

    def map(self, function: Callable[[object], object], parts: Sequence[object]) -> Iterator[object]:
        parts = list(parts)
        results = {place: function(parts[place]) for place in reversed(range(len(parts)))}
        return (results[place] for place in range(len(parts)))


def by_blocks(content: bytes, unshared: Sequence[int]) -> Outcome:
    rows: list[list[str]] = []
    lines: list[int] = []
    malformed: dict[int, str] = {}
    try:
        for block in cut(io.BytesIO(content), CsvForm(","), LIMIT):
            found = block.columns(range(block.width), [place for place in unshared if place < block.width])
            malformed |= {len(lines) + row: reason for row, reason in found.malformed.items()}
            rows += [list(row) for row in zip(*(column.to_pylist() for column in found.columns), strict=True)]
            lines += found.lines.tolist()
    except UnreadableTable as error:
        return str(error)
    return rows, lines, malformed


@given(
    pieces=st.lists(st.sampled_from(PIECES), max_size=60), size=st.sampled_from([8, 24, 60]), unshared=st.sampled_from([(), (0,), (0, 1)])
)
def test_blocks_hold_the_rows_lines_and_errors_of_the_standard_library(pieces: list[str], size: int, unshared: Sequence[int]) -> None:
    content = f"x,y\n{''.join(pieces)}".encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_blocks, "_BLOCK", size)
        patch.setattr(text_blocks, "_ROWS", 3)

        assert by_blocks(content, unshared) == by_the_standard_library(content)


def test_bytes_that_are_no_text_are_named_by_their_line_in_whatever_block() -> None:
    content = b"x,y\n" + b"a,a\n" * 20 + b"caf\xe9,a\n" + b"a,a\n" * 20

    assert str(by_blocks(content, ())).startswith("Line 22: not UTF-8 text (byte 0xe9)")


@given(
    texts=st.lists(
        st.sampled_from(
            ["1", " 3 ", "3.0", "+1", "1e3", "", "NA", "nan", "1,5", "-0.0", "\u00a02", "x", "\x1f4", "-", "1_0", "inf", "0x1", "٣"]
        ),
        min_size=1,
        max_size=30,
    ),
    name=st.sampled_from(["Employee ID", "Resource Allocation", "Designation"]),
)
def test_texts_that_are_read_in_arrays_mean_what_they_mean_one_by_one(texts: list[str], name: str) -> None:
    rule, plain = rules_of(EMPLOYEES)[name], pa.array(texts, pa.string())

    shared, unshared = (JudgedColumn(rule, column, PLAIN) for column in (plain.dictionary_encode(), plain))

    assert shared.good.tolist() == unshared.good.tolist()
    assert shared.typed().to_pylist() == unshared.typed().to_pylist()
    assert shared.words({"NA", "-"}) == unshared.words({"NA", "-"})
    assert not rule.holds_numbers or shared.is_marked == unshared.is_marked


def spoiled(contract: Contract, rows: int, random: Random) -> bytes:
    """Return raw rows with copies, missing values, broken ones, blank lines, and quotes."""
    frame = raw_rows(contract, rows, seed=random.randrange(1_000), missing_share=0.1)
    frame = pd.concat([frame, frame.sample(rows // 5, random_state=1)], ignore_index=True)
    column = next(iter(contract.feature_names))
    frame.loc[random.randrange(len(frame)), column] = "?"
    lines = frame.to_csv(index=False).splitlines(keepends=True)
    lines.insert(random.randrange(1, len(lines)), "\n")
    lines.insert(random.randrange(1, len(lines)), "too,short\n")
    cells = lines[-1].split(",")
    lines[-1] = ",".join([f'"{cells[0]}"', *cells[1:]])
    return "".join(lines).encode()


def chunked(contract: Contract, content: bytes, folder: Path, executor: object) -> tuple[object, ...]:
    """Return what the ETL in parts makes of a raw file."""
    folder.mkdir()
    file = HashedFile(io.BytesIO(content)).buffered()
    raw = RawBlocks.of(contract, file)
    raw = raw.with_numbers(raw.known_numbers())
    reader, blocks = raw.adapted_blocks()
    with ValidatedSpool(contract, folder) as spool:
        for checked in executor.map(reader.read, blocks):  # type: ignore[attr-defined]
            spool.add(checked.part)
    prepared = clean_and_split(contract, spool.rows, folder, executor)  # type: ignore[arg-type]
    totals = spool.totals
    rejected = pd.read_csv(spool.rejected, dtype=str, keep_default_na=False) if totals.rejected else pd.DataFrame()
    cleaned = prepared.cleaned
    outcome = (digest(prepared.split), dict(cleaned.dropped), dict(cleaned.missing_before), dict(cleaned.missing_after))
    return (*outcome, totals.reasons, totals.understood, totals.warnings, rejected.to_csv(index=False))


def whole(contract: Contract, content: bytes) -> tuple[object, ...]:
    """Return what the functions of whole frames make of it."""
    found = validate(contract, read_raw(contract, content, "x.csv"))
    cleaned = clean(contract, found.accepted)
    outcome = (digest(split(contract, cleaned.frame)), dict(cleaned.dropped), dict(cleaned.missing_before), dict(cleaned.missing_after))
    rejected = pd.read_csv(io.BytesIO(found.rejected.to_csv(index=False).encode()), dtype=str, keep_default_na=False)
    return (*outcome, dict(found.reasons), found.understood, found.warnings, rejected.to_csv(index=False) if len(rejected) else "\n")


def by_hash(contract: Contract) -> Contract:
    return contract.model_copy(update={"split": contract.split.model_copy(update={"by": "hash", "seed": 7})})


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10_000), size=st.sampled_from([600, 5_000, 1 << 20]), bucket=st.sampled_from([40, 1 << 19]))
@pytest.mark.parametrize("contract", [EMPLOYEES, HEART], ids=lambda contract: contract.name)
def test_the_digest_and_every_outcome_are_those_of_the_whole_for_any_size_and_order_of_parts(
    tmp_path: Path, contract: Contract, seed: int, size: int, bucket: int
) -> None:
    content = spoiled(contract, 200, Random(seed))
    expected = whole(contract, content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_blocks, "_BLOCK", size)
        patch.setattr("hearth.data.row_buckets._ROWS", bucket)

        for executor in (Loop(), Reversed()):
            assert chunked(contract, content, tmp_path / uuid4().hex, executor) == expected


def test_processes_give_what_one_process_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = spoiled(EMPLOYEES, 300, Random(1))
    monkeypatch.setattr(text_blocks, "_BLOCK", 5_000)

    with find_executor(1 << 40, ExecutorSettings(executor="processes", executor_processes=2)) as executor:
        assert not isinstance(executor, Loop)
        assert chunked(EMPLOYEES, content, tmp_path / "p", executor) == whole(EMPLOYEES, content)


def test_small_data_stay_in_this_process() -> None:
    with find_executor(1_000, ExecutorSettings(executor="processes")) as executor:
        assert isinstance(executor, Loop)


@pytest.mark.parametrize("rows_of_bucket", [3, 1 << 19])
def test_copies_and_groups_are_those_of_pandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_of_bucket: int) -> None:
    monkeypatch.setattr("hearth.data.row_buckets._ROWS", rows_of_bucket)
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"x": random.choice([0.0, -0.0, 1.5, np.nan], 500), "kind": random.choice(np.array(["a", "b", None], dtype=object), 500)}
    )
    codes = random.integers(0, 3, 500)
    columns = [pa.array(frame["x"], from_pandas=True), pa.array(frame["kind"], pa.string(), from_pandas=True).dictionary_encode()]
    features = row_keys(columns, 500)
    buckets = RowBuckets(500, tmp_path)
    for part in np.array_split(random.permutation(500), 7):  # in any order
        compared = row_keys([pa.array(codes.astype(float))], 500, features)[:, part]
        buckets.add(part, features[:, part], compared, codes[part])

    groups = buckets.resolve(3, drop_duplicates=True)

    assert groups.keep.tolist() == (~frame.assign(code=codes).duplicated()).tolist()
    kept = frame[groups.keep]
    assert groups.group.tolist() == kept.groupby(["x", "kind"], sort=False, dropna=False).ngroup().tolist()
    assert groups.classes.tolist() == [codes[groups.keep][groups.group == group].min() for group in range(len(groups.classes))]


@given(cells=st.lists(st.sampled_from(["", " ", "0", "1", "2", "3", "10", "1.0", "01", "x"]), max_size=8), cuts=st.sets(st.integers(0, 8)))
def test_a_column_without_a_name_is_judged_alike_in_any_parts(cells: list[str], cuts: set[int]) -> None:
    found = UnnamedColumn()
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(cells)], strict=True):
        found.add(pa.array(cells[start:end], pa.string()), np.arange(start + 2, start + 2 + len(cells[start:end])))

    stripped = [cell.strip() for cell in cells]
    assert found.found().line == next((place + 2 for place, cell in enumerate(stripped) if cell), 0)
    if any(stripped):
        numbers = all(cell.removesuffix(".0").isdigit() for cell in stripped) and len(set(stripped)) == len(stripped)
        assert found.found().numbers_rows == numbers


@pytest.fixture
def store(object_store: temporary_servers.ObjectStore) -> ObjectStore:
    """A store with two empty buckets of the test's own."""
    return store_of_its_own(object_store)


def zstd(content: bytes) -> bytes:
    packed: bytes = pa.Codec("zstd").compress(content, asbytes=True)
    return packed


class TestManyFiles:
    def test_a_folder_of_files_of_all_kinds_is_one_raw_input_in_the_order_of_their_names(self, store: ObjectStore) -> None:
        rows = raw_rows(EMPLOYEES, 250)
        target = io.BytesIO()
        pq.write_table(pa.Table.from_pandas(rows[200:], preserve_index=False), target)
        parts = [rows[start : start + 50].to_csv(index=False).encode() for start in range(0, 200, 50)]
        packed = {"a.csv": parts[0], "b.csv.gz": gzip.compress(parts[1]), "c/d.csv.bz2": bz2.compress(parts[2])}
        packed |= {"d.csv.zst": zstd(parts[3]), "e.parquet": target.getvalue(), "_SUCCESS": b"", ".hidden": b"x"}
        for name, content in packed.items():
            store.put(store.data_bucket, f"employees/raw/march/{name}", content)
        store.put(store.data_bucket, f"employees/raw/{EMPLOYEES.source.file}", rows.to_csv(index=False).encode())

        keys = [etl.validate("employees", etl.find_raw("employees", file, store=store), store=store) for file in ("march", None)]

        first, second = (store.get_frame(store.data_bucket, key) for key in keys)
        pd.testing.assert_frame_equal(first, second)
        assert etl.process("employees", keys[0], store=store) == etl.process("employees", keys[1], store=store)

    def test_rejected_rows_and_errors_name_the_file(self, store: ObjectStore) -> None:
        rows = raw_rows(EMPLOYEES, 60)
        rows.loc[40, "Gender"] = "?"
        for name, part in (("a.csv", rows[:30]), ("b.csv", rows[30:])):
            store.put(store.data_bucket, f"employees/raw/march/{name}", part.to_csv(index=False).encode())
        etl.validate("employees", "employees/raw/march/", store=store)
        [rejected] = store.keys(store.data_bucket, "employees/rejected/")

        assert store.get(store.data_bucket, rejected).decode().splitlines()[1].startswith("12,\"b.csv: Gender: got '?'")
        store.put(store.data_bucket, "employees/raw/march/b.csv", b"a,b\n1,2\n")
        with pytest.raises(InvalidRawData, match=r"employees/raw/march/b\.csv: .*columns are missing"):
            etl.validate("employees", "employees/raw/march/", store=store)

    def test_each_file_may_write_its_numbers_in_its_own_way(self, store: ObjectStore) -> None:
        rows = raw_rows(EMPLOYEES, 60)
        comma = rows.map(lambda text: text.replace(".", ",")).to_csv(index=False, sep=";").encode()
        for name, content in (("a.csv", raw_csv(EMPLOYEES, 60)), ("b.csv", comma)):
            store.put(store.data_bucket, f"employees/raw/march/{name}", content)

        frame = store.get_frame(store.data_bucket, etl.validate("employees", "employees/raw/march/", store=store))

        pd.testing.assert_frame_equal(frame[:60], frame[60:].reset_index(drop=True))

    def test_files_of_one_name_in_two_folders_may_each_write_their_numbers_in_their_own_way(
        self, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(text_blocks, "_BLOCK", 2_000)
        rows = raw_rows(EMPLOYEES, 200)
        decimals = [name for name in rows if rules_of(EMPLOYEES)[str(name)].holds_numbers]
        late = rows.copy()
        late.loc[:, decimals] = rows[decimals].map(lambda text: text.split(".")[0])
        late.loc[150:, "Burn Rate"] = "0,5"  # a decimal comma far behind the first block
        rows.loc[7, "Gender"] = "?"
        for name, content in (("2024", late.to_csv(index=False, sep=";")), ("2025", rows.to_csv(index=False))):
            store.put(store.data_bucket, f"employees/raw/years/{name}/data.csv", content.encode())

        key = etl.validate("employees", "employees/raw/years/", store=store)

        frame = store.get_frame(store.data_bucket, key)
        expected = validate(EMPLOYEES, read_raw(EMPLOYEES, rows.to_csv(index=False).encode(), "x.csv")).accepted
        pd.testing.assert_frame_equal(frame[200:].reset_index(drop=True), expected.reset_index(drop=True), check_dtype=False)
        assert frame["Burn Rate"].iloc[199] == 0.5
        [rejected] = store.keys(store.data_bucket, "employees/rejected/")
        assert "2025/data.csv: Gender: got '?'" in store.get(store.data_bucket, rejected).decode()

    @pytest.mark.parametrize("name", ["_SUCCESS", ".hidden.csv", "_temporary/a.csv"])
    def test_a_folder_of_marks_of_other_programs_alone_is_refused_with_a_sentence(self, store: ObjectStore, name: str) -> None:
        store.put(store.data_bucket, f"employees/raw/march/{name}", raw_csv(EMPLOYEES, 20))

        with pytest.raises(InvalidRawData, match=rf"raw/march does not exist.* there is: march/{name}"):
            etl.find_raw("employees", "march", store=store)
        with pytest.raises(InvalidRawData, match=r"employees/raw/march/ holds no raw file: expected one at least"):
            etl.validate("employees", "employees/raw/march/", store=store)


class TestNumbers:
    def test_a_number_that_is_written_otherwise_far_behind_changes_how_all_are_read(
        self, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(text_blocks, "_BLOCK", 2_000)
        rows = raw_rows(EMPLOYEES, 200)
        decimals = [name for name in rows if rules_of(EMPLOYEES)[str(name)].holds_numbers]
        rows.loc[:, decimals] = rows[decimals].map(lambda text: text.split(".")[0])
        rows.loc[150:, "Burn Rate"] = "0,5"
        content = rows.to_csv(index=False, sep=";").encode()
        store.put(store.data_bucket, "employees/raw/x.csv", content)

        frame = store.get_frame(store.data_bucket, etl.validate("employees", "employees/raw/x.csv", store=store))

        pd.testing.assert_frame_equal(frame, validate(EMPLOYEES, read_raw(EMPLOYEES, content, "x.csv")).accepted, check_dtype=False)
        assert frame["Burn Rate"].iloc[-1] == 0.5


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd])
def test_a_packed_file_that_ends_too_early_is_refused(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(raw_csv(EMPLOYEES, 2_000))

    with pytest.raises(InvalidRawData, match=r"broken|not CSV|cells"):
        read_raw(EMPLOYEES, packed[: len(packed) // 2], "x.csv")
