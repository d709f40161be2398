"""The checks for drift and of quality outside Airflow: `hearth monitor`."""

from typing import TYPE_CHECKING, Annotated

import typer

from hearth.cli import values
from hearth.cli.application import MODELS, Command, CommandError, examples
from hearth.cli.checkout import AIRFLOW, enter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from hearth.monitoring.check import ColumnLevel, DriftCheck
    from hearth.monitoring.live_quality import QualityCheck

_ALARM = 3  # the exit code of --fail
_LEVELS = ("warn", "drift", "act")


def register(app: typer.Typer) -> None:
    """Add the command."""
    lines = examples("hearth monitor", "hearth monitor --dataset heart --all-columns", "hearth monitor --fail act")
    app.command(cls=Command, rich_help_panel=MODELS, epilog=lines)(monitor)


def monitor(
    dataset: Annotated[str, values.datasets()] = "all",
    all_columns: Annotated[bool, typer.Option("--all-columns", help="Print the columns that did not move too.")] = False,
    fail: Annotated[
        str | None, typer.Option(metavar="LEVEL", help="End with code 3 at this level or above: warn, drift or act.", show_default=False)
    ] = None,
) -> None:
    """Compare the newest answers of the champion with what it was trained on, and with their labels.

    The checks are those of the DAG monitor: they are stored, and a report of the drift goes to MLflow. They need no Airflow.
    """
    if fail is not None and fail not in _LEVELS:
        raise typer.BadParameter(f"expected one of {', '.join(_LEVELS)}, got {fail!r}.", param_hint="--fail")
    enter(AIRFLOW)
    try:
        from hearth.jobs.live_quality import measure_quality  # noqa: PLC0415 - a help page does not wait for it
        from hearth.jobs.monitor import monitor as check  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise CommandError(f"`hearth monitor` needs an environment with training code: run it in a checkout. {error}") from None
    from hearth.cli.tables import make_console  # noqa: PLC0415
    from hearth.contracts.loading import chosen_contracts  # noqa: PLC0415
    from hearth.monitoring.check import Level  # noqa: PLC0415

    console, reached = make_console(), False
    for contract in chosen_contracts(dataset):
        result = check(contract.name, by_hand=True)
        found = result.check
        if found is None:
            console.print(f"{contract.name}: no version is champion yet, so there is nothing to compare with.")
            continue
        reached = reached or (fail is not None and found.level.rank >= Level(fail).rank)
        _print(console, found, found.columns if all_columns else found.alarming)
        if result.run_id:
            console.print(f"report: MLflow run {result.run_id}, report.html")
        if measured := measure_quality(contract.name, by_hand=True).check:
            _print_quality(console, measured)
    if reached:
        raise typer.Exit(_ALARM)


def _print(console: "Console", found: "DriftCheck", columns: "Sequence[ColumnLevel]") -> None:
    from hearth.cli.tables import make_table  # noqa: PLC0415

    console.print(f"{found.dataset}: {found.summary}")
    if found.quality:
        now, metric = found.quality.now, found.quality.metric
        real = "" if metric is None else f"; on the test set, with labels, {metric:.3f}"
        console.print(f"estimated {now.metric} without labels: {now.value:.3f} ({now.low:.3f} to {now.high:.3f}){real}")
    if found.second_opinion:
        opinion = found.second_opinion
        console.print(f"second opinion: AUC {opinion.auc:.3f} ({opinion.low:.3f} to {opinion.high:.3f}); 0.5 is a guess")
    if columns:
        table = make_table("", "column", "level", "p, corrected", "PSI beyond chance", "what changed most")
        for column in columns:
            table.add_row(column.name, column.level, f"{column.p_value:.2g}", f"{column.difference.psi:.3f}", column.difference.detail)
        console.print(table)


def _print_quality(console: "Console", found: "QualityCheck") -> None:
    console.print(f"with labels: {found.summary}")
    if found.paired:
        metric = found.paired.metric
        console.print(
            f"challenger {found.paired.challenger} on the same {found.paired.rows} records: {found.metric} {metric.figure:+.3f} "
            f"({metric.low:+.3f} to {metric.high:+.3f})"
        )
