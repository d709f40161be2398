"""`hearth export` and `hearth store`, run as a user would."""

import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deploy.embedded import temporary_servers
from deploy.embedded.temporary_servers import ROOT
from deploy.embedded.temporary_servers import ObjectStore as ObjectStoreServer
from hearth.predictions import Prediction, PredictionStore
from hearth.predictions.migration import migrate
from hearth.predictions.parquet_export import GROUP_ROWS
from hearth.storage import ObjectStore

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
RECORD = {"Gender": 'a "quoted", one', "Designation": 2.0}


def one(message_id: str, dataset: str, scored_at: datetime) -> Prediction:
    return Prediction(message_id, 0, dataset, "knn", "7", "knn", 1, "Medium", (0.1, 0.8, 0.1), RECORD, None, scored_at)


def client(server: ObjectStoreServer) -> ObjectStore:
    return ObjectStore(server.endpoint_url, region=server.region, access_key=server.access_key, secret_key=server.secret_key)


def s3_settings(server: ObjectStoreServer) -> dict[str, str]:
    return {
        "HEARTH_S3_ENDPOINT_URL": server.endpoint_url,
        "HEARTH_S3_REGION": server.region,
        "HEARTH_S3_ACCESS_KEY": server.access_key,
        "HEARTH_S3_SECRET_KEY": server.secret_key,
        "HEARTH_DATA_BUCKET": "data",
        "HEARTH_PROCESSED_BUCKET": "processed",
    }


def run(url: str, *arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    own = {"HEARTH_ROOT": str(ROOT), "HEARTH_ENVIRONMENT": "laptop", "HEARTH_DATA_DIR": "data", "HEARTH_PREDICTIONS_URL": url}
    environment = {**os.environ, **own, **more}
    group = [] if arguments[0] == "export" else ["store"]
    command = [sys.executable, "-W", "error", "-m", "hearth", *group, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture
def filled(fresh_database: str) -> str:
    migrate(fresh_database)
    names = ["employees"] * 3 + ["heart"]
    with PredictionStore(fresh_database) as store:
        store.put([one(f"{row}-0", name, NOON + timedelta(hours=row)) for row, name in enumerate(names)])
    return fresh_database


def test_an_export_has_a_line_for_each_prediction(filled: str, tmp_path: Path) -> None:
    output = tmp_path / "predicciones.csv"

    done = run(filled, "export", "--format", "csv", "--output", str(output))

    assert (done.returncode, done.stderr) == (0, "")
    with output.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["timestamp"] for row in rows] == [(NOON + timedelta(hours=hour)).isoformat() for hour in range(4)]
    assert {row["prediction"] for row in rows} == {"Medium"}
    assert [row["model"] for row in rows] == ["employees@knn v7"] * 3 + ["heart@knn v7"]
    assert json.loads(rows[0]["data"]) == RECORD
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        (["--since", "2026-11-21T13:00:00"], 3),
        (["--until", "2026-11-21T13:00:00"], 1),
        (["--since", "2026-11-21T13:00:00", "--until", "2026-11-21T14:00:01+00:00"], 2),
        (["--since", "2026-11-22"], 0),
        (["--dataset", "employees"], 3),
        (["--dataset", "none"], 0),
    ],
)
def test_an_export_can_be_narrowed(filled: str, tmp_path: Path, options: list[str], lines: int) -> None:
    output = tmp_path / "some.csv"

    assert run(filled, "export", "--output", str(output), *options).returncode == 0

    assert len(output.read_text("utf-8").splitlines()) == 1 + lines


def parquet(path: Path) -> pa.Table:
    return pq.read_table(path)


def test_parquet_of_one_data_set_has_a_typed_column_for_each_class_and_feature(filled: str, tmp_path: Path) -> None:
    output = tmp_path / "some.parquet"

    done = run(filled, "export", "--format", "parquet", "--dataset", "employees", "--output", str(output))

    assert (done.returncode, done.stderr) == (0, "")
    table = parquet(output)
    types = {field.name: str(field.type) for field in table.schema}
    assert types["timestamp"] == "timestamp[us, tz=UTC]"
    assert types["record.Designation"] == "int64"
    assert types["record.Sleep Hours"] == "double"
    assert types["record.Gender"] == "string"
    assert [name for name in types if name.startswith("probability.")] == ["probability.Low", "probability.Medium", "probability.High"]
    first = table.to_pylist()[0]
    assert {name: first[name] for name in ("timestamp", "message_id", "row", "alias", "version", "prediction", "probability.Medium")} == {
        "timestamp": NOON,
        "message_id": "0-0",
        "row": 0,
        "alias": "knn",
        "version": "7",
        "prediction": "Medium",
        "probability.Medium": 0.8,
    }
    assert (first["record.Designation"], first["record.Gender"], first["record.Sleep Hours"]) == (2, RECORD["Gender"], None)
    assert table.num_rows == 3


@pytest.mark.parametrize("options", [[], ["--dataset", "heart_of_nobody"]])
def test_parquet_of_data_sets_that_differ_holds_the_records_as_json(filled: str, tmp_path: Path, options: list[str]) -> None:
    output = tmp_path / "some.parquet"

    assert run(filled, "export", "--format", "parquet", "--output", str(output), *options).returncode == 0

    rows = parquet(output).to_pylist()
    assert len(rows) == (0 if options else 4)
    assert all(json.loads(row["record"]) == RECORD and row["probabilities"] == [0.1, 0.8, 0.1] for row in rows)


