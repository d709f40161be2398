"""Batches from the object store to the object store, by the command and by the runner, on real servers."""

import gzip
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest

from deploy.embedded import temporary_servers
from hearth.batch.objects import find_objects
from hearth.batch.output import find_output
from hearth.batch.reporting import store_sample
from hearth.batch.runner import Batch, finish, require_complete, score_objects
from hearth.errors import ObjectChanged, ObjectNotFound, StorageUnavailable
from hearth.predictions import Prediction
from hearth.predictions.drift_store import DriftStore
from hearth.predictions.migration import migrate
from hearth.storage import ObjectStore
from tests.support.batches import batch, csv_text, parquet, rows

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def store(object_store: temporary_servers.ObjectStore) -> ObjectStore:
    return connect(object_store)


@pytest.fixture
def prefix(store: ObjectStore) -> str:
    """A prefix with a CSV file, a packed one, and a Parquet file in a folder."""
    prefix = f"batches/{uuid4().hex}"
    store.put("data", f"{prefix}/source/a.csv", csv_text(rows(120)))
    store.put("data", f"{prefix}/source/b.csv.gz", gzip.compress(csv_text(rows(60, seed=2))))
    store.put("data", f"{prefix}/source/day=2026-11-29/c.parquet", parquet(rows(90, seed=3), row_group_size=25))
    store.put("data", f"{prefix}/source-of-others/d.csv", csv_text(rows(5)))  # a prefix is a folder
    return prefix


def connect(server: temporary_servers.ObjectStore) -> ObjectStore:
    return ObjectStore(server.endpoint_url, region=server.region, access_key=server.access_key, secret_key=server.secret_key)


def stored_batch(store: ObjectStore, prefix: str, chunk_rows: int = 40, output: str = "output") -> Batch:
    source = f"s3://data/{prefix}/source"
    objects = find_objects([source], lambda: store)
    place = find_output(f"s3://data/{prefix}/{output}", [source], lambda: store)
    empty = ROOT / "data/employees"  # any folder with files: both are replaced
    return replace(batch(empty, Path("/nowhere"), chunk_rows), objects=objects, output=place)


def test_objects_are_read_by_ranges_and_results_are_partitioned_as_they_are(store: ObjectStore, prefix: str) -> None:
    made = stored_batch(store, prefix)
    score_objects(made)
    summary = finish(made)

    require_complete(summary)
    parts = sorted(key.removeprefix(f"{prefix}/output/scored/") for key in store.keys("data", f"{prefix}/output/scored/"))
    assert parts == [
        *(f"a.csv.0000{chunk}.parquet" for chunk in range(3)),
        *(f"b.csv.gz.0000{chunk}.parquet" for chunk in range(2)),
        *(f"day=2026-11-29/c.parquet.0000{chunk}.parquet" for chunk in range(3)),
    ]
    assert (summary.rows, summary.scored, summary.objects) == (270, 270, 3)
    before = {found.key: found.etag for found in store.objects("data", f"{prefix}/output/")}
    score_objects(stored_batch(store, prefix))
    assert finish(stored_batch(store, prefix)) == summary
    assert {found.key: found.etag for found in store.objects("data", f"{prefix}/output/")} == before


def test_one_object_is_a_source_too(store: ObjectStore, prefix: str) -> None:
    [found] = find_objects([f"s3://data/{prefix}/source/a.csv"], lambda: store)

    assert (found.name, found.size) == ("a.csv", len(csv_text(rows(120))))


def test_an_object_that_is_written_anew_while_it_is_read_is_a_problem_and_is_scored_whole_by_the_next_run(
    store: ObjectStore, prefix: str
) -> None:
    made = stored_batch(store, prefix)
    store.put("data", f"{prefix}/source/a.csv", csv_text(rows(80, seed=9)))
    score_objects(made)
    summary = finish(made)
    assert list(summary.problems) == ["a.csv"]
    assert "was written anew while it was read" in summary.problems["a.csv"]
    assert summary.rows == 150

    again = stored_batch(store, prefix)
    score_objects(again)
    assert (finish(again).rows, finish(again).problems) == (230, {})


def test_a_range_of_an_object_that_has_changed_or_is_gone_is_refused(store: ObjectStore, prefix: str) -> None:
    key = f"{prefix}/source/a.csv"
    found = store.head("data", key)
    assert store.read_range(found, 3, 11) == csv_text(rows(120))[3:11]
    store.put("data", key, b"another")
    with pytest.raises(ObjectChanged):
        store.read_range(found, 0, 3)
    store.delete("data", key)
    store.delete("data", key)
    with pytest.raises(ObjectNotFound):
        store.read_range(found, 0, 3)


def test_a_process_that_is_killed_is_followed_by_one_that_gives_the_same_bytes(
    store: ObjectStore, prefix: str, object_store: temporary_servers.ObjectStore
) -> None:
    whole = stored_batch(store, prefix, 5, "whole")
    score_objects(whole)
    finish(whole)
    program = textwrap.dedent(f"""
        import time
        from tests.integration.test_batch_objects import connect, stored_batch
        from deploy.embedded.temporary_servers import ObjectStore
        from hearth.batch.runner import finish, score_objects
        store = connect({object_store!r})
        made = stored_batch(store, {prefix!r}, 5)
        print("ready", flush=True)
        score_objects(made)
        finish(made)
    """)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment, cwd=ROOT)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(0.25)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
    again = stored_batch(store, prefix, 5)
    score_objects(again)
    finish(again)

    results = [
        {key.split(f"/{place}/")[1]: store.get("data", key) for key in store.keys("data", f"{prefix}/{place}/scored/")}
        for place in ("whole", "output")
    ]
    assert results[0] == results[1]
    assert len(results[0]) == 54


def test_a_store_that_is_away_ends_the_run_and_costs_no_object(prefix: str) -> None:
    away = ObjectStore("http://127.0.0.1:9", region="here", access_key="k", secret_key="s")

    with pytest.raises(StorageUnavailable):
        find_objects([f"s3://data/{prefix}/source"], lambda: away)


def test_the_sample_is_stored_once_and_is_a_quarter_of_the_newest_answers_at_most(
    store: ObjectStore, prefix: str, fresh_database: str
) -> None:
    migrate(fresh_database)
    made = stored_batch(store, prefix)
    score_objects(made)
    samples: list[Prediction] = []

    def record(sample: Sequence[Prediction]) -> None:
        samples.extend(sample)
        store_sample(fresh_database, sample)

    finish(made, record=record)
    store_sample(fresh_database, samples)  # as a run that was killed before it could write that it had

    with DriftStore(fresh_database) as drift:
        [batch_id] = {each.message_id for each in drift.page(100, source="batch")}
        assert len(drift.of_message(batch_id)) == 25
        assert batch_id.startswith("batch-")
        alone = drift.newest_answers("employees", "7", 20, samples[0].scored_at.replace(year=2020))
        assert len(alone) == 20  # where nobody else predicts, batches are all there is
        live = [
            replace(samples[0], message_id=f"live {place}", source="rest", scored_at=samples[0].scored_at.replace(year=2025))
            for place in range(40)
        ]
        drift.put(live)
        mixed = drift.newest_answers("employees", "7", 40, samples[0].scored_at.replace(year=2020), window=20)
    sources = [answer.source for answer in mixed]
    assert sources[20:].count("batch") == 5  # the newest window
    assert sources[:20].count("batch") == 0
    assert [answer.scored_at for answer in mixed] == sorted(answer.scored_at for answer in mixed)
