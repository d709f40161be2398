"""What the monitor found last, from the REST service: `hearth drift`."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hearth.cli import values
from hearth.cli.application import MODELS, Command, examples
from hearth.cli.remote import ApiKey, AsJson, NamedDataset, Timeout, Url, print_json, print_table
from hearth.cli.service import open_client

if TYPE_CHECKING:
    from hearth.client.answers import Drift

_SECONDS = "60s"


def register(app: typer.Typer) -> None:
    """Add the command."""
    lines = examples("hearth drift employees", "hearth drift heart --history 20")
    app.command(cls=Command, rich_help_panel=MODELS, epilog=lines)(drift)


def drift(  # noqa: PLR0913, PLR0917 - options
    dataset: NamedDataset,
    history: Annotated[int | None, values.whole("List so many of the newest checks instead of the newest one.", maximum=500)] = None,
    at: Annotated[datetime | None, values.moment("The newest check that was made by this moment.")] = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Show the newest check for drift; `hearth monitor` makes one."""
    with open_client(url, api_key, timeout) as client:
        if history is not None:
            listed = client.drift_history(dataset, limit=history)
            if as_json:
                return print_json(listed)
            rows = [
                [
                    f"{check.checked_at:%Y-%m-%d %H:%M:%S}",
                    check.version,
                    check.level,
                    check.records,
                    ", ".join(column.name for column in check.columns if column.level not in {"ok", "not_enough"}) or None,
                ]
                for check in listed.checks
            ]
            return print_table(["checked at", "version", "level", "records", "columns"], rows)
        found = client.drift(dataset, at=at)
    return print_json(found) if as_json else _print(found)


def _print(found: "Drift") -> None:
    typer.echo(f"{found.dataset}, checked {found.checked_at:%Y-%m-%d %H:%M:%S} UTC: {found.summary}")
    if found.quality:
        now = found.quality
        typer.echo(f"estimated {now.metric} without labels: {now.value:.3f} ({now.low:.3f} to {now.high:.3f})")
    rows = [[column.name, column.level, column.p_value, column.psi, column.detail] for column in found.columns]
    if rows:
        print_table(["column", "level", "p, corrected", "PSI", "what changed most"], rows)
