"""Sign a version that was registered without our signature: `hearth sign`."""

from typing import Annotated

import typer

from hearth.cli import values
from hearth.cli.application import MODELS, Command, examples
from hearth.cli.audited import audited


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(cls=Command, rich_help_panel=MODELS, epilog=examples("hearth sign employees 7"))(sign)


def sign(
    dataset: Annotated[str, typer.Argument(metavar="DATASET", parser=values.parse_dataset, help="The data set, such as heart.")],
    version: Annotated[str, typer.Argument(metavar="VERSION", help="The number of the version, or an alias that carries it.")],
) -> None:
    """Sign a version of an earlier release, or of an older key.

    The version is downloaded, checked and loaded first. Whoever signs answers for where it is from: services trust it from then on.
    Needs HEARTH_MODEL_SIGNING_KEY. The gate's decision is not signed by this: promote the version over the gate, or run its DAG again.
    """
    from hearth.audit import Action, Draft  # noqa: PLC0415
    from hearth.registry import Registry  # noqa: PLC0415 - a help page does not wait for MLflow
    from hearth.settings import ModelSettings  # noqa: PLC0415

    registry = Registry.from_settings(ModelSettings())
    with audited(Action.VERSION_SIGNED, Draft(dataset, version=version)) as draft:
        found = registry.version(dataset, version)
        draft.version = found.version
        registry.sign(found)
    typer.echo(f"{found} of run {found.run_id} is signed.")
