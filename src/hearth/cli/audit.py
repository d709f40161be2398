"""Who did what, over the REST service: `hearth audit`."""

from datetime import datetime
from typing import Annotated

import typer

from hearth.cli import values
from hearth.cli.application import MODELS, Command, examples
from hearth.cli.remote import ApiKey, AsJson, Timeout, Url, print_json, print_table
from hearth.cli.service import open_client

_SECONDS = "60s"


def register(app: typer.Typer) -> None:
    """Add the command."""
    lines = examples("hearth audit", "hearth audit --action promoted --dataset employees", "hearth audit --actor admin --result refused")
    app.command(cls=Command, rich_help_panel=MODELS, epilog=lines)(audit)


def audit(  # noqa: PLR0913, PLR0917 - options
    action: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this action, such as promoted (default: all).", show_default=False)
    ] = None,
    actor: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only what this key, task or user did (default: all).", show_default=False)
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only those of a data set (default: all).", show_default=False)
    ] = None,
    result: Annotated[str | None, typer.Option(metavar="RESULT", help="Only done, refused or failed ones.", show_default=False)] = None,
    since: Annotated[datetime | None, values.moment("Only at this moment or later.", show_default=False)] = None,
    limit: Annotated[int, values.whole("List so many at most, the newest first.", "--limit", "-n", maximum=1000)] = 50,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """List who did what to which version, record or backup, and whether it was done.

    Needs a key with the scope admin.
    """
    with open_client(url, api_key, timeout) as client:
        page = client.audit(action=action, actor=actor, dataset=dataset, result=result, since=since, limit=limit)
    if as_json:
        return print_json(page)
    rows = [
        [
            f"{entry.at:%Y-%m-%d %H:%M:%S}",
            entry.action,
            entry.result,
            f"{entry.actor_kind} {entry.actor}".strip(),
            f"{entry.door} {entry.address}".strip(),
            entry.dataset,
            entry.alias,
            entry.version,
            entry.subject,
            ", ".join(f"{name}: {value}" for name, value in entry.detail.items()),
        ]
        for entry in page.entries
    ]
    if not rows:
        return typer.echo("no such entries")
    return print_table(["at", "action", "result", "who", "from", "data set", "alias", "version", "of", "detail"], rows)
