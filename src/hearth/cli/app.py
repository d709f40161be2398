"""The command `hearth`: its groups, in the order of the help page. Commands import what they need when they run, so that help is fast."""

from typing import Annotated, NoReturn

import typer

from hearth.cli import (
    alerts,
    approval,
    audit,
    backup,
    contract_draft,
    data,
    data_check,
    data_report,
    doctor,
    drift,
    feedback,
    housekeeping,
    monitor,
    quality,
    remote,
    replay,
    retrain,
    rollout,
    score,
    secrets,
    sign,
    stack,
    store,
    tune,
)
from hearth.cli.application import DATA, examples, make_app, run

app = make_app("Hearth takes a tabular data set from raw file to live predictions.")
data_app = make_app("Make, upload, describe and check data.")


def _print_version(requested: bool) -> None:
    if requested:
        from importlib.metadata import version  # noqa: PLC0415 - a tenth of a second that help does not need

        typer.echo(f"hearth {version('hearth')}")
        raise typer.Exit


@app.callback(
    epilog=examples("hearth demo", "hearth COMMAND --help") + "\n\nExit codes: 0 it worked, 1 it failed, 2 wrong usage, 130 interrupted."
)
def hearth(
    _: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")] = False,
) -> None:
    """Hearth takes a tabular data set from raw file to live predictions."""


stack.register(app)
doctor.register(app)
app.add_typer(data_app, name="data", rich_help_panel=DATA)
data.register(data_app)
contract_draft.register(data_app)
data_check.register(data_app)
data_report.register(data_app)
tune.register(app)
monitor.register(app)
remote.register(app)
score.register(app)
approval.register(app)
drift.register(app)
quality.register(app)
retrain.register(app)
alerts.register(app)
audit.register(app)
feedback.register(app)
rollout.register(app)
sign.register(app)
store.register(app)
backup.register(app)
secrets.register(app)
housekeeping.register(app)
replay.register(app)


def main() -> NoReturn:
    """Run the command line."""
    run(app, "hearth")
