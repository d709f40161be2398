"""Searches that several processes work on, on a real PostgreSQL."""

import re
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import optuna
import psycopg
import pytest
from optuna.exceptions import StorageInternalError
from optuna.storages._rdb import models

from deploy.embedded import temporary_servers
from hearth.errors import InvalidSettings, SearchFailed, SearchRemoved, StorageUnavailable, StudiesUnavailable
from hearth.housekeeping.report import KEPT, REMOVED
from hearth.housekeeping.rules import Rules
from hearth.housekeeping.studies import OF_STUDIES, OF_TRIALS, remove_old_studies
from hearth.modelling.families import FAMILIES
from hearth.modelling.trials import TrialResult
from hearth.training.objective import CrossValidation, Objective, TrialFailed, best_of
from hearth.training.search_worker import run_trials
from hearth.training.shared_study import _LOCK_CLASS, MOST_TRIES, SharedStudy, sampler_seed
from hearth.training.study_store import Search, StudyStore
from hearth.training.tuning import tune
from tests.support.samples import EMPLOYEES, sample_split
from tests.support.waiting import wait_until

GRACE_SECONDS = 2
DEFAULTS = {"x": 0.5}
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def url(postgres_url: str) -> str:
    return temporary_servers.create_database(postgres_url, f"studies_{uuid4().hex}")


@pytest.fixture
def store(url: str) -> Iterator[StudyStore]:
    with StudyStore(url, grace_seconds=GRACE_SECONDS) as store:
        yield store


def a_search(trials: int, seed: int = 1) -> Search:
    return Search(f"employees/knn/{uuid4()}", "employees", "knn", "ab12", trials, seed, "s3://processed")


def scored(trial: optuna.Trial, number: int) -> TrialResult:
    x = trial.suggest_float("x", 0, 1)
    return TrialResult(number, {"x": x}, (x, x), pruned=False)


def run(study: SharedStudy, objective: Objective = scored, **options: bool) -> int:
    return run_trials(study, lambda: objective, defaults=DEFAULTS, **options)  # type: ignore[arg-type]


def numbers(study: SharedStudy) -> list[int]:
    return sorted(trial.result.number for trial in study.ended())


def start(url: str, search: Search, worker: int, mode: str) -> "subprocess.Popen[str]":
    command = [sys.executable, str(ROOT / "tests/training/search_process.py"), url, search.key, str(worker), mode]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def test_one_worker_runs_the_trials_that_a_search_in_one_process_runs(store: StudyStore) -> None:
    split, family = sample_split(EMPLOYEES), FAMILIES["lightgbm"]
    alone = tune(EMPLOYEES, split.X_train, split.y_train, family, trials=13, seed=7, folds=3)

    study = store.create(a_search(13, seed=7))
    objective = CrossValidation.prepare(EMPLOYEES, split.X_train, split.y_train, family, seed=7, folds=3)
    run_trials(study, lambda: objective, defaults=family.defaults)

    assert best_of([trial.result for trial in study.ended()]) == alone


def test_two_processes_run_as_many_trials_as_were_asked_for(store: StudyStore, url: str) -> None:
    search = a_search(25)
    study = store.create(search)
    processes = [start(url, search, worker, "quick") for worker in range(2)]
    said = "".join(process.communicate(timeout=120)[0] for process in processes)

    assert [process.returncode for process in processes] == [0, 0]
    assert numbers(study) == list(range(25))
    assert sum(map(int, re.findall(r"joined (\d+)", said))) == 25
    assert len(study._study.trials) == 25  # in the database too: none was begun that does not count
    assert study.progress().is_done


def test_many_workers_at_the_same_moment_take_different_trials(store: StudyStore, url: str) -> None:
    search = a_search(20)
    store.create(search)
    stores = [StudyStore(url) for _ in range(8)]
    ready = threading.Barrier(8)

    def work(worker: int) -> int:
        study = stores[worker].join(search, worker)
        ready.wait(60)
        return run(study)

    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(work, range(8)))
    for opened in stores:
        opened.close()

    study = store.join(search, 0)
    assert sum(counts) == 20
    assert numbers(study) == list(range(20))
    assert len(study._study.trials) == 20


def test_the_trial_of_a_killed_worker_runs_again_with_its_parameters_and_nothing_else_is_lost(store: StudyStore, url: str) -> None:
    search = a_search(5)
    study = store.create(search)
    process = start(url, search, 1, "stuck")
    assert process.stdout
    first = process.stdout.readline().split()  # begun 0 0.5
    process.kill()
    process.communicate()

    run(study, until_done=True)

    lost = next(trial for trial in study.ended() if trial.result.number == int(first[1]))
    assert (lost.tries, lost.result.params["x"]) == (2, float(first[2]))
    assert numbers(study) == list(range(5))
    assert sorted(trial.tries for trial in study.ended()) == [1, 1, 1, 1, 2]


