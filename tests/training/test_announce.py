"""What the ETL leaves in MLflow about published data, and how a service reads it: real object store, real MLflow."""

import json
from pathlib import Path

import pandas as pd
import pytest
from mlflow import MlflowClient

from deploy.embedded import temporary_servers
from hearth.contracts import load_contract
from hearth.contracts.column_types import NumberColumn
from hearth.contracts.experiment_names import etl_experiment
from hearth.data.cleaning import DUPLICATE
from hearth.data.processed import load_processed
from hearth.errors import ObjectNotFound, RegistryError
from hearth.jobs import etl
from hearth.jobs.announce import announce
from hearth.jobs.check_data import check
from hearth.registry import Registry
from hearth.registry.tracking import PUBLISHED
from hearth.storage import ObjectStore
from tests.support.stores import store_of_its_own
from tests.training.raw_rows import raw_rows

EMPLOYEES = load_contract("employees")
EXPERIMENT = etl_experiment(EMPLOYEES)


@pytest.fixture
def store(object_store: temporary_servers.ObjectStore) -> ObjectStore:
    return store_of_its_own(object_store)


def processed(store: ObjectStore, seed: int) -> str:
    """Process 400 rows, of which 30 are copies and 5 break the contract, 3 of them twice."""
    rows = raw_rows(EMPLOYEES, 400, seed=seed)
    rows.iloc[370:] = rows.iloc[:30].to_numpy()
    rows.loc[100:104, "Designation"] = "17"
    rows.loc[100:102, "Gender"] = "unheard of"
    store.put(store.data_bucket, f"employees/raw/{EMPLOYEES.source.file}", rows.to_csv(index=False).encode())
    return etl.process("employees", etl.validate("employees", etl.find_raw("employees", store=store), store=store), store=store)


def published(store: ObjectStore, registry: Registry, seed: int) -> str:
    digest = processed(store, seed)
    etl.log("employees", digest, store=store, registry=registry)
    etl.publish("employees", digest, store=store)
    announce("employees", digest, store=store, registry=registry)
    return digest


def test_a_service_reads_how_the_data_were_made_without_the_object_store(store: ObjectStore, registry: Registry) -> None:
    digest = published(store, registry, seed=11)

    publication = registry.publication(EXPERIMENT)
    assert publication is not None
    assert (publication.digest, publication.origin) == (digest, "file")
    report = registry.data_report(publication)
    assert (report.rows_in, report.rejected, report.dropped[DUPLICATE]) == (400, 5, 30)
    assert list(report.reasons.items()) == [
        ("Designation: not a whole number from 0 to 5 (level)", 5),
        ("Gender: not one of 'Female', 'Male'", 3),
    ]
    assert report.duplicate_share == pytest.approx(30 / 395)
    split = load_processed(store, "employees", digest)
    assert (report.train_rows, report.test_rows) == (len(split.X_train), len(split.X_test))
    ages = split.X_train["Sleep Hours"].dropna().sort_values()
    assert report.profile.numbers["Sleep Hours"].median == ages.quantile(0.5, interpolation="lower")
    assert report.source.endswith(EMPLOYEES.source.file)


def test_the_latest_is_what_was_published_last_also_when_it_is_an_earlier_digest(store: ObjectStore, registry: Registry) -> None:
    first, second = published(store, registry, seed=12), published(store, registry, seed=13)

    announce("employees", first, store=store, registry=registry)
    latest = registry.publication(EXPERIMENT)

    assert first != second
    assert latest is not None
    assert latest.digest == registry.data_report(latest).digest == first


def test_the_report_is_of_the_last_raw_file_that_gave_the_data(store: ObjectStore, registry: Registry, mlflow_uri: str) -> None:
    rows = raw_rows(EMPLOYEES, 400, seed=17, missing_share=0)
    copied = pd.concat([rows, rows[:100]])
    seen = []
    for frame in (copied, rows, rows, copied):
        store.put(store.data_bucket, f"employees/raw/{EMPLOYEES.source.file}", frame.to_csv(index=False).encode())
        key = etl.validate("employees", etl.find_raw("employees", store=store), store=store)
        digest = etl.process("employees", check("employees", key, store=store), store=store)
        run_id = etl.log("employees", digest, store=store, registry=registry)
        report = announce("employees", digest, store=store, registry=registry)

        client = MlflowClient(mlflow_uri, mlflow_uri)
        metrics = client.get_run(run_id).data.metrics
        folder = Path(client.download_artifacts(run_id, ""))
        logged = json.loads((folder / "report.json").read_text("utf-8"))
        checked = json.loads((folder / "check.json").read_text("utf-8"))
        assert (metrics["rows_in"], metrics["dropped/duplicate"]) == (report.rows_in, report.dropped[DUPLICATE])
        assert (logged["validation"]["rows_in"], logged["dropped"][DUPLICATE]) == (report.rows_in, report.dropped[DUPLICATE])
        assert checked["rows"] == report.rows_in
        publication = registry.publication(EXPERIMENT)
        assert publication is not None
        assert registry.data_report(publication) == report
        seen.append((digest, run_id, report.rows_in, report.dropped[DUPLICATE]))

    assert len({entry[:2] for entry in seen}) == 1
    assert [entry[2:] for entry in seen] == [(500, 100), (400, 0), (400, 0), (500, 100)]


def test_data_that_no_run_has_logged_are_an_error_that_names_them(store: ObjectStore, registry: Registry) -> None:
    digest = processed(store, seed=14)

    with pytest.raises(RegistryError, match=f"has logged the data {digest}"):
        announce("employees", digest, store=store, registry=registry)
    with pytest.raises(ObjectNotFound):
        announce("employees", "0123456789abcdef", store=store, registry=registry)


def test_what_somebody_else_has_written_there_is_an_error_and_not_shown(store: ObjectStore, registry: Registry, mlflow_uri: str) -> None:
    published(store, registry, seed=15)
    client = MlflowClient(mlflow_uri, mlflow_uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    publication = registry.publication(EXPERIMENT)
    assert publication is not None

    client.log_text(publication.run_id, '{"digest": 1}', "published.json")
    with pytest.raises(RegistryError, match="has no report of published data that can be read"):
        registry.data_report(publication)

    client.set_experiment_tag(experiment.experiment_id, PUBLISHED, '{"digest": "x"}')
    with pytest.raises(RegistryError, match=f"The tag {PUBLISHED}"):
        registry.publication(EXPERIMENT)


def test_nothing_of_personal_columns_is_in_the_report(store: ObjectStore, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = processed(store, seed=16)
    etl.log("employees", digest, store=store, registry=registry)
    column = EMPLOYEES.columns["Sleep Hours"]
    assert isinstance(column, NumberColumn)
    hidden = EMPLOYEES.model_copy(update={"columns": {**EMPLOYEES.columns, "Sleep Hours": column.model_copy(update={"personal": True})}})
    monkeypatch.setattr("hearth.jobs.announce.load_contract", lambda _: hidden)

    report = announce("employees", digest, store=store, registry=registry)

    assert "Sleep Hours" not in report.profile.numbers
    assert "Designation" in report.profile.numbers
    assert not any(warning.startswith("Sleep Hours") for warning in report.warnings)
