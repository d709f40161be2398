"""The data check on files: as a step of the ETL, and on the real files where they are there."""

import pandas as pd
import pytest

from deploy.embedded import temporary_servers
from hearth.contracts import Contract, load_contract
from hearth.contracts.check_words import Checks
from hearth.data.checks import CheckReport
from hearth.errors import SuspiciousData
from hearth.fakes import FakeRecords
from hearth.jobs import check_data, etl
from hearth.storage import ObjectStore
from tests.support.real_files import require_real_file

EMPLOYEES, HEART = load_contract("employees"), load_contract("heart")
RAW_KEY = f"employees/raw/{EMPLOYEES.source.file}"


@pytest.fixture
def validated(object_store: temporary_servers.ObjectStore) -> tuple[ObjectStore, str]:
    """A store with validated rows of employees, and their key."""
    store = ObjectStore(
        object_store.endpoint_url,
        region=object_store.region,
        access_key=object_store.access_key,
        secret_key=object_store.secret_key,
        data_bucket="data-checked",
        processed_bucket="processed-checked",
    )
    store.ensure_bucket(store.data_bucket)
    store.ensure_bucket(store.processed_bucket)
    store.put(store.data_bucket, RAW_KEY, FakeRecords.load(EMPLOYEES).frame(2_000, 5).to_csv(index=False).encode())
    return store, etl.validate("employees", RAW_KEY, store=store)


def with_checks(monkeypatch: pytest.MonkeyPatch, **words: object) -> None:
    changed = EMPLOYEES.model_copy(update={"checks": Checks.model_validate(words)})
    monkeypatch.setattr(check_data, "load_contract", lambda _: changed)


def test_the_report_lies_beside_the_processed_data(validated: tuple[ObjectStore, str]) -> None:
    store, key = validated

    digest = etl.process("employees", check_data.check("employees", key, store=store), store=store)

    report = CheckReport.from_json(store.get(store.processed_bucket, f"employees/{digest}/check.json"))
    page = store.get(store.processed_bucket, f"employees/{digest}/check.html").decode()
    assert [finding.check for finding in report.at("warn", "stop")] == ["made_from_target"]
    assert "Sleep Hours" in page
    assert page.count("data:image/png;base64,") == 1
    assert report.seconds < 60


def test_of_more_rows_than_memory_holds_a_sample_is_checked_that_splits_no_copies(
    validated: tuple[ObjectStore, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, key = validated
    rows = FakeRecords.load(EMPLOYEES).frame(1_000, 6)
    rows["Employee ID"] = "the same"
    store.put(store.data_bucket, RAW_KEY, pd.concat([rows, rows, rows]).to_csv(index=False).encode())
    key = etl.validate("employees", RAW_KEY, store=store)
    monkeypatch.setenv("HEARTH_ROWS_IN_MEMORY", "1500")

    check_data.check("employees", key, store=store)

    report = CheckReport.from_json(store.get(store.data_bucket, f"{key}.check.json"))
    [copies] = [finding for finding in report.findings if finding.check == "duplicates"]
    assert report.source == f"{key}, a sample of 1,500 of its 3,000 rows"
    assert copies.figures["share"] == pytest.approx(2 / 3, abs=0.005)
    assert list(copies.lines) == sorted(copies.lines)


def test_findings_fail_the_etl_where_the_contract_says_so(validated: tuple[ObjectStore, str], monkeypatch: pytest.MonkeyPatch) -> None:
    store, key = validated
    with_checks(monkeypatch, fail_on="warn")

    with pytest.raises(SuspiciousData, match=r"made_from_target .*Sleep Hours.*check\.html"):
        check_data.check("employees", key, store=store)

    with_checks(monkeypatch, fail_on="warn", skip=["jumps"])
    assert check_data.check("employees", key, store=store) == key
    with_checks(monkeypatch, fail_on="stop")
    assert check_data.check("employees", key, store=store) == key


def test_nothing_is_checked_where_the_contract_says_so(validated: tuple[ObjectStore, str], monkeypatch: pytest.MonkeyPatch) -> None:
    store, key = validated
    store.put_frame(store.data_bucket, "employees/validated/unseen.parquet", store.get_frame(store.data_bucket, key))
    with_checks(monkeypatch, run=False)

    key = "employees/validated/unseen.parquet"  # without lines, which a check would read
    assert check_data.check("employees", key, store=store) == key
    assert not store.exists(store.data_bucket, f"{key}.check.json")


def test_the_copies_of_heart_are_found_with_what_they_would_have_done() -> None:
    report, page = _of_real_file(HEART)

    [copies] = report.at("warn", "stop")
    assert (copies.check, copies.count) == ("duplicates", 723)
    assert copies.figures["distinct"] == 302
    assert copies.figures["accuracy_across"] > 0.97
    assert copies.figures["accuracy_apart"] < 0.85
    assert copies.lines[0] == 17
    assert b"302 are distinct" in page


def test_the_columns_of_employees_that_were_made_from_the_target_are_found() -> None:
    report, _ = _of_real_file(EMPLOYEES)

    [made] = report.at("warn", "stop")
    assert (made.check, len(made.columns), made.figures["jump_above"]) == ("made_from_target", 6, 0.4)


def _of_real_file(contract: Contract) -> tuple[CheckReport, bytes]:
    path = require_real_file(contract.name)
    return check_data.check_file(contract, path.read_bytes(), path.name)
