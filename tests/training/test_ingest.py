"""Batches from HTTP to a table and from there to the ETL, on PostgreSQL and MariaDB."""

from hashlib import sha256
from pathlib import Path

import pytest

from deploy.embedded import temporary_servers
from hearth.contracts import Contract
from hearth.data.ingest import Batch, BatchApi, BatchTable
from hearth.data.raw_origin import origin_of
from hearth.errors import InvalidBatch, InvalidRawData, SourceRefused, SourceUnavailable
from hearth.jobs import etl, load_batches
from hearth.storage import ObjectStore
from tests.support.sources import Answer, batch_body, scripted, stand_in
from tests.support.stores import store_of_its_own
from tests.training.batch_rows import RUN, batch, lists, with_value


@pytest.fixture
def store(object_store: temporary_servers.ObjectStore) -> ObjectStore:
    return store_of_its_own(object_store)


class TestLoading:
    def test_a_run_stores_as_many_new_batches_as_are_wanted(
        self, table: BatchTable, contract: Contract, tmp_path: Path, store: ObjectStore
    ) -> None:
        with stand_in([contract], tmp_path) as url:
            api = BatchApi(url, contract, "/meadow", 1)
            progress = [load_batches.load_batch("meadow", RUN, 2, api=api, table=table, store=store) for _ in range(3)]

        assert progress == [
            load_batches.Progress(1, is_done=False),
            load_batches.Progress(2, is_done=True),
            load_batches.Progress(2, is_done=True),
        ]
        assert (table.count(), table.export().rows) == (2, 40)

    def test_a_batch_that_is_handed_out_again_is_waited_through(
        self, table: BatchTable, contract: Contract, tmp_path: Path, store: ObjectStore
    ) -> None:
        with stand_in([contract], tmp_path, seconds=3600) as url:
            api = BatchApi(url, contract, "/meadow", 1)
            progress = [load_batches.load_batch("meadow", RUN, 2, api=api, table=table, store=store) for _ in range(3)]

        assert progress == [load_batches.Progress(1, is_done=False)] * 3

    def test_a_run_ends_well_when_all_batches_are_collected(
        self, table: BatchTable, contract: Contract, tmp_path: Path, store: ObjectStore
    ) -> None:
        with stand_in([contract], tmp_path, batches=2) as url:
            api = BatchApi(url, contract, "/meadow", 1)
            for _ in range(2):
                load_batches.load_batch("meadow", RUN, 10, api=api, table=table, store=store)

            assert load_batches.load_batch("meadow", RUN, 10, api=api, table=table, store=store) == load_batches.Progress(2, is_done=True)
            assert load_batches.load_batch("meadow", "the next run", 10, api=api, table=table, store=store) == load_batches.Progress(
                0, is_done=True
            )

    def test_a_source_that_never_gave_anything_is_an_error(self, table: BatchTable, contract: Contract, store: ObjectStore) -> None:
        with (
            scripted(Answer(400, b'{"detail": "no such group"}')) as source,
            pytest.raises(SourceRefused, match=r"no such group.*source\.group_number"),
        ):
            load_batches.load_batch("meadow", RUN, 10, api=BatchApi(source.url, contract, "/meadow", 1), table=table, store=store)

    def test_a_run_that_was_cut_short_goes_on_where_it_was(self, table: BatchTable, contract: Contract, store: ObjectStore) -> None:
        """The source goes away after the second batch, and the task is tried again."""
        answers = [Answer(200, batch_body(1, number, lists(contract, 10, seed=number))) for number in (1, 2, 3)]
        with scripted(answers[0], answers[1], Answer(503, b""), answers[2]) as source:
            api = BatchApi(source.url, contract, "/meadow", 1)
            for _ in range(2):
                load_batches.load_batch("meadow", RUN, 3, api=api, table=table, store=store)
            with pytest.raises(SourceUnavailable):
                load_batches.load_batch("meadow", RUN, 3, api=api, table=table, store=store)

            assert load_batches.load_batch("meadow", RUN, 3, api=api, table=table, store=store) == load_batches.Progress(3, is_done=True)

        assert (table.count(), table.export().rows) == (3, 30)

    def test_a_batch_with_other_columns_stores_nothing_and_the_next_is_taken(
        self, table: BatchTable, contract: Contract, store: ObjectStore
    ) -> None:
        bad = Answer(200, batch_body(1, 1, [row[1:] for row in lists(contract, 10)]))
        with scripted(bad, Answer(200, batch_body(1, 2, lists(contract, 10)))) as source:
            api = BatchApi(source.url, contract, "/meadow", 1)
            with pytest.raises(InvalidBatch):
                load_batches.load_batch("meadow", RUN, 1, api=api, table=table, store=store)

            assert load_batches.load_batch("meadow", RUN, 1, api=api, table=table, store=store) == load_batches.Progress(1, is_done=True)

        assert table.export().rows == 10


