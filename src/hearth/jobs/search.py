"""The search for a family's parameters, logged to MLflow: in this process, or in several of this machine."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hearth.contracts import Contract
from hearth.contracts.experiment_names import trials_experiment
from hearth.data.cleaning import Split
from hearth.jobs.search_processes import search_in_processes
from hearth.jobs.training_data import row_weights, within_budget
from hearth.modelling.families import FAMILIES
from hearth.modelling.trials import TrialResult, TuningResult
from hearth.registry import InputData, Registry
from hearth.training.folds import FOLDS, require_different_rows
from hearth.training.study_store import Search
from hearth.training.tuning import tune


@dataclass(frozen=True)
class SearchPlan:
    """How parameters are searched: the digest and the address of the data, the number of trials, the seed, how many run at a time."""

    digest: str
    trials: int
    seed: int
    source: str
    jobs: int = 1

    def named(self, key: str, dataset: str, family: str, run_id: str = "") -> Search:
        """Return the search as its workers read it."""
        return Search(key, dataset, family, self.digest, self.trials, self.seed, self.source, run_id)

    @property
    def params(self) -> dict[str, str | float]:
        """What is logged with the search."""
        return {"trials": self.trials, "seed": self.seed, "digest": self.digest}


def name_training(dataset: str, family: str, key: str) -> str:
    """Return the key by which a training finds what it has made before; `key` names it among those of the family."""
    return f"{dataset}/{family}/{key}"


def tune_family(  # noqa: PLR0913, PLR0917 - what is tuned, on what, how, and where it is logged
    contract: Contract,
    family: str,
    split: Split,
    plan: SearchPlan,
    training_key: str,
    registry: Registry,
    on_trial: Callable[[TrialResult], None] = lambda _: None,
) -> TuningResult:
    """Tune a family on the train set; each trial is a run in the family's experiment, below the run that has the result.

    The family's row budget holds for the tuning, too. With more than one job the trials run in processes of this machine, which read the
    data from the object store.

    Raises:
        UntrainableData: a class has too few rows.
        SearchFailed: every trial failed, or the processes did; with one job it is the error of the first trial.
        StudiesUnavailable: there are several jobs, and the database of searches does not answer.
    """
    used = within_budget(contract, family, split)
    with registry.study(
        contract.name,
        family,
        digest=plan.digest,
        training_key=training_key,
        metric=contract.metric,
        params=plan.params,
        experiment=trials_experiment(contract, family),
        data=[input_data(contract, split, plan.digest, plan.source, "training")],
    ) as study:

        def log(trial: TrialResult) -> None:
            study.log_trial(trial)
            on_trial(trial)

        if plan.jobs > 1:
            require_different_rows(contract, used.X_train, used.y_train, FOLDS)
            tuned = search_in_processes(plan.named(training_key, contract.name, family), plan.jobs, on_trial=log)
        else:
            tuned = tune(
                contract,
                used.X_train,
                used.y_train,
                FAMILIES[family],
                trials=plan.trials,
                seed=plan.seed,
                row_weights=row_weights(used),
                on_trial=log,
            )
        study.log_best(tuned)
    return tuned


def input_data(contract: Contract, split: Split, digest: str, source: str, context: Literal["training", "testing"]) -> InputData:
    """Describe the part of a split that a run reads."""
    X, y = (split.X_train, split.y_train) if context == "training" else (split.X_test, split.y_test)
    part, rows = ("train", len(split.train_codes)) if context == "training" else ("test", len(y))
    return InputData(f"{contract.name} {part}", digest, X.assign(**{str(y.name): y}), source, context, rows)
