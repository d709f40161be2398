"""Real MLflow, object store and PostgreSQL: what is referred to stays whole, the rest goes in two steps, and nothing goes by mistake."""

import dataclasses
import re
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from mlflow import MlflowClient

from deploy.embedded import temporary_servers
from hearth.audit import AuditStore
from hearth.audit.store import AuditFilter
from hearth.errors import HousekeepingRefused, ModelUnavailable, PredictionsUnavailable
from hearth.housekeeping import keep_house
from hearth.housekeeping.garbage import collect_garbage
from hearth.housekeeping.processed_data import TRASHED_MANIFEST
from hearth.housekeeping.report import KEPT, REMOVED, RESTORED, TRASHED, Report
from hearth.registry.tracking import DATASET
from tests.support.backed_up_stack import running
from tests.support.model_files import X, fitted
from tests.support.stack_contents import AIRFLOW
from tests.support.untidy_stack import (
    DIGESTS,
    INTERRUPTED,
    LATER,
    LATEST,
    LOST_MODEL,
    LOST_RUN,
    REFERENCE,
    RULES,
    UNNAMED,
    Kept,
    UntidyStack,
    mlflow_python,
)

STAYING = ("alias", "tag", "rollout", "predicted", "approved", "newest")


@pytest.fixture(scope="module")
def untidy() -> Iterator[UntidyStack]:
    with running(AIRFLOW) as stack:
        untidy = UntidyStack(stack)
        untidy.fill()
        yield untidy


@pytest.fixture(scope="module")
def before(untidy: UntidyStack) -> Kept:
    return untidy.kept()


@pytest.fixture(scope="module")
def rehearsal(untidy: UntidyStack, before: Kept) -> Report:
    assert before.versions
    return keep_house(untidy.settings(), applies=False, rules=RULES, now=LATER)


@pytest.fixture(scope="module")
def applied(untidy: UntidyStack, rehearsal: Report) -> Report:
    assert not rehearsal.applied
    process = untidy.start_pass()  # killed at the first thing that it removes
    assert process.stdout
    for line in process.stdout:
        if "is deleted" in line:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return keep_house(untidy.settings(), applies=True, rules=RULES, now=LATER)


def why(report: Report, what: str) -> dict[str, str]:
    return {item.name: item.why for item in report.items if item.what == what}


def test_a_rehearsal_changes_nothing_and_says_what_would_go(untidy: UntidyStack, before: Kept, rehearsal: Report) -> None:
    assert untidy.kept() == before
    number = untidy.number
    assert rehearsal.named("version", REMOVED) == [f"employees/{number('gone')}"]
    assert why(rehearsal, "version") == {
        f"employees/{number('alias')}": "has an alias",
        f"employees/{number('tag')}": "tagged hearth.keep",
        f"employees/{number('rollout')}": "named by a rollout or a retraining",
        f"employees/{number('predicted')}": "named by stored predictions",
        f"employees/{number('gone')}": "nothing refers to it",
        f"employees/{number('approved')}": "approved by a person",
        f"employees/{number('newest')}": "among the newest 1",
    }
    kept = {untidy.versions[name].model_id for name in STAYING}
    assert set(why(rehearsal, "model")) == kept | {untidy.versions["gone"].model_id}
    assert rehearsal.named("model", TRASHED) == [untidy.versions["gone"].model_id]
    assert len(rehearsal.named("trial run", TRASHED)) == 2
    assert len(rehearsal.named("training run", TRASHED)) == 2  # its search and its final run
    assert len(rehearsal.named("ETL run", TRASHED)) == 1
    assert set(rehearsal.named("processed data", TRASHED)) == {f"employees/{digest}" for digest in (DIGESTS["gone"], UNNAMED)}
    assert rehearsal.named("processed data", REMOVED) == [f"employees/{INTERRUPTED}"]
    assert rehearsal.named("files of a lost run", REMOVED) == ["ab" * 16]
    assert rehearsal.named("files of a lost model", REMOVED) == [f"m-{'cd' * 16}"]
    row = next(row for row in rehearsal.rows if row.what == "version" and row.action == REMOVED)
    assert row.count == 1
    assert (row.size or 0) > 1_000  # its model and its pictures
    assert re.search(r"version +removed +1 +\d+\.\d  nothing refers to it", rehearsal.to_text())


