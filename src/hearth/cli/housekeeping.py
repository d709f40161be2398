"""What nothing refers to is removed: `hearth housekeeping`."""

from typing import Annotated

import typer

from hearth.cli.application import STACK, Command, examples
from hearth.cli.checkout import SERVE, enter


def register(app: typer.Typer) -> None:
    """Add the command."""
    lines = examples("hearth housekeeping", "hearth housekeeping --apply")
    app.command(cls=Command, rich_help_panel=STACK, epilog=lines)(housekeeping)


def housekeeping(
    applies: Annotated[bool, typer.Option("--apply", help="Remove it. Without this, nothing is changed.")] = False,
    names: Annotated[bool, typer.Option("--names", help="Print the name of each thing that goes, too.")] = False,
) -> None:
    """Find, and remove, old versions, runs and processed data that nothing refers to, and lost files.

    HEARTH_HOUSEKEEPING_DAYS says what is old. Runs and processed data go into a trash first. It may be given again at any time.
    """
    enter(SERVE)
    from hearth.housekeeping import keep_house  # noqa: PLC0415 - a help page does not wait for pandas
    from hearth.housekeeping.report import KEPT, SKIPPED  # noqa: PLC0415

    report = keep_house(applies=applies)
    for item in report.items if names else ():
        if item.action not in {KEPT, SKIPPED}:
            typer.echo(f"{item.what} {item.name}: {item.action}")
    typer.echo(report.to_text())