def test_a_large_export_is_written_group_by_group(fresh_database: str, tmp_path: Path) -> None:
    migrate(fresh_database)
    count = 2 * GROUP_ROWS + 1
    with PredictionStore(fresh_database) as store:
        store.put([one(f"{number}-0", "employees", NOON + timedelta(milliseconds=number)) for number in range(count)])
    output = tmp_path / "large.parquet"

    assert run(fresh_database, "export", "--format", "parquet", "--output", str(output)).stdout == f"{count} predictions are in {output}.\n"

    metadata = pq.read_metadata(output)
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [GROUP_ROWS, GROUP_ROWS, 1]
    assert parquet(output)["message_id"].to_pylist() == [f"{number}-0" for number in range(count)]


def test_a_record_that_the_contract_of_today_cannot_hold_is_named_and_no_file_appears(fresh_database: str, tmp_path: Path) -> None:
    migrate(fresh_database)
    with PredictionStore(fresh_database) as store:
        store.put([one("1-0", "employees", NOON), replace(one("2-0", "employees", NOON), record={"Designation": "boss"})])

    done = run(fresh_database, "export", "--format", "parquet", "--dataset", "employees", "--output", str(tmp_path / "some.parquet"))

    assert done.returncode == 1
    assert "'record.Designation of message 2-0': got 'boss', expected a whole number from 0 to 5" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_export_goes_to_the_object_store_whole(filled: str, object_store: ObjectStoreServer, tmp_path: Path, kind: str) -> None:
    key = f"exports/{uuid4().hex}.{kind}"

    done = run(filled, "export", "--format", kind, "--output", f"s3://data/{key}", **s3_settings(object_store))

    assert (done.returncode, done.stdout) == (0, f"4 predictions are in s3://data/{key}.\n")
    content = client(object_store).get("data", key)
    file = tmp_path / "some"
    file.write_bytes(content)
    assert (parquet(file).num_rows if kind == "parquet" else len(content.splitlines()) - 1) == 4


def test_an_object_store_that_refuses_is_named(filled: str, object_store: ObjectStoreServer) -> None:
    settings = s3_settings(object_store) | {"HEARTH_S3_SECRET_KEY": "another-secret-word"}

    done = run(filled, "export", "--output", "s3://data/some.csv", **settings)

    assert done.returncode == 1
    assert "check HEARTH_S3_ACCESS_KEY and HEARTH_S3_SECRET_KEY" in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret-word" not in done.stderr
    assert not client(object_store).exists("data", "some.csv")


def test_a_file_of_many_parts_arrives_as_it_was(object_store: ObjectStoreServer, tmp_path: Path) -> None:
    """Above 8 MB it goes in parts."""
    file = tmp_path / "large"
    content = os.urandom(1_000_000) * 20
    file.write_bytes(content)

    client(object_store).put_file("data", "exports/large", file)

    assert client(object_store).get("data", "exports/large") == content


@pytest.mark.parametrize("output", ["s3://", "s3://bucket", "s3:///key"])
def test_an_address_that_is_none_is_refused(filled: str, output: str) -> None:
    done = run(filled, "export", "--output", output)

    assert done.returncode == 2
    assert f"expected a path or s3://bucket/key, got {output!r}" in done.stderr


def test_prune_deletes_what_is_older(filled: str) -> None:
    assert run(filled, "prune", "--before", "2026-11-21T13:30:00").stdout == (
        "2 predictions of before 2026-11-21 13:30:00 UTC are deleted.\n"
    )

    assert len(run(filled, "tail").stdout.splitlines()) == 1 + 2


def test_prune_wants_to_be_told_how_old(filled: str) -> None:
    assert run(filled, "prune").returncode == 2
    assert run(filled, "prune", "--older-than-days", "0").returncode == 2
    assert "0 predictions" in run(filled, "prune", "--older-than-days", "100000").stdout


def test_tail_prints_the_latest_last(filled: str) -> None:
    done = run(filled, "tail", "-n", "2")

    assert [row[0][11:16] for row in csv.reader(done.stdout.splitlines()[1:])] == ["14:00", "15:00"]


def test_an_export_that_fails_leaves_the_file_of_before_alone(tmp_path: Path) -> None:
    output = tmp_path / "predicciones.csv"
    output.write_text("of before", "utf-8")

    done = run(f"postgresql://hearth:secret-word@127.0.0.1:{temporary_servers.free_port()}/predictions", "export", "--output", str(output))

    assert done.returncode == 1
    assert "The predictions store 127.0.0.1:" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "secret-word" not in done.stderr
    assert output.read_text("utf-8") == "of before"
    assert list(tmp_path.iterdir()) == [output]


def test_migrate_makes_an_empty_database_ready(fresh_database: str) -> None:
    assert re.fullmatch(r"The predictions store is at revision \d{4}\.\n", run(fresh_database, "migrate").stdout)

    assert run(fresh_database, "tail").stdout == "timestamp,model,prediction,data,trace_id\n"
