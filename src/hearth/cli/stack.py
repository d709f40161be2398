"""The embedded stack: `hearth demo`, `up`, `down`, `status`, `logs`, `smoke` and `clean`. Programs of the checkout do the work."""

from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from hearth.cli import values
from hearth.cli.application import STACK, Command, examples
from hearth.cli.checkout import EMBEDDED, SERVE, become, enter, option, require_checkout

if TYPE_CHECKING:
    from collections.abc import Callable

Services = Annotated[
    list[str] | None, typer.Argument(metavar="SERVICE", help="Services, as `hearth status` names them.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    commands: dict[Callable[..., None], tuple[str, ...]] = {
        demo: ("hearth demo", "hearth demo --dataset all --trials 3", "hearth demo --rows 5000"),
        up: ("hearth up", "hearth up postgres valkey     # these, and what they need"),
        down: ("hearth down",),
        status: ("hearth status",),
        logs: ("hearth logs stream_worker -f", "hearth logs fastapi | grep ERROR"),
        demo_drift: ("hearth demo-drift", "hearth demo-drift --dataset heart"),
        smoke: ("hearth smoke", "hearth smoke --dataset all --trials 3", "hearth smoke --skip-training"),
        clean: ("hearth clean",),
    }
    for command, lines in commands.items():
        app.command(cls=Command, rich_help_panel=STACK, epilog=examples(*lines))(command)


def demo(
    dataset: Annotated[str, values.datasets()] = "employees",
    trials: Annotated[int | None, values.whole("Optuna trials of each training (default: what the DAGs say).")] = None,
    rows: Annotated[int | None, values.whole("Rows of demo data, where there is no real file.")] = None,
) -> None:
    """Bring a data set from raw file to live predictions.

    Starts the stack, uploads the data, runs ETL and trainings, and asks every interface.
    """
    checkout = require_checkout("demo")
    enter(SERVE)
    from hearth.cli.demo import run_demo  # noqa: PLC0415 - a help page does not wait for tables

    raise typer.Exit(run_demo(checkout, dataset, trials, rows))


def up(services: Services = None) -> None:
    """Start the stack and wait until it is healthy."""
    _stack("up", *(services or ()))


def down() -> None:
    """Stop the stack; its data stay."""
    _stack("down")


def status() -> None:
    """Print the state of each service."""
    _stack("status")


def logs(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="A service, as `hearth status` names it.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing what the service writes.")] = False,
) -> None:
    """Print the end of a service's log."""
    _stack("logs", service, *(["--follow"] if follow else []))


def clean() -> None:
    """Stop the stack and remove all that it wrote.

    That is the object store, the registry, the predictions and the logs of this checkout.
    """
    _stack("clean")


def demo_drift(
    dataset: Annotated[str, typer.Option(metavar="NAME", help="The data set; it has a champion.")] = "employees",
    rate: Annotated[float, values.rate("Records a second.")] = 100,
    limit: Annotated[float, values.duration("The loop fails if it has not closed by then.")] = 900,
) -> None:
    """Let records drift on a running stack and watch the loop close.

    Alarm, labels, retraining, canary, new champion; prints each step with its time and figure.
    """
    checkout = require_checkout("demo-drift")
    enter(SERVE)
    words = [*option("dataset", dataset), *option("rate", f"{rate:g}"), *option("limit", f"{limit:g}")]
    become([checkout.python(SERVE), "-m", "utils.drift_demo", *words], folder=checkout.root)


def smoke(
    dataset: Annotated[str, values.datasets()] = "employees",
    trials: Annotated[int | None, values.whole("Optuna trials of each training (default: what the DAGs say).")] = None,
    skip_training: Annotated[bool, typer.Option("--skip-training", help="Only ask for predictions of the models that are there.")] = False,
) -> None:
    """Use a running stack as a user would.

    Runs the DAGs, asks every interface, and compares the answers with each other and with the registry.
    """
    checkout = require_checkout("smoke")
    enter(SERVE)
    flags = ["--skip-training"] if skip_training else []
    words = [*option("dataset", dataset), *option("trials", trials), *flags]
    become([checkout.python(SERVE), "-m", "utils.smoke", *words], folder=checkout.root)


def _stack(*words: str) -> NoReturn:
    checkout = require_checkout(words[0])
    become([checkout.python(EMBEDDED), "-m", "deploy.embedded.stack", *words], folder=checkout.root)
