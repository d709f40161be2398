"""The search for parameters outside Airflow: `hearth tune`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from hearth.cli import values
from hearth.cli.application import MODELS, Command, CommandError, examples
from hearth.cli.checkout import AIRFLOW, enter

if TYPE_CHECKING:
    from hearth.modelling.trials import TrialResult, TuningResult

_INTERRUPTED = 130  # as shells count it
_MOST_TRIALS, _MOST_JOBS = 10_000, 16  # a process keeps two connections to PostgreSQL, which has 100 by default


def register(app: typer.Typer) -> None:
    """Add the command."""
    lines = examples("hearth tune heart --family random_forest --trials 50 --jobs 2")
    app.command(cls=Command, rich_help_panel=MODELS, epilog=lines)(tune)


def tune(  # noqa: PLR0913, PLR0917 - each is an option
    dataset: Annotated[str, typer.Argument(metavar="DATASET", parser=values.parse_dataset, help="The data set, such as heart.")],
    family: Annotated[str, typer.Option(metavar="FAMILY", help="A family that the contract of the data set names.")],
    trials: Annotated[int, values.whole("Sets of parameters to try.", maximum=_MOST_TRIALS)] = 50,
    jobs: Annotated[
        int, values.whole("Processes, a core each, that run trials; with 2 or more, a seed does not repeat them.", maximum=_MOST_JOBS)
    ] = 1,
    seed: Annotated[int, values.seed("The same seed tries the same parameters.")] = 42,
    digest: Annotated[
        str | None, typer.Option(metavar="DIGEST", help="The processed data (default: what the ETL has published last).")
    ] = None,
) -> None:
    """Search the parameters of a family.

    The search is that of the training DAGs, by cross-validation on the train set; nothing is registered.
    Trials go to the family's experiment in MLflow. The best parameters are printed as airflow/config/model_params.yaml takes them.
    """
    enter(AIRFLOW)
    try:
        from hearth.jobs.search import SearchPlan, tune_family  # noqa: PLC0415 - a help page does not wait for Optuna
        from hearth.jobs.train import require_family  # noqa: PLC0415
        from hearth.jobs.training_data import open_split  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise CommandError(f"`hearth tune` needs an environment with training code: run it in a checkout. {error}") from None
    import yaml  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415

    from hearth.contracts import load_contract  # noqa: PLC0415
    from hearth.contracts.experiment_names import trials_experiment  # noqa: PLC0415
    from hearth.data.processed import latest_digest, split_source  # noqa: PLC0415
    from hearth.logs import configure_logging  # noqa: PLC0415
    from hearth.registry import Registry  # noqa: PLC0415
    from hearth.settings import RegistrySettings  # noqa: PLC0415
    from hearth.storage import ObjectStore  # noqa: PLC0415

    console = Console(stderr=True)
    configure_logging("tune", "WARNING" if console.is_terminal else "INFO")  # on a terminal the bar shows the trials
    contract = load_contract(dataset)
    require_family(contract, family)
    store, registry = ObjectStore.from_settings(), Registry.from_settings()
    digest = digest or latest_digest(store, contract.name)
    plan = SearchPlan(digest, trials, seed, split_source(store, contract.name, digest), jobs)
    experiment = trials_experiment(contract, family)
    try:
        with open_split(store, contract, plan.digest) as split, _progress(f"{contract.name} {family}", trials, contract.metric) as show:
            result = tune_family(contract, family, split, plan, f"{contract.name}/{family}/tune {uuid4()}", registry, show)
    except KeyboardInterrupt:
        console.print(f"Stopped. The finished trials are in MLflow's experiment {experiment}.")
        raise typer.Exit(_INTERRUPTED) from None
    pruned = sum(trial.pruned for trial in result.trials)
    typer.echo(f"{contract.name} {family}, data {plan.digest}: {len(result.trials)} trials, {pruned} of them pruned")
    typer.echo(f"best {contract.metric} in cross-validation: {result.score:.4f} (defaults: {_defaults_score(result)})")
    typer.echo(f"trials: {RegistrySettings().mlflow_tracking_uri}, experiment {experiment}")
    typer.echo(yaml.safe_dump({contract.name: {family: dict(result.params)}}, default_flow_style=None, sort_keys=False).rstrip())


def _defaults_score(result: "TuningResult") -> str:
    first = result.trials[0]
    return f"{first.score:.4f}" if first.number == 0 else "failed"


@contextmanager
def _progress(title: str, trials: int, metric: str) -> Iterator[Callable[["TrialResult"], None]]:
    """Yield a function that shows each trial on a progress bar, with the best score."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn  # noqa: PLC0415

    text, best = TextColumn("{task.description}"), TextColumn("{task.fields[best]}")
    columns = (text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn(), best)
    scores: list[float] = []
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task(title, total=trials, best="")

        def show(trial: "TrialResult") -> None:
            if not trial.pruned:
                scores.append(trial.score)
            progress.update(task, advance=1, best=f"best {metric} {max(scores):.4f}" if scores else "")

        yield show
