"""A training whose search several tasks share, without Airflow: on a real PostgreSQL, object store and MLflow."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from deploy.embedded import temporary_servers
from hearth.contracts import Contract
from hearth.contracts.experiment_names import trials_experiment
from hearth.jobs.search import name_training
from hearth.jobs.search_processes import prepare
from hearth.jobs.shared_search import TRIALS_OF_A_WORKER, count_workers, plan, work
from hearth.jobs.train import finish_training, train
from hearth.modelling.families import FAMILIES
from hearth.registry import Registry
from hearth.settings import SearchWorkersSettings
from hearth.storage import ObjectStore
from hearth.training.search_worker import run_trials
from hearth.training.study_store import StudyStore
from tests.support import airflow_home
from tests.support.samples import sample_split
from tests.training.test_train_pipeline import publish

TRIALS = 2 * TRIALS_OF_A_WORKER
KEY = "run-1"


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, object_store: temporary_servers.ObjectStore, fresh_database: str) -> None:
    for name, value in airflow_home.storage(object_store).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HEARTH_STUDIES_URL", fresh_database)
    monkeypatch.setenv("HEARTH_SEARCH_WORKERS", "2")
    monkeypatch.setenv("HEARTH_SEARCH_MIN_ROWS", "0")


@pytest.fixture
def studies(fresh_database: str) -> Iterator[StudyStore]:
    with StudyStore(fresh_database) as studies:
        yield studies


class Training:
    """A training of nearest neighbours, task by task."""

    def __init__(self, contract: Contract, store: ObjectStore, registry: Registry) -> None:
        self.contract, self.store, self.registry = contract, store, registry
        self.digest = publish(store, contract, sample_split(contract))
        self.key = name_training(contract.name, "knn", KEY)

    def plan(self, trials: int = TRIALS) -> list[int]:
        arguments = {"digest": self.digest, "trials": trials, "seed": 3, "key": KEY}
        return plan(self.contract.name, "knn", **arguments, store=self.store, registry=self.registry)  # type: ignore[arg-type]

    def work(self, worker: int) -> int:
        return work(self.contract.name, "knn", worker, key=KEY, registry=self.registry)

    def finish(self) -> str | None:
        return finish_training(self.contract.name, "knn", key=KEY, store=self.store, registry=self.registry)

    def runs(self) -> tuple[Run, list[int]]:
        """Return the run of the search, and the numbers of its trials in MLflow."""
        client = MlflowClient(self.registry._connection.uri)
        experiment = client.get_experiment_by_name(trials_experiment(self.contract, "knn"))
        assert experiment is not None
        runs = client.search_runs([experiment.experiment_id])
        [parent] = [run for run in runs if "hearth.trial" not in run.data.tags]
        return parent, sorted(int(run.data.tags["hearth.trial"]) for run in runs if run is not parent)


@pytest.fixture
def training(employees_renamed: Contract, store: ObjectStore, registry: Registry) -> Training:
    return Training(employees_renamed, store, registry)


def test_tasks_share_the_trials_and_the_training_registers_what_one_process_registers(training: Training, studies: StudyStore) -> None:
    assert training.plan() == [0, 1]
    assert training.runs()[0].info.status == "RUNNING"
    assert training.work(0) == TRIALS  # alone until now: with the seed of the search
    assert training.work(1) == 0
    assert training.runs()[1] == list(range(TRIALS))  # while the search is not ended yet

    version = training.finish()

    assert version == "1"
    assert training.runs()[0].info.status == "FINISHED"
    assert studies.find(training.key) is None
    alone = train(
        training.contract.name,
        "knn",
        digest=training.digest,
        trials=TRIALS,
        seed=3,
        key="2",
        store=training.store,
        registry=training.registry,
    )
    params = [training.registry.version(training.contract.name, number).params for number in (version, alone)]
    assert params[0] == params[1]


def test_what_workers_have_left_the_training_runs_and_logs(training: Training, studies: StudyStore) -> None:
    training.plan()
    search = studies.find(training.key)
    assert search
    steps = iter([True, True, False])
    objective = prepare(search)
    defaults = FAMILIES["knn"].defaults
    run_trials(
        studies.join(search, 1), lambda: objective, defaults=defaults, goes_on=lambda: next(steps)
    )  # stored, and died before it logged

    assert training.finish() == "1"
    assert training.runs()[1] == list(range(TRIALS))


def test_a_training_that_is_done_is_neither_planned_nor_searched_again(training: Training) -> None:
    training.plan()
    training.work(0)
    training.finish()

    assert training.plan() == []
    assert training.work(1) == 0
    assert training.finish() == "1"


def test_a_search_that_is_planned_again_leaves_nothing_of_the_first(training: Training) -> None:
    training.plan()
    first = training.runs()[0].info.run_id
    training.work(0)
    training.plan()

    assert training.runs()[0].info.run_id != first
    assert training.runs()[1] == []


def test_without_a_search_the_training_is_told_to_search_itself(training: Training) -> None:
    assert training.finish() is None
    assert training.work(0) == 0
    assert training.plan(trials=TRIALS_OF_A_WORKER) == []


@pytest.mark.parametrize(
    ("rows", "trials", "workers"), [(9_999, 100, 1), (10_000, 100, 4), (10_000, 9, 1), (10_000, 10, 2), (20_000, 19, 3), (20_000, 1, 1)]
)
def test_small_data_and_few_trials_are_searched_by_one_process(rows: int, trials: int, workers: int) -> None:
    assert count_workers(rows, 20_000, trials, SearchWorkersSettings(search_workers=4, search_min_rows=10_000)) == workers


@pytest.mark.parametrize(("rows", "workers"), [(5_999, 1), (6_000, 4)])
def test_a_family_whose_trials_never_use_more_rows_is_shared_when_they_use_all_of_these(rows: int, workers: int) -> None:
    assert count_workers(rows, FAMILIES["svm"].tuning_rows, 100, SearchWorkersSettings(search_workers=4, search_min_rows=10_000)) == workers


def test_the_rows_of_a_trial_are_those_of_the_row_budget(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = len(sample_split(training.contract).X_train)
    monkeypatch.setenv("HEARTH_SEARCH_MIN_ROWS", str(rows))
    assert training.plan() == [0, 1]
    budgeted = replace(FAMILIES["knn"], most_rows=rows - 1)
    monkeypatch.setitem(FAMILIES, "knn", budgeted)

    assert training.plan() == []


def test_a_training_that_was_killed_right_after_it_had_registered_removes_its_search(training: Training, studies: StudyStore) -> None:
    training.plan()
    search = studies.find(training.key)
    assert search
    assert training.finish() == "1"
    studies.create(search)

    assert training.finish() == "1"
    assert studies.find(training.key) is None


def test_a_database_of_searches_that_is_away_does_not_fail_a_training_that_is_done(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    training.plan()
    training.finish()
    monkeypatch.setenv("HEARTH_STUDIES_URL", f"postgresql://nobody@127.0.0.1:{temporary_servers.free_port()}/none")

    assert training.finish() == "1"
