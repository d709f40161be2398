"""What somebody should look at, over the REST service: `hearth alerts`, and `--acknowledge` or `--resolve` one of them."""

import getpass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from hearth.cli import values
from hearth.cli.application import MODELS, Command, examples
from hearth.cli.remote import ApiKey, AsJson, Timeout, Url, print_json, print_table
from hearth.cli.service import open_client

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hearth.client.answers import AlertHistory, AlertInfo

_SECONDS = "60s"
_STACK = "the stack"


class State(StrEnum):
    """Where an alert is."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


Id = Annotated[int | None, typer.Argument(metavar="ID", min=1, help="Show one alert with what happened to it.", show_default=False)]


def register(app: typer.Typer) -> None:
    """Add the command."""
    lines = examples("hearth alerts", "hearth alerts --state open --dataset employees", "hearth alerts 7 --acknowledge --by Ada")
    app.command(cls=Command, rich_help_panel=MODELS, epilog=lines)(alerts)


def alerts(  # noqa: PLR0913, PLR0917 - options
    alert_id: Id = None,
    state: Annotated[State | None, typer.Option(help="Only these (default: all).", show_default=False)] = None,
    dataset: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only those of a data set (default: all).", show_default=False)
    ] = None,
    limit: Annotated[int, values.whole("List so many at most.", maximum=500)] = 100,
    acknowledge: Annotated[bool, typer.Option("--acknowledge", help="Take the alert ID up; needs a key with the scope admin.")] = False,
    resolve: Annotated[str | None, typer.Option(metavar="WHY", help="Say that the alert ID is over, and why.", show_default=False)] = None,
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who does so (default: your user on this machine).", show_default=False)
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """List alerts, the open ones first; or show, acknowledge or resolve one of them."""
    if acknowledge and resolve is not None:
        raise typer.BadParameter("give --acknowledge or --resolve, not both.")
    if alert_id is None and (acknowledge or resolve is not None):
        raise typer.BadParameter("give the ID of the alert, which `hearth alerts` lists.")
    with open_client(url, api_key, timeout) as client:
        if alert_id is None:
            listed = client.alerts(state=state, dataset=dataset, limit=limit)
            return print_json(listed) if as_json else _print_list(listed.alerts)
        if acknowledge or resolve is not None:
            name = by or getpass.getuser()
            changed = client.acknowledge_alert(alert_id, by=name) if acknowledge else client.resolve_alert(alert_id, why=resolve, by=name)
            return print_json(changed) if as_json else _print_list([changed])
        found = client.alert(alert_id)
    return print_json(found) if as_json else _print(found)


def _print_list(found: "Sequence[AlertInfo]") -> None:
    rows = [
        [
            alert.id,
            alert.state,
            alert.severity,
            alert.dataset or _STACK,
            alert.kind,
            f"{alert.opened_at:%Y-%m-%d %H:%M:%S}",
            alert.times,
            alert.acknowledged_by if alert.state == State.ACKNOWLEDGED else alert.resolved_by,
            alert.summary,
        ]
        for alert in found
    ]
    if not rows:
        return typer.echo("no alerts")
    return print_table(["id", "state", "severity", "of", "kind", "opened at", "times", "by", "summary"], rows)


def _print(found: "AlertHistory") -> None:
    alert = found.alert
    typer.echo(f"{alert.id}: {alert.severity}, {alert.dataset or _STACK}, {alert.kind}: {alert.summary}")
    for name, value in alert.detail.items():
        typer.echo(f"  {name}: {value}")
    print_table(
        ["at", "event", "severity", "by", "text"],
        [[f"{event.at:%Y-%m-%d %H:%M:%S}", event.event, event.severity, event.by, event.text] for event in found.events],
    )
    if found.deliveries:
        typer.echo()
        rows = [
            [sent.event, sent.channel, sent.attempts, "sent" if sent.sent_at else "given up" if sent.gave_up_at else "waiting", sent.error]
            for sent in found.deliveries
        ]
        print_table(["event", "sent by", "attempts", "state", "last error"], rows)