def test_a_worker_that_dies_right_after_it_took_a_trial_does_not_keep_it(store: StudyStore) -> None:
    search = a_search(3)
    taken = store.create(search).claim(DEFAULTS)  # and no sign of life after that
    assert taken

    study = store.join(search, 1)
    run(study, until_done=True)

    assert numbers(study) == [0, 1, 2]


def test_a_crash_between_the_end_of_a_stale_trial_and_its_return_loses_nothing(store: StudyStore) -> None:
    search = a_search(3)
    study = store.create(search)
    claim = study.claim(DEFAULTS)
    assert claim
    study._storage.set_trial_state_values(claim.storage_id, optuna.trial.TrialState.FAIL)  # all that Optuna does of it in one transaction

    run(store.join(search, 1))

    assert numbers(study) == [0, 1, 2]


def test_a_trial_that_kills_each_worker_is_given_up_and_counts(store: StudyStore) -> None:
    search = a_search(2)

    class Killed(Exception):
        pass

    def deadly(trial: optuna.Trial, number: int) -> TrialResult:
        if number == 0:
            raise Killed
        return scored(trial, number)

    for worker in range(MOST_TRIES):
        study = store.join(search, worker) if worker else store.create(search)
        with pytest.raises(Killed):
            run(study, deadly)
    run(study, deadly, until_done=True)

    assert numbers(study) == [1]
    assert (study.progress().failed, study.progress().is_done) == (1, True)


def test_what_a_worker_ends_after_it_was_taken_for_dead_is_left_out(store: StudyStore, caplog: pytest.LogCaptureFixture) -> None:
    search = a_search(1)
    slow, other = store.create(search), store.join(search, 1)
    claim = slow.claim(DEFAULTS)
    assert claim
    run(other, until_done=True)

    claim.trial  # noqa: B018 - it is still in the hands of the first
    assert not slow.end(claim, TrialResult(0, {"x": 0.9}, (0.9,), pruned=False))

    [ended] = other.ended()
    assert (ended.result.params, ended.worker) == ({"x": 0.5}, 1)
    assert "seemed dead" in caplog.text


def test_a_worker_tells_again_and_again_that_it_is_alive(url: str) -> None:
    with StudyStore(url, grace_seconds=12) as patient, psycopg.connect(url, autocommit=True) as connection:
        study = patient.create(a_search(1))
        claim = study.claim(DEFAULTS)
        assert claim
        told: set[object] = set()

        def tells_again() -> bool:
            told.add(connection.execute("SELECT heartbeat FROM trial_heartbeats WHERE trial_id = %s", (claim.storage_id,)).fetchone())
            return len(told) > 2

        with study.alive(claim):
            wait_until(tells_again)
            assert study.claim(DEFAULTS) is None


def test_a_trial_is_pruned_by_what_another_worker_has_scored(store: StudyStore) -> None:
    search = a_search(6)

    def in_two_steps(score: float) -> Objective:
        def objective(trial: optuna.Trial, number: int) -> TrialResult:
            trial.suggest_float("x", 0, 1)
            for step in range(2):
                trial.report(score, step)
            return TrialResult(number, {"x": 0}, (score, score), pruned=trial.should_prune())

        return objective

    good, bad = store.create(search), store.join(search, 1)
    counted: Iterator[bool] = iter([True] * 5 + [False])
    run_trials(good, lambda: in_two_steps(0.9), defaults=DEFAULTS, goes_on=lambda: next(counted))
    run(bad, in_two_steps(0.1))

    assert [(trial.worker, trial.result.pruned) for trial in good.ended()] == [(0, False)] * 5 + [(1, True)]


def test_trials_that_fail_count_and_if_all_do_the_first_error_is_told(store: StudyStore) -> None:
    study = store.create(a_search(4))

    def failing(_trial: optuna.Trial, _number: int) -> TrialResult:
        raise TrialFailed from ZeroDivisionError("no such constant")

    assert run(study, failing, until_done=True) == 4
    assert study.progress().failed == 4
    with pytest.raises(SearchFailed, match=r"All 4 trials .* the first: ZeroDivisionError: no such constant"):
        study.require_score()


def test_an_error_of_the_data_leaves_the_trial_to_others(store: StudyStore) -> None:
    search = a_search(2)
    study = store.create(search)

    def no_data() -> Objective:
        raise FileNotFoundError("away")

    with pytest.raises(FileNotFoundError):
        run_trials(study, no_data, defaults=DEFAULTS)
    assert run(store.join(search, 1)) == 2


