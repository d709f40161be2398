"""`hearth data check`: what is suspicious in a raw file before anything is trained."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from hearth.cli import values
from hearth.cli.application import Command, CommandError, examples
from hearth.cli.checkout import AIRFLOW, enter


def register(app: typer.Typer) -> None:
    """Add the command to the group `hearth data`."""
    lines = examples("hearth data check heart.csv --dataset heart --html report.html", "hearth data check staff.csv --fail-on warn")
    app.command(cls=Command, epilog=lines)(check)


def check(
    file: Annotated[Path, typer.Argument(help="A raw file, as the ETL reads it.", exists=True, dir_okay=False)],
    dataset: Annotated[str, values.dataset()] = "employees",
    html: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report with pictures too.", show_default=False)] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the report as JSON too.", show_default=False)] = None,
    fail_on: Annotated[
        Literal["nothing", "stop", "warn"], typer.Option(help="Findings of this level or a more severe one: exit 1.")
    ] = "nothing",
) -> None:
    """Say what is suspicious in a raw file before anything is trained.

    Columns that give the target away or look made from it, copies, contradicted labels, missing values and more; the step `check` of the
    ETL does the same. docs/data-check.md explains each finding.
    """
    enter(AIRFLOW)
    try:
        from hearth.jobs.check_data import check_file  # noqa: PLC0415 - a help page does not wait for pandas
    except ModuleNotFoundError as error:
        raise CommandError(f"`hearth data check` needs an environment with training code: run it in a checkout. {error}") from None
    from hearth.contracts import load_contract  # noqa: PLC0415
    from hearth.settings import RawFileSettings, get_settings  # noqa: PLC0415

    contract = load_contract(dataset, get_settings().data_dir)
    try:
        report, page = check_file(contract, file.read_bytes(), file.name, RawFileSettings().raw_max_bytes)
        for path, content in ((html, page), (json, report.to_json())):
            if path is not None:
                path.write_bytes(content)
    except OSError as error:
        raise CommandError(str(error)) from error
    for line in report.lines():
        typer.echo(line)
    severe = {"nothing": (), "stop": report.at("stop"), "warn": report.at("stop", "warn")}[fail_on]
    if severe:
        raise typer.Exit(1)
