"""Batches in a table, on PostgreSQL and MariaDB: whole or not at all, once each, and as they came."""

import json
import math
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from deploy.embedded import temporary_servers
from hearth.contracts import Contract
from hearth.data import csv_validation
from hearth.data.ingest import Batch, BatchTable
from hearth.errors import DataUnavailable, IngestError, InvalidRawData, InvalidSettings, TableMismatch
from tests.support.sources import batch_contract
from tests.support.waiting import wait_until
from tests.training.batch_rows import RUN, batch, lists, sql, with_value


class TestStoring:
    def test_values_have_the_types_of_the_contract_and_names_as_in_code(self, table: BatchTable, database: str, contract: Contract) -> None:
        rows = lists(contract, 3)
        table.store(Batch(1, 1, tuple(tuple(row) for row in rows)), RUN)

        stored = sql(database, "SELECT _group, _batch, _row, designation, date_of_joining, gender, _raw FROM meadow ORDER BY _row")

        names = list(contract.columns)
        for number, (found, row) in enumerate(zip(stored, rows, strict=True)):
            assert found[:3] == (1, 1, number)
            assert found[3] == int(row[names.index("Designation")])
            assert str(found[4]) == row[names.index("Date of Joining")]
            assert found[5:] == (row[names.index("Gender")], None)

    def test_a_repeated_batch_changes_nothing(self, table: BatchTable, contract: Contract) -> None:
        assert table.store(batch(contract, 1), RUN)
        before = table.export()

        assert not table.store(batch(contract, 1), "another run")

        assert table.export() == before
        assert (table.count(), table.count(run=RUN), table.count(run="another run")) == (1, 1, 0)

    def test_the_first_rows_of_a_batch_are_kept_when_the_source_changes_its_mind(self, table: BatchTable, contract: Contract) -> None:
        table.store(batch(contract, 1), RUN)
        before = table.export()
        other = Batch(1, 1, batch(contract, 2).rows)

        assert not table.store(other, RUN)

        assert table.differs(other)
        assert not table.differs(batch(contract, 1))
        assert table.export() == before

    def test_the_same_number_in_another_group_is_another_batch(self, table: BatchTable, contract: Contract) -> None:
        assert table.store(batch(contract, 1, group=1), RUN)
        assert table.store(batch(contract, 1, group=2), RUN)

        assert (table.count(), table.count(group=2), table.export().batches) == (2, 1, 2)

    def test_two_writers_of_one_batch_store_it_once(self, table: BatchTable, contract: Contract) -> None:
        """All begin at once, the tables not there yet."""
        barrier = threading.Barrier(4)

        def write(_: int) -> bool:
            barrier.wait()
            return table.store(batch(contract, 1, rows=200), RUN)

        with ThreadPoolExecutor(4) as pool:
            stored = list(pool.map(write, range(4)))

        assert sorted(stored) == [False, False, False, True]
        assert table.export().rows == 200

    def test_a_failure_among_the_rows_leaves_neither_rows_nor_mark_and_the_batch_can_be_stored_again(
        self, table: BatchTable, database: str, contract: Contract
    ) -> None:
        table.store(batch(contract, 1), RUN)
        before = table.export()
        fail, mend = failing_rows(database)
        sql(database, *fail)

        with pytest.raises(IngestError, match="no room"):
            table.store(batch(contract, 2), RUN)

        assert (table.export(), table.count()) == (before, 1)
        sql(database, *mend)
        assert table.store(batch(contract, 2), RUN)
        assert (table.export().rows, table.count()) == (20, 2)

    def test_a_row_that_breaks_the_contract_is_kept_as_it_came_for_the_etl_to_judge(
        self, table: BatchTable, database: str, contract: Contract
    ) -> None:
        rows = with_value(contract, lists(contract, 40), 7, "Designation", "boss")

        table.store(Batch(1, 1, rows), RUN)

        [(designation, raw)] = sql(database, "SELECT designation, _raw FROM meadow WHERE _row = 7")
        assert designation is None
        assert json.loads(str(raw)) == list(rows[7])
        lines = table.export().content.decode().splitlines()
        assert lines[8].split(",") == list(rows[7])

    def test_numbers_come_back_as_they_were(self, table: BatchTable, contract: Contract) -> None:
        values = [math.nextafter(1, 2), 1 / 3, 9.99999999999999, 0.1 + 0.2, 5e-324, 10.0]
        rows = lists(contract, len(values))
        for number, value in enumerate(values):
            rows = [list(row) for row in with_value(contract, rows, number, "Mental Fatigue Score", repr(value))]

        table.store(Batch(1, 1, tuple(tuple(row) for row in rows)), RUN)

        frame = csv_validation.read_raw(contract, table.export().content, "export").cells()
        assert [float(found) for found in frame["Mental Fatigue Score"]] == values

    def test_texts_come_back_as_they_were(self, table: BatchTable, contract: Contract) -> None:
        names = ["Größe, 🌲", 'a "b"', "two\nlines", "\\N", "%s", "a" * 70_000]
        rows = lists(contract, len(names))
        first = next(iter(contract.columns))
        for number, name in enumerate(names):
            rows = [list(row) for row in with_value(contract, rows, number, first, name)]

        table.store(Batch(1, 1, tuple(tuple(row) for row in rows)), RUN)

        assert csv_validation.read_raw(contract, table.export().content, "export").cells()[first].tolist() == names