def test_outages_use_up_no_try_of_a_trial(store: StudyStore) -> None:
    search = a_search(1)
    study = store.create(search)

    def away() -> Objective:
        raise StorageUnavailable("the store is away")

    def database_away(_trial: optuna.Trial, _number: int) -> TrialResult:
        raise StorageInternalError("the database is away")

    for _ in range(MOST_TRIES + 1):
        with pytest.raises(StorageUnavailable):
            run_trials(study, away, defaults=DEFAULTS)
        with pytest.raises(StorageInternalError):
            run(study, database_away)
        with pytest.raises(KeyboardInterrupt):
            run(study, stopped)
    run(study)

    [ended] = study.ended()
    assert (ended.result.params, ended.tries) == (DEFAULTS, 1)


def stopped(_trial: optuna.Trial, _number: int) -> TrialResult:
    raise KeyboardInterrupt


def test_a_worker_whose_search_is_removed_ends_with_what_it_has_done(store: StudyStore) -> None:
    search = a_search(5)
    study = store.create(search)

    def removed_before(last: int) -> Objective:
        def objective(trial: optuna.Trial, number: int) -> TrialResult:
            if number == last:
                store.remove(search.key)
            return scored(trial, number)

        return objective

    assert run(study, removed_before(2), until_done=True) == 2


@pytest.mark.parametrize("begun_anew", [False, True])
def test_a_removed_search_is_told_by_all_that_is_asked_of_it(store: StudyStore, *, begun_anew: bool) -> None:
    search = a_search(3)
    study = store.create(search)
    claim = study.claim(DEFAULTS)
    assert claim
    store.remove(search.key)
    if begun_anew:
        store.create(search)

    result = TrialResult(0, {"x": 0.5}, (0.5,), pruned=False)
    asked: list[Callable[[], object]] = [
        lambda: study.claim(DEFAULTS),
        lambda: study.end(claim, result),
        lambda: study.fail(claim, ValueError()),
        lambda: study.give_back(claim, counts=True),
        study.progress,
        study.ended,
        study.require_score,
    ]
    for ask in asked:
        with pytest.raises(SearchRemoved, match=search.key):
            ask()
    assert run(study, until_done=True) == 0
    with study.alive(claim):
        pass


def test_a_search_that_is_over_cannot_be_joined(store: StudyStore) -> None:
    with pytest.raises(SearchRemoved):
        store.join(a_search(1), 1)


def test_a_lock_that_nobody_lets_go_of_is_told_after_the_time_of_grace(store: StudyStore, url: str) -> None:
    study = store.create(a_search(1))
    with psycopg.connect(url) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(%s, %s)", (_LOCK_CLASS, study._id))
        with pytest.raises(StudiesUnavailable, match="lock timeout"), store.errors():
            study.claim(DEFAULTS)
    assert study.claim(DEFAULTS)


def test_a_worker_that_stands_still_with_the_lock_loses_it(store: StudyStore) -> None:
    search = a_search(2)
    still, other = store.create(search), store.join(search, 1)
    claim = None
    with pytest.raises(StudiesUnavailable), store.errors(), still._turn():
        claim = other.claim(DEFAULTS)  # it waits for the lock
    assert claim


def test_a_search_that_has_done_its_work_is_left_if_the_database_is_away(caplog: pytest.LogCaptureFixture) -> None:
    with StudyStore(f"postgresql://optuna:secret@127.0.0.1:{temporary_servers.free_port()}/optuna") as store:
        store.discard("key")

    assert "until housekeeping removes it" in caplog.text


def test_a_search_that__is_begun_again_starts_anew_and_a_removed_one_is_not_found(store: StudyStore) -> None:
    search = a_search(2)
    run(store.create(search))
    assert store.find(search.key) == search
    assert store.create(search).ended() == []
    store.remove(search.key)
    store.remove(search.key)

    assert store.find(search.key) is None


def test_workers_do_not_suggest_what_others_or_they_themselves_before_a_restart_suggest() -> None:
    seeds = {sampler_seed(42, worker, begun) for worker in range(4) for begun in range(10)}

    assert len(seeds) == 40
    assert sampler_seed(42, 0, 0) == 42