class TestEtl:
    def test_the_same_rows_give_the_same_data_and_write_nothing_new(
        self, table: BatchTable, contract: Contract, store: ObjectStore, tmp_path: Path
    ) -> None:
        def run_etl() -> str:
            load_batches.export_table("meadow", table=table, store=store)
            return etl.process("meadow", etl.validate("meadow", etl.find_raw("meadow", store=store), store=store), store=store)

        with stand_in([contract], tmp_path, rows=150, batches=2) as url:
            api = BatchApi(url, contract, "/meadow", 1)
            load_batches.load_batch("meadow", RUN, 9, api=api, table=table, store=store)
            first = run_etl()
            keys = sorted(store.keys(store.processed_bucket))
            assert (run_etl(), sorted(store.keys(store.processed_bucket))) == (first, keys)

            load_batches.load_batch("meadow", RUN, 9, api=api, table=table, store=store)
            second = run_etl()

        assert second != first
        assert not any(first in key for key in set(store.keys(store.processed_bucket)) - set(keys))

    def test_rows_that_break_the_contract_are_set_aside_by_the_etl_with_the_reason(
        self, table: BatchTable, contract: Contract, store: ObjectStore
    ) -> None:
        table.store(Batch(1, 1, with_value(contract, lists(contract, 100), 7, "Designation", "boss")), RUN)
        load_batches.export_table("meadow", table=table, store=store)

        etl.validate("meadow", etl.find_raw("meadow", store=store), store=store)

        [key] = store.keys(store.data_bucket, "meadow/rejected/")
        assert b"Designation: got 'boss', expected a whole number" in store.get(store.data_bucket, key)

    def test_rows_that_their_source_calls_generated_stay_so(
        self, table: BatchTable, contract: Contract, store: ObjectStore, tmp_path: Path
    ) -> None:
        table.store(batch(contract, 7), RUN)
        load_batches.export_table("meadow", table=table, store=store)
        key = etl.find_raw("meadow", store=store)
        assert origin_of(store, contract, sha256(store.get(store.data_bucket, key)).hexdigest()) == "batches"

        with stand_in([contract], tmp_path, batches=1) as url:
            load_batches.load_batch("meadow", RUN, 9, api=BatchApi(url, contract, "/meadow", 1), table=table, store=store)
        load_batches.export_table("meadow", table=table, store=store)

        assert origin_of(store, contract, sha256(store.get(store.data_bucket, key)).hexdigest()) == "generated"

    def test_an_export_that_is_there_already_is_not_written_again(
        self, table: BatchTable, contract: Contract, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        table.store(batch(contract, 1), RUN)
        written = load_batches.export_table("meadow", table=table, store=store)
        monkeypatch.setattr(store, "put", lambda *_, **__: pytest.fail("written again"))

        assert load_batches.export_table("meadow", table=table, store=store) == written

    def test_an_etl_before_the_first_load_says_what_to_run(self, contract: Contract, store: ObjectStore) -> None:
        assert contract.name == "meadow"
        with pytest.raises(InvalidRawData, match="meadow_load_data"):
            etl.find_raw("meadow", store=store)
