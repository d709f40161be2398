"""A process that works on a shared search with an objective of its own; run by tests: URL, key, number, `quick` or `stuck`."""

import sys
import time

import optuna

from hearth.modelling.trials import TrialResult
from hearth.training.search_worker import run_trials
from hearth.training.study_store import StudyStore

url, key, worker, mode = sys.argv[1:]


def objective(trial: optuna.Trial, number: int) -> TrialResult:
    """Score by the parameter alone; a `stuck` process never comes to an end of its trial."""
    x = trial.suggest_float("x", 0, 1)
    print(f"begun {number} {x!r}", flush=True)  # noqa: T201 - what the test waits for
    while mode == "stuck":
        time.sleep(60)
    return TrialResult(number, {"x": x}, (x, x), pruned=False)


with StudyStore(url) as store:
    search = store.find(key)
    assert search is not None
    print(f"joined {run_trials(store.join(search, int(worker)), lambda: objective, defaults={'x': 0.5})}")  # noqa: T201