def test_a_database_that_is_away_is_named_without_its_password() -> None:
    port = temporary_servers.free_port()
    with StudyStore(f"postgresql://optuna:secret@127.0.0.1:{port}/optuna") as store, pytest.raises(StudiesUnavailable) as caught:
        store.find("key")

    assert f"127.0.0.1:{port}/optuna" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "wrong", ["no url TOPSECRET", "postgresql://optuna:TOPSECRET@host:port/optuna", "mysql://optuna:TOPSECRET@host/optuna"]
)
def test_a_url_that_is_none_of_postgresql_is_refused_without_its_password(wrong: str) -> None:
    with pytest.raises(InvalidSettings, match="HEARTH_STUDIES_URL") as caught:
        StudyStore(wrong)
    with pytest.raises(InvalidSettings, match="HEARTH_STUDIES_URL") as kept:
        list(remove_old_studies(wrong, Rules(90, 10, 7), datetime.now(UTC), applies=True))

    shown = [*traceback.format_exception(caught.value), *traceback.format_exception(kept.value)]
    assert not any("TOPSECRET" in line for line in shown if "wrong" not in line)


@pytest.mark.parametrize("password", ["TOPSECRET", "TOP%SECRET", "TOPSECRET?x=TOPSECRET"])
@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_housekeeping_tells_no_password_of_a_url_that_searches_take(scheme: str, password: str) -> None:
    url = f"{scheme}://optuna:{password}@127.0.0.1:{temporary_servers.free_port()}/optuna"
    with pytest.raises((StudiesUnavailable, InvalidSettings)) as caught:
        list(remove_old_studies(url, Rules(90, 10, 7), datetime.now(UTC), applies=True))

    assert "SECRET" not in str(caught.value)


def test_housekeeping_takes_a_url_with_the_driver_as_searches_do(store: StudyStore, url: str) -> None:
    search = a_search(1)
    store.create(search)

    with_driver = url.replace("postgresql:", "postgresql+psycopg:")
    assert search.key in {item.name for item in remove_old_studies(with_driver, Rules(90, 10, 7), datetime.now(UTC), applies=False)}


def test_a_search_that_does_not_say_since_when_it_is_there_is_counted_from_when_it_is_seen(store: StudyStore, url: str) -> None:
    searches, rules, now = [a_search(1), a_search(1)], Rules(90, 10, 7), datetime.now(UTC)
    for search in searches:
        store.create(search)
    with psycopg.connect(url, autocommit=True) as connection:
        ids = [connection.execute("SELECT study_id FROM studies WHERE study_name = %s", (search.key,)).fetchone() for search in searches]
        connection.execute("DELETE FROM study_user_attributes WHERE study_id = %s", ids[0])  # no attribute at all
        connection.execute("DELETE FROM study_user_attributes WHERE study_id = %s AND key = 'planned'", ids[1])

    def fates(days: float, *, applies: bool) -> list[str]:
        items = {item.name: item.action for item in remove_old_studies(url, rules, now + timedelta(days=days), applies=applies)}
        return [items[search.key] for search in searches]

    assert fates(0, applies=False) == [KEPT, KEPT]
    assert fates(0, applies=True) == [KEPT, KEPT]
    assert fates(6, applies=True) == [KEPT, KEPT]
    assert fates(8, applies=True) == [REMOVED, REMOVED]


def test_tables_of_a_newer_optuna_are_refused_with_what_to_do(fresh_database: str) -> None:
    with StudyStore(fresh_database) as store:
        store.create(a_search(1))
    with psycopg.connect(fresh_database, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'v99.0.0'")

    with StudyStore(fresh_database) as store, pytest.raises(StudiesUnavailable, match=r"newer Optuna .*v99\.0\.0.* empty the database"):
        store.find("key")


def test_housekeeping_removes_searches_that_nobody_ended_and_knows_all_of_optunas_tables(store: StudyStore, url: str) -> None:
    names = {table.name for table in models.BaseModel.metadata.sorted_tables} - {"version_info"}
    assert {*(f"trial_{name}" for name in OF_TRIALS), *OF_STUDIES} == names
    search, rules = a_search(3), Rules(90, 10, 7)
    run(store.create(search))
    now = datetime.now(UTC)

    def fate(days: float, *, applies: bool = True) -> str:
        items = remove_old_studies(url, rules, now + timedelta(days=days), applies=applies)
        return next(item.action for item in items if item.name == search.key)

    assert fate(6) == KEPT
    assert fate(8, applies=False) == REMOVED
    assert store.find(search.key)
    assert fate(8) == REMOVED
    assert store.find(search.key) is None
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT count(*) FROM trials").fetchone() == (0,)


def test_a_database_without_searches_has_nothing_to_remove(postgres_url: str) -> None:
    empty = temporary_servers.create_database(postgres_url, f"studies_{uuid4().hex}")

    assert list(remove_old_studies(empty, Rules(90, 10, 7), datetime.now(UTC), applies=True)) == []