def failing_rows(database: str) -> tuple[list[str], list[str]]:
    """Statements that make the insertion of a batch's sixth row fail, and such that mend it."""
    if database.startswith("mysql"):
        trigger = "BEFORE INSERT ON meadow FOR EACH ROW IF NEW._row = 5 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no room'; END IF"
        return [f"CREATE TRIGGER breaks {trigger}"], ["DROP TRIGGER breaks"]
    function = "CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no room'; END $$"
    return [function, "CREATE TRIGGER breaks BEFORE INSERT ON meadow FOR EACH ROW WHEN (NEW._row = 5) EXECUTE FUNCTION fail()"], [
        "DROP TRIGGER breaks ON meadow"
    ]


_WRITER = """
import sys
from pathlib import Path
from hearth.contracts import load_contract
from hearth.data.ingest import Batch, BatchTable
contract = load_contract("meadow", Path(sys.argv[1]))
BatchTable(sys.argv[2], contract, "meadow").store(Batch(1, 2, tuple(map(tuple, __import__("json").load(sys.stdin)))), "killed")
"""


def test_a_writer_that_is_killed_between_mark_and_rows_leaves_nothing(fresh_database: str, contract: Contract, tmp_path: Path) -> None:
    table = BatchTable(fresh_database, contract, "meadow")  # by the driver that SQLAlchemy takes where none is named
    table.store(batch(contract, 1), RUN)
    before = table.export()
    engine = create_engine(fresh_database)
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
    with engine.connect() as holder, engine.connect().execution_options(isolation_level="AUTOCOMMIT") as watcher:
        holder.execute(text("LOCK TABLE meadow IN EXCLUSIVE MODE"))
        command = [sys.executable, "-c", _WRITER, str(tmp_path), fresh_database]
        with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as writer:
            assert writer.stdin is not None
            writer.stdin.write(json.dumps(batch(contract, 2).rows))
            writer.stdin.close()
            wait_until(lambda: watcher.scalar(waiting) or writer.poll() is not None)  # its mark is written, its rows are not
            assert writer.poll() is None
            writer.send_signal(signal.SIGKILL)
        holder.rollback()
    engine.dispose()

    assert table.store(batch(contract, 2), RUN)  # waits for the end of the dead one's transaction
    assert (before.batches, table.count(), table.count(run="killed"), table.export().rows) == (1, 2, 0, 20)


def with_team_last(contract: Contract, number: int) -> Batch:
    """A batch whose column of team sizes is the last, as where that column has another name."""
    place = list(contract.columns).index("Team Size")
    whole = batch(contract, number)
    return replace(whole, rows=tuple((*row[:place], *row[place + 1 :], row[place]) for row in whole.rows))


