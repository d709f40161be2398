from importlib.metadata import version
from typing import Annotated, NoReturn

import typer

from hearth.cli import contract_draft, remote
from hearth.cli.application import DATA, make_app, run

app = make_app("Hearth takes a tabular data set from raw file to live predictions.")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hearth {version('hearth')}")
        raise typer.Exit


@app.callback()
def hearth(
    _: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    """Hearth takes a tabular data set from raw file to live predictions."""


data_app = make_app("Make, upload and describe data.")
app.add_typer(data_app, name="data", rich_help_panel=DATA)
contract_draft.register(data_app)
remote.register(app)


def main() -> NoReturn:
    """Run the command line."""
    run(app, "hearth")
