import json
from hashlib import sha256
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from deploy.embedded import temporary_servers
from hearth.contracts import load_contract
from hearth.contracts.texts import MISSING
from hearth.data.cleaning import digest
from hearth.data.processed import last_real_digest, latest_digest, load_processed, load_profile, read_manifest
from hearth.data.raw_origin import origin_of, put_generated
from hearth.errors import InvalidRawData, ObjectNotFound, ShiftedData, StorageError, UntrainableData
from hearth.jobs import etl
from hearth.registry import Registry
from hearth.storage import ObjectStore, StoredObject
from tests.support.stores import store_of_its_own
from tests.training.raw_rows import raw_csv, raw_rows

EMPLOYEES = load_contract("employees")
RAW_KEY = f"employees/raw/{EMPLOYEES.source.file}"


@pytest.fixture
def store(object_store: temporary_servers.ObjectStore) -> ObjectStore:
    """A store with two empty buckets of the test's own."""
    return store_of_its_own(object_store)


def upload(store: ObjectStore, content: bytes) -> None:
    store.put(store.data_bucket, RAW_KEY, content)


def run(store: ObjectStore) -> str:
    key = etl.validate("employees", etl.find_raw("employees", store=store), store=store)
    return etl.process("employees", key, store=store)


class TestFindRaw:
    def test_the_file_of_the_contract_is_found(self, store: ObjectStore) -> None:
        upload(store, raw_csv(EMPLOYEES, 3))

        assert etl.find_raw("employees", store=store) == RAW_KEY

    def test_another_file_can_be_asked_for(self, store: ObjectStore) -> None:
        store.put(store.data_bucket, "employees/raw/march.csv", raw_csv(EMPLOYEES, 3))

        assert etl.find_raw("employees", "march.csv", store=store) == "employees/raw/march.csv"

    def test_a_missing_file_is_named_with_what_is_there_and_what_to_run(self, store: ObjectStore) -> None:
        with pytest.raises(InvalidRawData, match=f"{RAW_KEY} does not exist.*there is: nothing.*hearth data upload --dataset employees"):
            etl.find_raw("employees", store=store)

        store.put(store.data_bucket, "employees/raw/march.csv", b"x")
        with pytest.raises(InvalidRawData, match=r"there is: march\.csv"):
            etl.find_raw("employees", store=store)


