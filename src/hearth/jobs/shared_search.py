"""A search that several tasks of Airflow work on: planned by one, run by any number, ended by the training."""

import logging

from hearth.contracts import load_contract
from hearth.contracts.experiment_names import trials_experiment
from hearth.data.processed import read_manifest, split_source
from hearth.errors import SearchRemoved
from hearth.jobs.search import SearchPlan, input_data, name_training
from hearth.jobs.search_processes import prepare
from hearth.jobs.training_data import open_split, row_budget
from hearth.logs import about
from hearth.modelling.families import FAMILIES
from hearth.modelling.trials import TrialResult, TuningResult
from hearth.registry import Registry
from hearth.registry.study import Study
from hearth.settings import SearchWorkersSettings
from hearth.storage import ObjectStore
from hearth.training.objective import best_of
from hearth.training.search_figure import draw_search
from hearth.training.search_worker import run_trials
from hearth.training.shared_study import SharedStudy
from hearth.training.study_store import Search, StudyStore

_LOGGER = logging.getLogger(__name__)
TRIALS_OF_A_WORKER = 5  # for fewer a task does not pay


def count_workers(rows: int, most_rows: int, trials: int, settings: SearchWorkersSettings) -> int:
    """Return how many tasks search the parameters of a training on so many train rows; 1: it does so alone.

    `most_rows` is what a trial of the family uses at most: more rows do not make it slower.
    """
    if rows < min(settings.search_min_rows, most_rows):
        return 1
    return max(1, min(settings.search_workers, trials // TRIALS_OF_A_WORKER))


def plan(  # noqa: PLR0913 - all but the first two are named
    dataset: str,
    family: str,
    *,
    digest: str,
    trials: int,
    seed: int,
    key: str,
    store: ObjectStore | None = None,
    registry: Registry | None = None,
) -> list[int]:
    """Begin a search and return the numbers of its workers, none if the training is to search alone. `key` is that of the training.

    What an earlier call with the same key began is removed, in MLflow too. There is nothing to search if its version is registered.

    Raises:
        ObjectNotFound: the ETL has not written these data.
        StudiesUnavailable, RegistryUnavailable, StorageUnavailable: a server does not answer.
    """
    contract, store, registry = load_contract(dataset), store or ObjectStore.from_settings(), registry or Registry.from_settings()
    training_key = name_training(dataset, family, key)
    if registry.find(dataset, training_key):
        _LOGGER.info("%s has registered its version before", training_key, extra=about(dataset))
        return []
    rows, budget = read_manifest(store, dataset, digest).train_rows, row_budget(contract, family)
    rows = rows if budget is None else min(rows, budget)
    workers = count_workers(rows, FAMILIES[family].tuning_rows, trials, SearchWorkersSettings())
    _LOGGER.info("%s: %d trials on %d train rows, %d at a time", training_key, trials, rows, workers, extra=about(dataset))
    if workers == 1:
        return []
    search = SearchPlan(digest, trials, seed, split_source(store, dataset, digest))
    with (
        StudyStore.from_settings() as studies,
        open_split(store, contract, digest) as split,
        registry.study(
            dataset,
            family,
            digest=digest,
            training_key=training_key,
            metric=contract.metric,
            params={**search.params, "workers": workers},
            experiment=trials_experiment(contract, family),
            data=[input_data(contract, split, digest, search.source, "training")],
            ends=False,
        ) as study,
    ):
        studies.create(search.named(training_key, dataset, family, study.run_id))
    return list(range(workers))


def work(dataset: str, family: str, worker: int, *, key: str, registry: Registry | None = None) -> int:
    """Run trials of a search while there are any to take; return how many, 0 if the search is over.

    Raises:
        UntrainableData: a class has too few rows.
        StudiesUnavailable, RegistryUnavailable, StorageUnavailable: a server does not answer; the search stays as it is.
    """
    training_key = name_training(dataset, family, key)
    with StudyStore.from_settings() as studies:
        search = studies.find(training_key)
        if search is None:
            _LOGGER.info("The search %s is over.", training_key)
            return 0
        try:
            study, logged = studies.join(search, worker), _logged(search, registry or Registry.from_settings())
            with studies.errors():
                return _run(study, search, logged, until_done=False)
        except SearchRemoved as error:  # between the two looks
            _LOGGER.info("%s", error)
            return 0


def finish(search: Search, registry: Registry, studies: StudyStore) -> TuningResult:
    """Run what other tasks have left, wait for none to be at work, log the result and return it.

    Raises:
        SearchFailed: every trial failed.
        SearchRemoved: another process has ended the search meanwhile.
        UntrainableData, StudiesUnavailable, RegistryUnavailable, StorageUnavailable: as `work`.
    """
    logged = _logged(search, registry)
    with logged.ending(), studies.errors():
        study = studies.join(search, _FINISHING)
        _run(study, search, logged, until_done=True)
        study.require_score()
        ended = study.ended()
        known = logged.logged_trials()
        for trial in ended:
            if trial.result.number not in known:  # its worker died, or MLflow was away, before it was logged
                logged.log_shared(trial.result)
        tuned = best_of([trial.result for trial in ended])
        logged.log_picture("search.png", draw_search(ended, load_contract(search.dataset).metric, f"{search.family} for {search.dataset}"))
        logged.log_best(tuned)
    return tuned


_FINISHING = 1_000  # the number of the training as a worker: no task has it


def _run(study: SharedStudy, search: Search, logged: Study, *, until_done: bool) -> int:
    def log(trial: TrialResult) -> None:
        logged.log_shared(trial)
        _log_progress(study, search)

    ran = run_trials(study, lambda: prepare(search), defaults=FAMILIES[search.family].defaults, until_done=until_done, on_trial=log)
    _LOGGER.info("%s: %d trials ran in this task", search.key, ran, extra=about(search.dataset))
    return ran


def _log_progress(study: SharedStudy, search: Search) -> None:
    progress, scored = study.progress(), [trial.result for trial in study.ended() if not trial.result.pruned]
    best = max((result.score for result in scored), default=float("nan"))
    _LOGGER.info(
        "%s: %d of %d trials have ended (%d failed), %d are at work; best %.4f",
        search.key,
        progress.scored + progress.failed,
        progress.trials,
        progress.failed,
        progress.running,
        best,
        extra=about(search.dataset),
    )


def _logged(search: Search, registry: Registry) -> Study:
    return registry.joined_study(search.run_id, load_contract(search.dataset).metric)