def test_young_things_stay_whatever_refers_to_them(untidy: UntidyStack, before: Kept) -> None:
    report = keep_house(untidy.settings(), applies=True, rules=RULES)  # as of now: all is minutes old
    assert untidy.kept() == before
    assert {item.action for item in report.items if item.what not in {"MLflow's trash", "search"}} == {KEPT}


def test_what_nothing_refers_to_goes_even_after_a_pass_that_was_killed(untidy: UntidyStack, before: Kept, applied: Report) -> None:
    after = untidy.kept()
    assert after.versions == before.versions - {untidy.number("gone")}
    gone = {"employees/knn/gone", DIGESTS["gone"]}
    assert after.runs == {label: count for label, count in before.runs.items() if label not in gone}
    assert before.runs["employees/knn/gone"] == 4  # final run, search and two trials
    assert after.runs["somebody's own"] == 1
    lost = {LOST_RUN, LOST_MODEL}
    assert after.objects["mlflow"] == before.objects["mlflow"] - lost  # the files of runs and models go with MLflow's own trash
    half = {f"employees/{INTERRUPTED}/X_train.parquet"}
    renamed = {f"employees/{digest}/" for digest in (DIGESTS["gone"], UNNAMED)}
    manifests = {f"{folder}manifest.json" for folder in renamed}
    assert after.objects["processed"] == before.objects["processed"] - half - manifests | {f"{f}{TRASHED_MANIFEST}" for f in renamed}
    assert applied.applied


def test_what_went_is_in_the_audit_trail_even_of_a_pass_that_was_killed(untidy: UntidyStack, applied: Report) -> None:
    assert applied.applied
    with AuditStore(untidy.stack.url("predictions")) as store:
        removed = store.entries(100, AuditFilter(action="version_removed"))
        passes = store.entries(100, AuditFilter(action="housekeeping_applied"))

    assert [(row.dataset, row.version) for row in removed] == [("employees", untidy.number("gone"))]
    assert {row.result for row in passes} == {"done"}
    counts = passes[0].detail[TRASHED]
    assert isinstance(counts, dict)
    assert counts["training run"] == 2


def test_a_version_that_stays_answers_as_before(untidy: UntidyStack, applied: Report) -> None:
    assert applied.applied
    for name in STAYING:
        version = untidy.registry.version("employees", untidy.number(name))
        assert (untidy.registry.load(version).predict_proba(X.head(20)) == fitted("knn").predict_proba(X.head(20))).all()
        assert untidy.registry.run_files(version, ["figures/a.png"], 100) == {"figures/a.png": b"picture"}
    with pytest.raises(ModelUnavailable):
        untidy.registry.version("employees", untidy.number("gone"))


def test_a_second_pass_finds_nothing_more_in_mlflow(untidy: UntidyStack, applied: Report) -> None:
    assert applied.applied
    now = untidy.kept()
    report = keep_house(untidy.settings(), applies=False, rules=RULES, now=LATER)
    changing = {(item.what, item.action) for item in report.items if item.action in {REMOVED, TRASHED, RESTORED}}
    assert changing == {("processed data", REMOVED)}  # what the first put into the trash, by this clock a hundred days ago
    assert untidy.kept() == now


