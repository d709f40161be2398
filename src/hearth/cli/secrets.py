"""New secrets for old ones on a running stack: `hearth secrets`. A program of the checkout does the work."""

from typing import Annotated, NoReturn

import typer

from hearth.cli.application import STACK, Command, examples, make_app
from hearth.cli.checkout import EMBEDDED, become, require_checkout

Compose = Annotated[bool, typer.Option("--compose", help="Write .env.local and print what to run for the Compose stack.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = make_app("Rotate passwords and keys of a running stack.")
    group.command("list", cls=Command, epilog=examples("hearth secrets list"))(list_)
    lines = examples(
        "hearth secrets rotate HEARTH_POSTGRES_MONITOR_PASSWORD",
        "hearth secrets rotate HEARTH_API_ADMIN_KEY api:reporting    # the old ones hold until `hearth secrets retire`",
        "hearth secrets rotate all",
        "hearth secrets rotate all --compose",
    )
    group.command(cls=Command, epilog=lines)(rotate)
    group.command(cls=Command, epilog=examples("hearth secrets retire"))(retire)
    app.add_typer(group, name="secrets", rich_help_panel=STACK)


def list_() -> None:
    """Say what can be rotated, which services start again, and what becomes of the old value."""
    _program("list")


def rotate(
    secrets: Annotated[list[str], typer.Argument(metavar="SECRET", help="Settings, api:NAME for a key of HEARTH_API_KEYS, or all.")],
    compose: Compose = False,
) -> None:
    """Give secrets new values.

    Servers that can are told first; then .env.local gets the values, and what uses them starts again, one service after the other. No value
    is printed. One that was interrupted is finished by the next call.
    """
    _program("rotate", *secrets, *(["--compose"] if compose else []))


def retire(compose: Compose = False) -> None:
    """Have API keys and signing keys that were rotated hold no longer.

    First make sure that every caller has the new key, and that versions signed by an older key are signed anew (`hearth sign`).
    """
    _program("retire", *(["--compose"] if compose else []))


def _program(*words: str) -> NoReturn:
    checkout = require_checkout("secrets")
    become([checkout.python(EMBEDDED), "-m", "deploy.rotation", *words], folder=checkout.root)
