"""Search the parameters of a family outside Airflow: `python -m hearth.jobs.tune heart --family random_forest --trials 50 --jobs 2`.

The search is that of the training DAGs: cross-validation on the train set of the data that the ETL published last. Trials are logged in
MLflow's experiment `<family>_optuna`. Nothing is registered: the best parameters are printed in the form of
`airflow/config/model_params.yaml`.
"""

import argparse
import sys
from collections.abc import Callable
from uuid import uuid4

import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from hearth.contracts import Contract, load_contract
from hearth.data.processed import latest_digest, load_processed
from hearth.errors import HearthError
from hearth.jobs.train import SearchPlan, require_family, tune_family
from hearth.logs import configure_logging
from hearth.modelling.tuning import TrialResult, TuningResult
from hearth.registry import Registry
from hearth.settings import RegistrySettings
from hearth.storage import ObjectStore

_INTERRUPTED = 130  # the exit code of a program that Ctrl-C ended
_MOST_TRIALS, _MOST_JOBS = 10_000, 256


def main() -> int:
    """Search and print the best; 0 if there is one."""
    options = _parser().parse_args()
    console = Console(stderr=True)
    configure_logging("tune", "WARNING" if console.is_terminal else "INFO")  # on a terminal the bar shows it
    try:
        contract = load_contract(options.dataset)
        require_family(contract, options.family)
        store, registry = ObjectStore.from_settings(), Registry.from_settings()
        plan = SearchPlan(options.digest or latest_digest(store, contract.name), options.trials, options.seed, options.jobs)
        result = _tune(contract, options.family, plan, store, registry, console)
    except HearthError as error:
        console.print(str(error), style="red", highlight=False, markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print(f"Stopped. Finished trials are in MLflow's experiment {options.family}_optuna.")
        return _INTERRUPTED
    _print(contract, options.family, plan, result)
    return 0


def _tune(  # noqa: PLR0913, PLR0917 - what is tuned, how, and where it is logged and shown
    contract: Contract, family: str, plan: SearchPlan, store: ObjectStore, registry: Registry, console: Console
) -> TuningResult:
    split = load_processed(store, contract.name, plan.digest)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[best]}"),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(f"{contract.name} {family}", total=plan.trials, best="")
        scores: list[float] = []

        def show(trial: TrialResult) -> None:
            if not trial.pruned:
                scores.append(trial.score)
            progress.update(task, advance=1, best=f"best {contract.metric} {max(scores):.4f}" if scores else "")

        return tune_family(contract, family, split, plan, f"{contract.name}/{family}/tune {uuid4()}", registry, show)


def _print(contract: Contract, family: str, plan: SearchPlan, result: TuningResult) -> None:
    defaults, pruned = _defaults(result), sum(trial.pruned for trial in result.trials)
    print(f"{contract.name} {family}, data {plan.digest}: {len(result.trials)} trials, {pruned} of them cut short")  # noqa: T201 - a program for people
    print(f"best {contract.metric} in cross-validation: {result.score:.4f} (defaults: {defaults})")  # noqa: T201
    print(f"trials: {RegistrySettings().mlflow_tracking_uri}, experiment {family}_optuna")  # noqa: T201
    print(yaml.safe_dump({contract.name: {family: dict(result.params)}}, default_flow_style=None, sort_keys=False).rstrip())  # noqa: T201


def _defaults(result: TuningResult) -> str:
    first = result.trials[0]
    return f"{first.score:.4f}" if first.number == 0 else "failed"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m hearth.jobs.tune", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("dataset", help="its name, such as heart")
    parser.add_argument("--family", required=True, help="one of the families that its contract names")
    parser.add_argument("--trials", type=_whole(1, _MOST_TRIALS), default=50, help="sets of parameters to try (default: 50)")
    parser.add_argument(
        "--jobs",
        type=_whole(1, _MOST_JOBS),
        default=1,
        help="trials at the same time, each on one core (default: 1). With more, the same seed no longer gives the same trials",
    )
    parser.add_argument("--seed", type=_whole(0, 2**31 - 1), default=42)
    parser.add_argument("--digest", help="of the processed data (default: the one that the ETL published last)")
    return parser


def _whole(low: int, high: int) -> Callable[[str], int]:
    """Make a reader of whole numbers within bounds."""

    def read(text: str) -> int:
        number = int(text) if text.isascii() and text.isdecimal() else -1
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"must be a whole number from {low} to {high}, got {text!r}")
        return number

    return read


if __name__ == "__main__":
    sys.exit(main())