def test_processed_data_that_are_named_again_come_back_from_the_trash(untidy: UntidyStack, applied: Report) -> None:
    assert applied.applied
    with psycopg.connect(untidy.stack.url("predictions")) as connection:
        connection.execute(
            "INSERT INTO retrains (id, dataset, trigger, state, decided_at, digest, why) "
            "VALUES ('t', 'employees', 'manual', 'refused', now(), %s, 'x')",
            (UNNAMED,),
        )
    report = keep_house(untidy.settings(), applies=True, rules=RULES, now=datetime.now(UTC) + timedelta(days=3))

    assert report.named("processed data", RESTORED) == [f"employees/{UNNAMED}"]
    keys = untidy.kept().objects["processed"]
    assert f"employees/{UNNAMED}/manifest.json" in keys
    assert f"employees/{UNNAMED}/{TRASHED_MANIFEST}" not in keys
    assert f"employees/{DIGESTS['gone']}/{TRASHED_MANIFEST}" in keys  # in the trash for three days of seven
    assert f"employees/{REFERENCE}/manifest.json" in keys  # what the latest data were added to
    assert f"employees/{LATEST}/manifest.json" in keys

    report = keep_house(untidy.settings(), applies=True, rules=RULES, now=datetime.now(UTC) + timedelta(days=8))
    assert report.named("processed data", REMOVED) == [f"employees/{DIGESTS['gone']}"]
    assert not [key for key in untidy.kept().objects["processed"] if DIGESTS["gone"] in key]


def test_mlflow_empties_its_own_trash_with_the_files(untidy: UntidyStack, before: Kept, applied: Report) -> None:
    assert applied.applied
    run_id = untidy.versions["gone"].run_id
    files = {key for key in untidy.kept().objects["mlflow"] if run_id in key}
    assert files
    settings, environment = untidy.settings(mlflow_python=mlflow_python()), untidy.garbage_environment()
    assert not list(collect_garbage(settings, 7, environment))  # nothing has been there for seven days
    assert files <= untidy.kept().objects["mlflow"]

    items = list(collect_garbage(settings, 0, environment))

    assert {(item.what, item.action) for item in items} == {("run in MLflow's trash", REMOVED), ("model in MLflow's trash", REMOVED)}
    assert run_id in {item.name for item in items}
    after = untidy.kept()
    assert not [key for key in after.objects["mlflow"] if run_id in key]
    assert after.versions == before.versions - {untidy.number("gone")}
    test_a_version_that_stays_answers_as_before(untidy, applied)
    assert not list(collect_garbage(settings, 0, environment))


def test_nothing_is_removed_when_nobody_can_say_what_is_named(untidy: UntidyStack, applied: Report) -> None:
    assert applied.applied
    now = untidy.kept()
    nowhere = untidy.stack.url("predictions").rpartition("/")[0] + "/nowhere"
    with pytest.raises(PredictionsUnavailable, match="nowhere"):
        keep_house(untidy.settings(monitor_url=nowhere), applies=True, rules=RULES, now=LATER)
    assert untidy.kept() == now


def test_where_the_bucket_is_of_another_mlflow_nothing_is_removed_in_either(untidy: UntidyStack, applied: Report) -> None:
    assert applied.applied
    now = untidy.kept()
    with temporary_servers.mlflow() as other:  # that of the other tests has versions which they need
        client = MlflowClient(other, other)
        client.create_registered_model("employees", {DATASET: "employees"})
        for _ in range(3):
            run = client.create_run("0")
            client.create_model_version("employees", f"runs:/{run.info.run_id}/model", run.info.run_id)
        with pytest.raises(HousekeepingRefused, match=r"MLflow knows none of the \d+ runs and models.*Nothing was removed\."):
            keep_house(untidy.settings(mlflow_tracking_uri=other), applies=True, rules=RULES, now=LATER)
        assert {version.version for version in client.search_model_versions()} == {"1", "2", "3"}
    assert untidy.kept().objects["mlflow"] == now.objects["mlflow"]


def test_the_command_prints_the_table_and_changes_nothing_by_itself(untidy: UntidyStack, applied: Report) -> None:
    assert applied.applied
    now = untidy.kept()
    stack = dataclasses.replace(untidy.stack)
    process = stack.command(
        "housekeeping", "--names", HEARTH_MONITOR_URL=stack.url("predictions"), HEARTH_MLFLOW_TRACKING_URI=stack.mlflow, COLUMNS="200"
    )
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert "What would be done (nothing was changed):" in out
    assert re.search(r"version +kept +1 +\S+  has an alias", out)
    assert untidy.kept() == now