class TestValidate:
    @pytest.mark.parametrize(("content", "message"), [(b"", "is empty"), (b"\x89PNG\r\n\x1a\n\0\0", "Line 1: not UTF-8 text .byte 0x89")])
    def test_an_empty_or_binary_file_is_refused_before_anything_else(self, store: ObjectStore, content: bytes, message: str) -> None:
        upload(store, content)

        with pytest.raises(InvalidRawData, match=f"{RAW_KEY}:? {message}"):
            etl.validate("employees", etl.find_raw("employees", store=store), store=store)

    def test_rejected_rows_are_set_aside_with_line_and_reason(self, store: ObjectStore) -> None:
        rows = raw_rows(EMPLOYEES, 100)
        rows.loc[7, "Gender"] = "?"
        upload(store, rows.to_csv(index=False).encode())

        key = etl.validate("employees", RAW_KEY, store=store)

        [rejected_key] = store.keys(store.data_bucket, "employees/rejected/")
        [line] = store.get(store.data_bucket, rejected_key).decode().splitlines()[1:]
        assert line.startswith("9,\"Gender: got '?', expected one of 'Female', 'Male'\",id-0-7,")
        assert len(store.get_frame(store.data_bucket, key)) == 99
        assert Path(rejected_key).stem == Path(key).stem

    def test_more_rejected_rows_than_the_contract_tolerates_stop_the_etl(self, store: ObjectStore) -> None:
        rows = raw_rows(EMPLOYEES, 100)
        rows.loc[:5, "Team Size"] = "many"
        upload(store, rows.to_csv(index=False).encode())

        with pytest.raises(InvalidRawData) as caught:
            etl.validate("employees", RAW_KEY, store=store)

        message = str(caught.value)
        [rejected_key] = store.keys(store.data_bucket, "employees/rejected/")
        assert "6 of 100 rows (6.0%) break the contract; the limit is 5.0% (cleaning.max_rejected_share)" in message
        assert f"s3://{store.data_bucket}/{rejected_key}" in message
        assert "line 2: Team Size: got 'many', expected a whole number from 1 to 100 (people)" in message
        assert list(store.keys(store.data_bucket, "employees/validated/")) == []

    def test_as_many_rejected_rows_as_the_contract_tolerates_are_fine(self, store: ObjectStore) -> None:
        rows = raw_rows(EMPLOYEES, 100)
        rows.loc[:4, "Team Size"] = "many"
        upload(store, rows.to_csv(index=False).encode())

        assert len(store.get_frame(store.data_bucket, etl.validate("employees", RAW_KEY, store=store))) == 95

    def test_the_raw_file_is_read_once_by_ranges_and_never_copied(self, store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
        content = raw_csv(EMPLOYEES, 100)
        upload(store, content)
        ranges: list[tuple[str, int, int]] = []
        read_range, get = store.read_range, store.get

        def counted(found: StoredObject, start: int, end: int) -> bytes:
            ranges.append((found.key, start, end))
            return read_range(found, start, end)

        def got(bucket: str, key: str) -> bytes:
            assert key != RAW_KEY
            return get(bucket, key)

        monkeypatch.setattr(store, "read_range", counted)
        monkeypatch.setattr(store, "get", got)
        monkeypatch.delattr(ObjectStore, "copy")

        run(store)

        assert [each for each in ranges if each[0] == RAW_KEY] == [(RAW_KEY, 0, len(content))]

    def test_a_second_run_gives_the_same_key_and_other_bytes_give_another(self, store: ObjectStore) -> None:
        upload(store, raw_csv(EMPLOYEES, 30))
        first, again = (etl.validate("employees", RAW_KEY, store=store) for _ in range(2))
        upload(store, raw_csv(EMPLOYEES, 30, seed=1))

        assert first == again
        assert etl.validate("employees", RAW_KEY, store=store) != first


class TestProcess:
    def test_what_is_written_is_read_back_whole(self, store: ObjectStore) -> None:
        upload(store, raw_csv(EMPLOYEES, 300))

        name = run(store)

        parts = load_processed(store, "employees", name)
        manifest = read_manifest(store, "employees", name)
        prefix = f"employees/{name}/"
        assert digest(parts) == name
        assert tuple(parts.X_train.columns) == EMPLOYEES.feature_names
        assert (manifest.train_rows, manifest.test_rows) == (len(parts.X_train), len(parts.X_test))
        assert [key.removeprefix(prefix) for key in store.keys(store.processed_bucket)] == [
            "X_test.parquet",
            "X_train.parquet",
            "contract.yaml",
            "manifest.json",
            "profile.json",
            "report.json",
            "y_test.parquet",
            "y_train.parquet",
        ]
        assert load_profile(store, "employees", name).rows == len(parts.X_train)
        assert store.get(store.processed_bucket, f"{prefix}contract.yaml") == Path("data/employees/contract.yaml").read_bytes()

    def test_the_report_accounts_for_every_row(self, store: ObjectStore) -> None:
        rows = raw_rows(EMPLOYEES, 300, missing_share=0.15)
        rows.loc[3, "Gender"] = "?"
        rows.loc[4, "Burn Rate"] = ""
        rows.loc[11] = rows.loc[10]
        rows.loc[[10, 11], ["Burn Rate", "Resource Allocation", "Mental Fatigue Score"]] = ["0.5", "3", "4"]
        upload(store, rows.to_csv(index=False).encode())

        name = run(store)

        report = json.loads(store.get(store.processed_bucket, f"employees/{name}/report.json"))
        parts = load_processed(store, "employees", name)
        assert report["validation"]["rows_in"] == 300
        assert report["validation"]["columns_in"] == 17
        assert report["validation"]["rejected"] == 1
        assert report["dropped"]["duplicate"] == 1
        assert report["dropped"]["no_target"] >= 1
        assert 1 + sum(report["dropped"].values()) + report["train_rows"] + report["test_rows"] == 300
        assert report["missing_before"]["Burn Rate"] == report["dropped"]["no_target"]
        assert report["missing_after"]["Burn Rate"] == 0
        assert report["means"]["Designation"] == pytest.approx(parts.X_train["Designation"].mean())
        assert report["parameters"]["cuts"] == "0.33, 0.66"

    def test_a_second_run_on_the_same_bytes_gives_the_same_digest_and_writes_nothing(
        self, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        upload(store, raw_csv(EMPLOYEES, 100))
        key = etl.validate("employees", RAW_KEY, store=store)
        name = etl.process("employees", key, store=store)
        written: list[str] = []
        monkeypatch.setattr(store, "put", lambda bucket, key, content, if_absent=False: written.append(key))  # noqa: ARG005

        assert etl.process("employees", key, store=store) == name
        assert written == []

    def test_a_run_that_was_cut_off_before_its_manifest_is_made_whole_by_the_next(self, store: ObjectStore) -> None:
        upload(store, raw_csv(EMPLOYEES, 100))
        name = run(store)
        store._client.delete_object(Bucket=store.processed_bucket, Key=f"employees/{name}/manifest.json")
        store._client.delete_object(Bucket=store.processed_bucket, Key=f"employees/{name}/y_test.parquet")
        with pytest.raises(ObjectNotFound):
            load_processed(store, "employees", name)

        assert run(store) == name
        assert len(load_processed(store, "employees", name).y_test) > 0

    def test_other_spellings_of_the_same_values_have_the_same_digest(self, store: ObjectStore) -> None:
        rows = raw_rows(EMPLOYEES, 100, missing_share=0.1)
        upload(store, rows.to_csv(index=False).encode())
        name = run(store)
        rows["Designation"] += ".0"
        upload(store, rows.replace("", sorted(MISSING)[1]).to_csv(index=False, lineterminator="\r\n").encode())

        assert run(store) == name

    def test_a_class_with_too_few_rows_to_train_on_is_refused_before_anything_is_written(self, store: ObjectStore) -> None:
        rows = raw_rows(EMPLOYEES, 100)
        rows["Burn Rate"] = ["0.1", "0.5"] * 50
        rows.loc[:4, "Burn Rate"] = "0.9"  # five rows, of which four are train rows
        upload(store, rows.to_csv(index=False).encode())

        with pytest.raises(UntrainableData, match=r"each class needs 5 train rows, there are Low: .*High: 4"):
            run(store)

        assert list(store.keys(store.processed_bucket)) == []


class TestComparison:
    def recoded(self, seed: int) -> bytes:
        rows = raw_rows(EMPLOYEES, 300, seed)
        rows["Manager Support Score"] = rows["Manager Support Score"].map({str(level): str(6 - level) for level in range(1, 6)})
        rows["Designation"] = rows["Designation"].map({str(level): str(5 - level) for level in range(6)})
        rows["Team Size"] = "1"
        return rows.to_csv(index=False).encode()

    def test_the_first_data_are_compared_with_the_committed_statistics(self, store: ObjectStore) -> None:
        upload(store, self.recoded(1))

        with pytest.raises(
            ShiftedData, match=r"differ strongly from the committed statistics .*Team Size: .*cleaning\.max_shift"
        ) as caught:
            run(store)

        assert not caught.value.kind.is_temporary
        assert list(store.keys(store.processed_bucket)) == []

    def test_data_that_moved_too_far_from_those_published_last_are_refused_and_those_stay(self, store: ObjectStore) -> None:
        upload(store, raw_csv(EMPLOYEES, 300))
        first = run(store)
        etl.publish("employees", first, store=store)
        upload(store, self.recoded(1))

        with pytest.raises(ShiftedData, match=rf"differ strongly from the data published last \({first}\): .*nothing was published"):
            run(store)

        assert latest_digest(store, "employees") == first

    def test_what_moved_less_is_a_warning_in_log_and_report(self, store: ObjectStore, caplog: pytest.LogCaptureFixture) -> None:
        upload(store, raw_csv(EMPLOYEES, 2_000))
        etl.publish("employees", run(store), store=store)
        rows = raw_rows(EMPLOYEES, 2_000, seed=1)
        rows.loc[:399, "Team Size"] = "100"
        upload(store, rows.to_csv(index=False).encode())

        name = run(store)

        report = json.loads(store.get(store.processed_bucket, f"employees/{name}/report.json"))
        [warning] = report["warnings"]
        assert warning.startswith("Team Size: ")
        assert report["moved"]["Team Size"] == pytest.approx(0.2, abs=0.05)
        assert report["compared_with"].startswith("the data published last")
        assert warning in caplog.text


class TestPublish:
    def test_training_finds_what_was_published_last(self, store: ObjectStore) -> None:
        upload(store, raw_csv(EMPLOYEES, 100))
        first = run(store)
        published = etl.publish("employees", first, store=store)
        upload(store, raw_csv(EMPLOYEES, 100, seed=1))
        second = run(store)

        assert (published.digest, latest_digest(store, "employees")) == (first, first)
        assert published.rows == len(pd.concat([(parts := load_processed(store, "employees", first)).X_train, parts.X_test]))
        etl.publish("employees", second, store=store)
        etl.publish("employees", second, store=store)
        assert latest_digest(store, "employees") == second != first

    def test_what_is_not_whole_is_not_published(self, store: ObjectStore) -> None:
        with pytest.raises(ObjectNotFound, match="Run the DAG etl_mlflow first"):
            etl.publish("employees", "0123456789abcdef", store=store)
        with pytest.raises(ObjectNotFound, match="Run the DAG etl_mlflow first"):
            latest_digest(store, "employees")

    def test_data_that_are_not_what_their_digest_names_are_not_loaded(self, store: ObjectStore) -> None:
        upload(store, raw_csv(EMPLOYEES, 100))
        name = run(store)
        key = f"employees/{name}/y_test.parquet"
        store.put_frame(store.processed_bucket, key, store.get_frame(store.processed_bucket, key)[::-1])

        with pytest.raises(StorageError, match="holds other data than its digest names"):
            load_processed(store, "employees", name)


class TestOrigin:
    def test_a_file_that_somebody_has_put_there_is_a_file(self, store: ObjectStore) -> None:
        upload(store, raw_csv(EMPLOYEES, 100))

        assert read_manifest(store, "employees", run(store)).origin == "file"

    def test_generated_rows_are_known_by_their_bytes_under_any_name(self, store: ObjectStore) -> None:
        content = raw_csv(EMPLOYEES, 100)
        put_generated(store, "employees", RAW_KEY, content)
        store.put(store.data_bucket, "employees/raw/mine.csv", content)

        key = etl.validate("employees", etl.find_raw("employees", "mine.csv", store=store), store=store)

        assert read_manifest(store, "employees", etl.process("employees", key, store=store)).origin == "generated"

    def test_another_file_in_place_of_the_generated_one_is_a_file(self, store: ObjectStore) -> None:
        put_generated(store, "employees", RAW_KEY, raw_csv(EMPLOYEES, 100))
        upload(store, raw_csv(EMPLOYEES, 100, seed=1))

        assert read_manifest(store, "employees", run(store)).origin == "file"

    def test_rows_of_a_source_of_batches_come_from_batches(self, store: ObjectStore) -> None:
        assert origin_of(store, load_contract("covertype"), sha256(b"a,b").hexdigest()) == "batches"

    def test_data_that_were_processed_before_origins_were_kept_learn_theirs(self, store: ObjectStore) -> None:
        upload(store, raw_csv(EMPLOYEES, 100))
        name = run(store)
        key = f"employees/{name}/manifest.json"
        old = json.loads(store.get(store.processed_bucket, key))
        del old["origin"]
        store.put(store.processed_bucket, key, json.dumps(old).encode())
        assert read_manifest(store, "employees", name).origin == "unknown"

        assert run(store) == name
        assert read_manifest(store, "employees", name).origin == "file"

    def test_real_data_that_were_published_are_remembered_after_generated_ones(self, store: ObjectStore) -> None:
        upload(store, raw_csv(EMPLOYEES, 100, seed=1))
        real = run(store)
        put_generated(store, "employees", RAW_KEY, raw_csv(EMPLOYEES, 100))
        generated = run(store)

        etl.publish("employees", generated, store=store)
        assert last_real_digest(store, "employees") == ""
        etl.publish("employees", real, store=store)
        assert last_real_digest(store, "employees") == real
        published = etl.publish("employees", generated, store=store)
        assert (published.origin, published.real, last_real_digest(store, "employees")) == ("generated", real, real)


def test_the_run_in_mlflow_holds_parameters_metrics_artifacts_and_the_data_set(store: ObjectStore, mlflow_uri: str) -> None:
    upload(store, raw_csv(EMPLOYEES, 200))
    name = run(store)
    registry = Registry(mlflow_uri)

    run_id = etl.log("employees", name, store=store, registry=registry)

    client = mlflow.MlflowClient(mlflow_uri)
    logged = client.get_run(run_id)
    assert client.get_experiment(logged.info.experiment_id).name == "employees_etl"
    assert logged.info.status == "FINISHED"
    assert logged.data.params["dropped_columns"] == "Employee ID, Date of Joining, Years in Company"
    assert logged.data.params["seed"] == "42"
    assert logged.data.params["origin"] == "file"
    assert logged.data.metrics["rows_in"] == 200
    assert {"mean/Work-Life Balance Score", "std/Designation", "dropped/no_target", "missing_after"} <= logged.data.metrics.keys()
    assert {artifact.path for artifact in client.list_artifacts(run_id)} == {
        "profile.json",
        "report.json",
        "contract.yaml",
        "description.csv",
    }
    assert logged.inputs is not None
    [dataset] = logged.inputs.dataset_inputs
    assert dataset.dataset.digest == name
    assert etl.log("employees", name, store=store, registry=registry) == run_id
