"""What more workers gain a search: `make bench-search [BENCH_FLAGS="--seconds 10 --workers 1 --workers 2"]`.

A trial sleeps, so that cores do not limit what is measured: the handing out of trials, the sampler, and Optuna's tables in a real
PostgreSQL. Each worker is a process, as a task of Airflow is; the clock runs from the moment when all of them have joined the search, and
have imported what they need. Handing out a trial is work of a processor, so the figures are those of a machine that does nothing else.
"""

import multiprocessing
import time
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from typing import TYPE_CHECKING, Annotated

import optuna
import typer

from deploy.embedded import temporary_servers
from hearth.cli import values
from hearth.cli.application import run_program
from hearth.cli.tables import make_console, make_table
from hearth.modelling.trials import TrialResult
from hearth.training.objective import make_sampler
from hearth.training.search_worker import run_trials
from hearth.training.study_store import Search, StudyStore

if TYPE_CHECKING:
    from multiprocessing.queues import SimpleQueue

_FOLDS = 5
_WORKERS = (1, 2, 4)
_SEED = 1


@dataclass(frozen=True)
class Measured:
    """A search: its workers, trials that have a score, seconds from the first trial's begin to the last one's end, and of processors."""

    workers: int
    trials: int
    seconds: float
    processor_seconds: float

    @property
    def rate(self) -> float:
        """Trials a second."""
        return self.trials / self.seconds


def main(
    seconds: Annotated[float, typer.Option(min=0.0, help="How long a trial sleeps.")] = 10,
    rounds: Annotated[int, values.whole("Trials of each worker.")] = 4,
    workers: Annotated[list[int] | None, values.whole("Workers of a search; may be repeated (default: 1, 2, 4).", "--workers")] = None,
) -> None:
    """Measure the trials a second of searches with more and more workers."""
    table = make_table(
        f"trials that sleep {seconds:g} s",
        "workers",
        "trials",
        "seconds",
        "trials a minute",
        "speed-up",
        "a worker",
        "a trial beside its sleep",
        "of a processor",
    )
    with temporary_servers.postgres() as url:
        measured = [_measure(url, count, rounds, seconds) for count in workers or _WORKERS]
    alone = measured[0].rate / measured[0].workers
    for search in measured:
        gain = search.rate / alone
        own = 1000 * (search.workers / search.rate - seconds)
        row = (f"{search.seconds:.1f}", f"{60 * search.rate:.1f}", f"{gain:.2f}", f"{gain / search.workers:.2f}", f"{own:,.0f} ms")
        processor = f"{1000 * search.processor_seconds / search.trials:,.0f} ms"
        table.add_row(str(search.workers), str(search.trials), *row, processor)
    make_console().print(table)


def _measure(url: str, workers: int, rounds: int, seconds: float) -> Measured:
    database = temporary_servers.create_database(url, f"search_{workers}")
    search = Search(f"benchmark/{workers}", "none", "none", "none", workers * rounds, _SEED, "none")
    with StudyStore(database) as store:
        study = store.create(search)
        context = multiprocessing.get_context("spawn")
        ready, told = context.Barrier(workers), context.SimpleQueue()
        arguments = [(database, search.key, worker, seconds, ready, told) for worker in range(workers)]
        processes = [context.Process(target=_work, args=each) for each in arguments]
        for process in processes:
            process.start()
        spans = [told.get() for _ in processes]
        for process in processes:
            process.join()
        begun, ended, processor = zip(*spans, strict=True)
        return Measured(workers, len(study.ended()), max(ended) - min(begun), sum(processor))


def _work(  # noqa: PLR0913, PLR0917 - of another process
    url: str, key: str, worker: int, seconds: float, ready: Barrier, told: "SimpleQueue[tuple[float, float, float]]"
) -> None:
    def objective(trial: optuna.Trial, number: int) -> TrialResult:
        x, y = trial.suggest_float("x", 0, 1), trial.suggest_float("y", 1e-3, 1, log=True)
        for step in range(_FOLDS):
            time.sleep(seconds / _FOLDS)
            trial.report(x * y, step)
            trial.should_prune()  # asked, as trainings do, and never done: all trials take as long
        return TrialResult(number, {"x": x, "y": y}, (x * y,) * _FOLDS, pruned=False)

    with StudyStore(url) as store:
        search = store.find(key)
        if search is None:
            raise RuntimeError(key)
        study = store.join(search, worker)
        optuna.create_study(sampler=make_sampler(_SEED)).optimize(
            _suggest, n_trials=12
        )  # what it imports is imported before the clock runs
        ready.wait()
        begun, processor = time.time(), time.process_time()
        run_trials(study, lambda: objective, defaults={"x": 0.5, "y": 0.1})
        told.put((begun, time.time(), time.process_time() - processor))


def _suggest(trial: optuna.Trial) -> float:
    return float(trial.suggest_float("x", 0, 1) * trial.suggest_float("y", 1e-3, 1, log=True))


if __name__ == "__main__":
    run_program(main)
