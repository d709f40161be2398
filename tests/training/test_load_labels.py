"""Files of labels from the bucket into the predictions store, on a real PostgreSQL and object store."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hearth.alerts import AlertStore
from hearth.audit import Entry
from hearth.audit.reports import MOST_FILES
from hearth.contracts import Contract
from hearth.jobs import load_labels as job
from hearth.jobs.load_labels import LabelLoader, LoadedLabels
from hearth.predictions import Prediction, feedback
from hearth.predictions.label_store import LabelStore
from hearth.predictions.migration import migrate
from hearth.settings import get_settings
from hearth.storage import ObjectStore
from tests.support.monitored_site import contract_with_statistics


@pytest.fixture
def contract(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Contract]:
    contract = contract_with_statistics(tmp_path)
    monkeypatch.setenv("HEARTH_DATA_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield contract
    get_settings.cache_clear()


class Entries:
    """A trail in memory."""

    def __init__(self) -> None:
        self.rows: list[Entry] = []

    def record(self, entry: Entry) -> None:
        self.rows.append(entry)


class Site:
    def __init__(self, contract: Contract, store: ObjectStore, url: str, labels: LabelStore, alerts: AlertStore) -> None:
        self.name, self.store, self.url, self.labels, self.alerts = contract.name, store, url, labels, alerts
        self.trail = Entries()
        self.loader = LabelLoader(labels, alerts, store, self.trail)

    def drop(self, name: str, content: bytes) -> None:
        self.store.put(self.store.data_bucket, f"{self.name}/labels/{name}", content)

    def load(self) -> LoadedLabels:
        return self.loader.load(self.name)

    def predict(self, rows: int = 1) -> str:
        id_, now = uuid4().hex, datetime.now(UTC)
        self.labels.put(
            [Prediction(id_, row, self.name, "champion", "2", "knn", 0, "Low", (0.6, 0.3, 0.1), {}, None, now) for row in range(rows)]
        )
        return id_

    def truths(self) -> list[tuple[str, int, int]]:
        return sorted((found.message_id, found.row, found.truth) for found in self.labels.labelled(self.name))

    def stored(self) -> int:
        with psycopg.connect(self.url) as connection:
            (count,) = connection.execute("SELECT count(*) FROM labels").fetchone() or (0,)
            return int(count)

    def objects(self, kind: str) -> list[bytes]:
        keys = self.store.keys(self.store.data_bucket, f"{self.name}/{kind}/")
        return [self.store.get(self.store.data_bucket, key) for key in keys]

    def alert(self) -> str:
        return " ".join(alert.summary for alert in self.alerts.alerts("open", self.name))


@pytest.fixture
def site(contract: Contract, store: ObjectStore, fresh_database: str) -> Iterator[Site]:
    migrate(fresh_database)
    with LabelStore(fresh_database) as labels, AlertStore(fresh_database) as alerts:
        yield Site(contract, store, fresh_database, labels, alerts)


def test_a_file_is_one_row_of_the_audit_trail(site: Site) -> None:
    known = site.predict(2)
    site.drop("a.csv", f"id,row,truth\n{known},0,High\n{known},1,Low\n{known},2,hihg\n".encode())

    site.load()
    site.load()

    [row] = site.trail.rows
    assert (row.action, row.result, row.dataset, row.subject) == ("labels_reported", "done", site.name, f"{site.name}/labels/a.csv")
    assert row.detail == {"reports": 3, "outcomes": {"joined": 2, "refused": 1}}


def test_files_beyond_a_number_are_one_row_together(site: Site) -> None:
    known = site.predict(1)
    for number in range(MOST_FILES + 3):
        site.drop(f"{number:02}.csv", f"id,row,truth\n{known},0,High\n{known},{number + 1},hihg\n".encode())

    site.load()

    assert len(site.trail.rows) == MOST_FILES + 1
    assert [row.subject for row in site.trail.rows[-2:]] == [f"{site.name}/labels/{MOST_FILES - 1}.csv", ""]
    assert site.trail.rows[-1].detail == {"files": 3, "reports": 6, "outcomes": {"refused": 3, "same": 3}}


def test_each_object_is_read_once_and_again_when_it_is_replaced(site: Site) -> None:
    known = site.predict(3)
    frame = pd.DataFrame({"id": [known], "row": [2], "truth": [0.9], "observed_at": [pd.Timestamp("2026-11-20 08:00", tz="UTC")]})
    site.drop("november.csv", f"id,row,truth\n{known},0,High\n{known},1,Low\n".encode())
    site.drop("2026/more.parquet", frame.to_parquet())
    site.drop("readme.txt", b"not for us")

    first = site.load()
    assert (first.objects, dict(first.outcomes), first.unreadable) == (2, {"joined": 3}, [])
    assert site.truths() == [(known, 0, 2), (known, 1, 0), (known, 2, 2)]
    assert site.load() == LoadedLabels()

    site.drop("november.csv", f"id,row,truth\n{known},0,Medium\n{known},1,Low\n".encode())
    again = site.load()
    assert again.objects == 1
    assert site.truths()[0] == (known, 0, 1)
    assert [json.loads(marker)["problem"] for marker in site.objects("labels_loaded")] == ["", "", ""]
    assert site.objects("rejected") == []


def test_refused_rows_are_kept_apart_with_line_and_reason_and_an_alert_says_where(site: Site) -> None:
    known = site.predict(2)
    site.drop("a.csv", f'id;row;truth\n{known};0;"Hi\nhg"\n{known};1;High\n{known};x;Low\n\n{known};1\n'.encode())

    loaded = site.load()

    assert dict(loaded.outcomes) == {"refused": 3, "joined": 1}
    assert site.truths() == [(known, 1, 2)]
    [rejected] = site.objects("rejected/labels")
    rows = list(csv.reader(io.StringIO(rejected.decode())))
    assert rows[0] == ["line", "reason", "id", "row", "truth", "dataset", "observed_at", "reported_by"]
    assert [row[0] for row in rows[1:]] == ["2", "5", "7"]
    assert "got 'Hi\\nhg', expected one of Low, Medium, High" in rows[1][1]
    assert rows[1][2:5] == [known, "0", "Hi\nhg"]
    assert "row: got 'x'" in rows[2][1]
    assert "expected an object with id, row, truth" in rows[3][1]
    assert "3 of 4 rows are refused" in site.alert()

    site.drop("b.csv", f"id,truth\n{known},High\n".encode())
    site.load()
    assert site.alert() == ""


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"name,class\nx,y\n", "its columns are name, class"),
        (b"id,truth\nx,High\n\xff,Low\n", "not a CSV file in UTF-8"),
        (b"id,truth\nx,High\n" + 1_000_000 * b"x,", "a line has 1,000,000 characters or more"),
        (b"", "none"),
    ],
)
def test_an_object_that_cannot_be_read_costs_no_other_and_is_not_read_again(site: Site, content: bytes, problem: str) -> None:
    site.drop("a.csv", content)
    site.drop("b.csv", b"id,truth\nz,High\n")

    loaded = site.load()

    assert (loaded.objects, len(loaded.unreadable)) == (2, 1)
    assert problem in loaded.unreadable[0]
    assert problem in site.alert()
    assert loaded.outcomes["waiting"] >= 1
    [rejected] = site.objects("rejected/labels")
    assert problem in rejected.decode()
    assert site.load().objects == 0


def test_a_run_that_ends_in_the_middle_is_finished_by_the_next(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = "".join(f"r{number},{number % 3 / 2.5}\n" for number in range(2_500))
    site.drop("a.csv", f"id,truth\n{lines}".encode())
    calls = 0

    def receive(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise ConnectionError
        return feedback.receive(*arguments)

    monkeypatch.setattr(job, "receive", receive)
    with pytest.raises(ConnectionError):
        site.load()
    assert site.stored() == 2_000
    assert site.objects("labels_loaded") == []

    assert dict(site.load().outcomes) == {"same": 2_000, "waiting": 500}
    assert site.stored() == 2_500


@pytest.mark.parametrize(
    "observed_at",
    [pa.array([2**62, 0], pa.timestamp("us")), pa.array([2**31 - 1, 0], pa.date32()), pa.array([b"\xff", None]).cast("string", safe=False)],
)
def test_a_value_of_parquet_that_python_does_not_have_costs_no_other_row(site: Site, observed_at: pa.Array) -> None:
    known = site.predict(2)
    table = pa.table({"id": [known, known], "row": [0, 1], "truth": ["High", "High"], "observed_at": observed_at})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    site.drop("a.parquet", sink.getvalue())

    assert dict(site.load().outcomes) == {"refused": 1, "joined": 1}
    assert site.truths() == [(known, 1, 2)]


@pytest.mark.parametrize("name", [f"{'a' * 240}.csv", "/".join(["b" * 200] * 4) + "/c.csv"])
def test_an_object_with_a_name_as_long_as_the_store_takes_is_read_once(site: Site, name: str) -> None:
    known = site.predict()
    site.drop(name, f"id,truth\n{known},High\n{known},Hig\n".encode())

    assert dict(site.load().outcomes) == {"joined": 1, "refused": 1}
    assert site.load() == LoadedLabels()
    assert len(site.objects("rejected/labels")) == 1