class TestTable:
    def test_a_table_of_an_older_contract_is_named_with_what_differs_and_what_to_do(
        self, table: BatchTable, database: str, contract: Contract, tmp_path: Path
    ) -> None:
        table.store(batch(contract, 1), RUN)
        columns = contract.model_dump()["columns"]
        columns["Canopy"] = {**columns.pop("Team Size"), "kind": "number"}
        columns["Designation"]["kind"] = "number"
        newer = batch_contract(tmp_path, "meadow", columns=json.loads(json.dumps(columns, default=str)))

        with pytest.raises(TableMismatch) as caught:
            BatchTable(database, newer, "meadow").store(with_team_last(contract, 2), RUN)

        for part in ("it has no canopy", "it has team_size", "designation holds whole numbers, expected numbers", "clear_data"):
            assert part in str(caught.value)
        assert table.export().rows == 10

    def test_clearing_a_table_of_an_older_contract_makes_room_for_the_newer(
        self, table: BatchTable, database: str, contract: Contract, tmp_path: Path
    ) -> None:
        table.store(batch(contract, 1), RUN)
        columns = json.loads(json.dumps(contract.model_dump()["columns"], default=str))
        columns["Canopy"] = columns.pop("Team Size")
        newer_contract = batch_contract(tmp_path, "meadow", columns=columns)
        newer = BatchTable(database, newer_contract, "meadow")

        newer.clear()

        assert newer.store(with_team_last(contract, 1), RUN)
        assert newer.export().content.splitlines()[0].endswith(b"Canopy")

    def test_a_table_that_is_somebody_elses_is_left_alone(self, table: BatchTable, database: str, contract: Contract) -> None:
        sql(database, "CREATE TABLE meadow (flower INT)", "INSERT INTO meadow VALUES (1)")

        for action in (lambda: table.store(batch(contract, 1), RUN), table.clear, table.export):
            with pytest.raises(TableMismatch, match="load_data has not made it"):
                action()

        assert sql(database, "SELECT flower FROM meadow") == [(1,)]

    def test_clearing_removes_rows_and_marks_of_this_data_set_alone(
        self, table: BatchTable, database: str, contract: Contract, tmp_path: Path
    ) -> None:
        other_contract = batch_contract(tmp_path, "marsh")
        other = BatchTable(database, other_contract, "marsh")
        for number in (1, 2):
            table.store(batch(contract, number), RUN)
            other.store(batch(other_contract, number), RUN)

        cleared = table.clear()

        assert (cleared.rows, cleared.batches, table.count(), other.count(), other.export().rows) == (20, 2, 0, 2, 20)
        with pytest.raises(InvalidRawData, match="no rows: run load_data"):
            table.export()
        assert table.store(batch(contract, 1), RUN)

    def test_clearing_what_is_not_there_is_no_error(self, table: BatchTable) -> None:
        assert (table.clear().rows, table.count()) == (0, 0)

    def test_rows_go_only_if_their_marks_go_too(self, table: BatchTable, database: str, contract: Contract) -> None:
        table.store(batch(contract, 1), RUN)
        before = table.export()
        if database.startswith("mysql"):
            no = "BEFORE DELETE ON hearth_batches FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'never'"
            sql(database, f"CREATE TRIGGER keeps {no}")
        else:
            sql(
                database,
                "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'never'; END $$",
                "CREATE TRIGGER keeps BEFORE DELETE ON hearth_batches FOR EACH ROW EXECUTE FUNCTION refuse()",
            )

        with pytest.raises(IngestError, match="never"):
            table.clear()

        assert (table.export(), table.count()) == (before, 1)

    def test_an_export_is_the_same_however_the_batches_came(self, database: str, contract: Contract) -> None:
        first, second = BatchTable(database, contract, "meadow"), BatchTable(database, contract, "copy_of_meadow")
        for number in (1, 2, 3):
            first.store(batch(contract, number), RUN)
        for number in (3, 1, 2):
            second.store(batch(contract, number), RUN)

        assert first.export() == second.export()
        assert first.export().content.count(b"\n") == 31


class TestAway:
    @pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg2", "mysql+pymysql"])
    def test_a_database_that_is_away_is_named_without_its_password(self, contract: Contract, scheme: str) -> None:
        table = BatchTable(f"{scheme}://hearth:secret@127.0.0.1:{temporary_servers.free_port()}/data", contract, "meadow")

        for action in (lambda: table.store(batch(contract, 1), RUN), table.clear, table.export, table.count):
            with pytest.raises(DataUnavailable, match=r"127\.0\.0\.1/data does not answer.*HEARTH_DATA_DB_URL") as caught:
                action()
            assert "secret" not in str(caught.value)

    @pytest.mark.parametrize("url", ["", "not a url", "oracle+cx_oracle://a:secret@b/c", "nosuch://a:secret@b/c"])
    def test_a_url_that_cannot_be_used_is_named_by_its_setting(self, contract: Contract, url: str) -> None:
        with pytest.raises(InvalidSettings, match="HEARTH_DATA_DB_URL") as caught:
            BatchTable(url, contract, "meadow")
        assert "secret" not in str(caught.value)
