from importlib.metadata import version
from typing import Annotated

import typer

app = typer.Typer(name="hearth", no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hearth {version('hearth')}")
        raise typer.Exit


@app.callback()
def hearth(
    _: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    """Hearth takes a tabular data set from raw file to live predictions."""


def main() -> None:
    """Run the command line."""
    app(prog_name="hearth")
