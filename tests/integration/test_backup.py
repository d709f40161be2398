"""A stack of real servers is backed up, emptied and restored: everything is equal. What is damaged is found; who is killed does no harm."""

import json
import re
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from mlflow import MlflowClient
from redis import Redis

from hearth.backup.create import create_backup, remove_old
from hearth.backup.listing import choose_backup, list_backups
from hearth.backup.manifest import Manifest
from hearth.backup.places import BucketPlace, FolderPlace
from hearth.backup.restore import MARK, restore_backup
from hearth.backup.verify import find_problems, is_compressed, open_backup
from hearth.errors import BackupError, InvalidBackup, InvalidSettings, StackNotEmpty
from hearth.predictions import Prediction, PredictionStore
from hearth.registry import Registry
from tests.support.backed_up_stack import KEY, STREAM, BackedUpStack, running
from tests.support.model_files import X, fitted
from tests.support.stack_contents import AIRFLOW, audited, contents, fill_databases, fill_stores

if TYPE_CHECKING:
    import subprocess


@pytest.fixture(scope="module")
def stack() -> Iterator[BackedUpStack]:
    with running(AIRFLOW) as stack:
        fill_databases(stack)
        fill_stores(stack)
        yield stack


def run(process: "subprocess.Popen[str]") -> str:
    """Wait for a command that has to work; return what it printed."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    return out


@pytest.fixture(scope="module")
def before(stack: BackedUpStack) -> dict[str, Any]:
    return contents(stack)


@pytest.fixture(scope="module")
def place(stack: BackedUpStack, before: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> FolderPlace:
    """A folder with one backup of the whole stack, made by the command."""
    assert before
    folder = tmp_path_factory.mktemp("backups")
    printed = run(stack.command("backup", "--to", str(folder)))
    assert re.search(r"The backup \S+ is in .*: 5\d,\d{3} rows, \d+ objects, 2,201 stream entries; [\d.]+ MB in [\d.]+ s\.", printed), (
        printed
    )
    return FolderPlace(folder)


@pytest.fixture
def copied(place: FolderPlace, tmp_path: Path) -> Path:
    """A copy of the backups, to be damaged."""
    return Path(shutil.copytree(str(place), tmp_path / "copied"))


def test_everything_comes_back_and_a_loaded_model_answers_the_same(
    stack: BackedUpStack, place: FolderPlace, before: dict[str, Any]
) -> None:
    expected = fitted("knn").predict_proba(X.head(20))
    assert "is whole" in run(stack.command("backup", "verify", "--from", str(place)))
    stack.empty()
    assert contents(stack) != before

    printed = run(stack.command("restore", "--from", str(place)))

    assert [line.split(":")[0].strip() for line in printed.splitlines()[1:-1]] == [
        *(f"bucket {bucket}" for bucket in ("mlflow", "data", "processed")),
        *(f"database {name}" for name in ("mlflow", "predictions", "data", "airflow")),
        "streams",
    ]
    assert contents(stack) == before
    registry = Registry(stack.mlflow)
    version = registry.version("employees", "champion")
    assert (registry.load(version).predict_proba(X.head(20)) == expected).all()
    with psycopg.connect(stack.url("airflow")) as connection:  # rolled back
        connection.execute("SET ROLE airflow")
        assert connection.execute("INSERT INTO dag_run DEFAULT VALUES RETURNING id, twice").fetchone() == (7, 14)
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            connection.execute("INSERT INTO task (run) VALUES (99)")
        connection.rollback()


def test_a_stack_in_use_is_not_overwritten_unless_forced(stack: BackedUpStack, place: FolderPlace, before: dict[str, Any]) -> None:
    stack.objects.put("data", "added", b"later")
    backup_id = choose_backup(place, None)
    with pytest.raises(
        StackNotEmpty, match=r"objects in the bucket 'mlflow'.*rows in predictions \(predictions, labels\).*the stream records"
    ):
        restore_backup(place, backup_id, stack.restore_settings())
    assert stack.objects.exists("data", "added")

    lines = restore_backup(place, backup_id, stack.restore_settings(), force=True).lines

    assert "bucket data: 5 objects, 1 others deleted" in lines
    assert contents(stack) == before


def test_a_restore_that_is_killed_goes_on_where_it_was(stack: BackedUpStack, place: FolderPlace, before: dict[str, Any]) -> None:
    stack.empty()
    process = stack.command("restore", "--from", str(place))
    assert process.stdout
    for _ in range(5):  # the buckets, and the first database
        line = process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert "database mlflow" in line
    assert stack.objects.exists("data", MARK)

    printed = run(stack.command("restore", "--from", str(place)))

    assert "bucket mlflow: was done before" in printed
    assert contents(stack) == before
    with psycopg.connect(stack.url("predictions")) as connection:  # whose tables the restore has made: the services go on with them
        owners = connection.execute("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert owners == [("predictions",)]


def test_nothing_is_restored_while_the_scheduler_runs_or_into_another_schema(stack: BackedUpStack, place: FolderPlace) -> None:
    backup_id = choose_backup(place, None)
    with psycopg.connect(stack.url("airflow"), autocommit=True) as connection:
        connection.execute("UPDATE job SET latest_heartbeat = now()")
        with pytest.raises(StackNotEmpty, match="scheduler runs"):
            restore_backup(place, backup_id, stack.restore_settings(), force=True)
        connection.execute("UPDATE job SET latest_heartbeat = now() - interval '1 hour'; UPDATE alembic_version SET version_num = 'b2'")
        with pytest.raises(
            BackupError, match=r"The database 'airflow' has b2, the backup a1 \(alembic_version\): start the application once"
        ):
            restore_backup(place, backup_id, stack.restore_settings(), force=True)
        connection.execute("UPDATE alembic_version SET version_num = 'a1'")
    restore_backup(place, backup_id, stack.restore_settings())  # goes on after the mistake is mended


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def edit(path: Path) -> None:
    document = json.loads(path.read_text("utf-8"))
    document["manifest"]["parts"] = document["manifest"]["parts"][:-1]
    path.write_text(json.dumps(document), "utf-8")


@pytest.mark.parametrize(
    ("file", "damage", "message"),
    [
        ("postgres-mlflow.part", flip, "postgres-mlflow.part was changed: its bytes are not those that were written"),
        ("objects-data-0001.part", cut, r"objects-data-0001.part has [\d,]+ bytes, expected [\d,]+: it was cut off"),
        ("streams.part", Path.unlink, "streams.part is missing"),
        ("manifest.json", edit, "The manifest of the backup .* was changed after it was written"),
        ("manifest.json", cut, "cannot be read as a manifest"),
        ("manifest.json", Path.unlink, "There is no backup in .*not finished: it has no manifest"),
    ],
)
def test_damage_is_found_and_nothing_is_restored(stack: BackedUpStack, copied: Path, file: str, damage: Any, message: str) -> None:
    [folder] = copied.iterdir()
    damage(folder / file)

    for command in ("backup verify", "restore"):
        process = stack.command(*command.split(), "--from", str(copied))
        _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert re.search(message, err), err
        assert "Traceback" not in err


def test_parts_of_two_backups_do_not_mix_and_another_key_is_named(stack: BackedUpStack, copied: Path) -> None:
    [folder] = copied.iterdir()
    other = FolderPlace(copied)
    second = create_backup(other, stack.backup_settings(backup_databases=("data",)))
    manifest, vault = open_backup(other, second.id, KEY)
    shutil.copy(folder / "streams.part", copied / second.id / "streams.part")
    [problem] = find_problems(other, manifest, vault)
    assert "streams.part" in problem
    with pytest.raises(InvalidBackup, match="was made with another key: HEARTH_BACKUP_KEY"):
        open_backup(other, second.id, "another-key-of-somebody")
    with pytest.raises(InvalidSettings, match="HEARTH_BACKUP_KEY has 5 characters, expected 16"):
        create_backup(other, stack.backup_settings(backup_key="short"))


@pytest.mark.parametrize("files", [1, 3, 6])
def test_a_backup_that_is_killed_never_looks_whole(stack: BackedUpStack, tmp_path: Path, files: int) -> None:
    process = stack.command("backup", "--to", str(tmp_path))
    while len(list(tmp_path.glob("*/*"))) < files:
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    place = FolderPlace(tmp_path)

    [found] = list_backups(place)
    assert (found.manifest, found.problem) == (None, "not finished: it has no manifest")
    with pytest.raises(InvalidBackup, match=r"There is no backup in .*\(not finished: it has no manifest\)"):
        choose_backup(place, None)
    with pytest.raises(InvalidBackup, match=r"is none: not finished"):
        choose_backup(place, found.id)


def test_the_newest_stay_and_what_killed_ones_left_a_day_ago_goes(copied: Path) -> None:
    [newest] = copied.iterdir()
    for day in (1, 2, 3):
        old = Path(shutil.copytree(newest, copied / f"2026010{day}T000000Z-abcd"))
        if day == 2:
            (old / "manifest.json").unlink()
    (copied / "20990101T000000Z-abcd").mkdir()
    (copied / "20990101T000000Z-abcd" / "streams.part.partial").write_bytes(b"being written")
    (copied / "notes").mkdir()
    (copied / "notes" / "manifest.json").write_text("mine")

    assert remove_old(FolderPlace(copied), 2) == ["20260101T000000Z-abcd", "20260102T000000Z-abcd"]
    assert {path.name for path in copied.iterdir()} == {newest.name, "20260103T000000Z-abcd", "20990101T000000Z-abcd", "notes"}


def test_a_backup_lies_in_an_object_store_as_well(stack: BackedUpStack, before: dict[str, Any]) -> None:
    stack.objects.ensure_bucket("backups")
    place = BucketPlace(stack.objects, "backups", "of/hearth")
    trail = audited(stack)
    create_backup(place, stack.backup_settings())
    assert {name.count("/") for name in place.sizes()} == {1}
    manifest, vault = open_backup(place, choose_backup(place, None), KEY)
    assert list(find_problems(place, manifest, vault)) == []
    stack.empty()
    restore_backup(place, manifest.id, stack.restore_settings())
    assert contents(stack) == before
    assert audited(stack) == [*trail, ("backup_restored", manifest.id)]

    stack.objects.delete("backups", f"of/hearth/{manifest.id}/streams.part")
    assert list(find_problems(place, manifest, vault)) == ["streams.part is missing"]
    remove_old(place, 1)
    assert [backup.id for backup in list_backups(place)] == [manifest.id]


def keys_in(place: FolderPlace, manifest: Manifest, prefix: str) -> dict[str, bytes]:
    _, vault = open_backup(place, manifest.id, KEY)
    found = {}
    for part in manifest.parts:
        if part.name.startswith(prefix):
            with vault.read(part, compressed=is_compressed(part)) as members:
                found.update({name: file.read() for name, file in members})
    return found


def test_every_reference_in_a_backup_is_valid_while_others_write(stack: BackedUpStack, tmp_path: Path) -> None:
    """Versions are registered, data published and messages settled all the time."""
    client, stopping = MlflowClient(stack.mlflow), threading.Event()
    published: list[int] = []
    client.create_registered_model("busy")
    with PredictionStore(stack.url("predictions")) as store:
        writer = threading.Thread(target=write_on, args=(stack, client, store, stopping, published))
        writer.start()
        try:
            while len(published) < 5 and writer.is_alive():
                time.sleep(0.01)
            manifests = [create_backup(FolderPlace(tmp_path), stack.backup_settings()) for _ in range(3)]
        finally:
            stopping.set()
            writer.join()
    assert len(published) > 5
    for manifest in manifests:
        assert manifest.warnings == ()
        objects = keys_in(FolderPlace(tmp_path), manifest, "objects-")
        versions = keys_in(FolderPlace(tmp_path), manifest, "postgres-mlflow")["model_versions/000000"].decode()
        numbers = re.findall(r"busy\t\d+\t.*?mlflow-artifacts:/(0/\w+/artifacts/m-\d+)", versions)
        assert numbers
        assert all(f"{folder}/MLmodel" in objects for folder in numbers)
        assert f"busy/{objects['busy/newest.json'].decode()}/X.parquet" in objects
        stored = keys_in(FolderPlace(tmp_path), manifest, "postgres-predictions")["predictions/000000"].decode()
        stream = keys_in(FolderPlace(tmp_path), manifest, "streams")
        lines = [line for name, page in stream.items() if "/0" in name for line in page.decode().splitlines()]
        waiting = {int(json.loads(line)[0].partition("-")[0]) - 10_000 for line in lines}
        answered = {int(number) for number in re.findall(r"busy-(\d+)\t", stored)}
        sent = answered | {number for number in waiting if 0 <= number < 1_000_000}  # others have the time as their id
        assert sent == set(range(len(sent)))


def write_on(stack: BackedUpStack, client: MlflowClient, store: PredictionStore, stopping: threading.Event, published: list[int]) -> None:
    redis: Any = Redis.from_url(stack.valkey)
    run = client.create_run("0")
    number = 0
    while not stopping.is_set():
        source = f"{run.info.artifact_uri}/m-{number}"
        stack.objects.put("mlflow", f"{source.removeprefix('mlflow-artifacts:/')}/MLmodel", b"files first")
        client.create_model_version("busy", source, run.info.run_id)
        stack.objects.put("processed", f"busy/{number}/X.parquet", b"rows first")
        stack.objects.put("processed", "busy/newest.json", str(number).encode())
        redis.xadd(STREAM, {"dataset": "busy"}, id=f"{10_000 + number}-0")
        now = datetime.now(UTC)
        store.put([Prediction(f"busy-{number}", 0, "busy", "knn", "1", "knn", 1, "Medium", (0.1, 0.8, 0.1), {}, None, now)])
        redis.xdel(STREAM, f"{10_000 + number}-0")
        published.append(number)
        number += 1
