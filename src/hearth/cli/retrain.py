"""Training again on served records: `hearth retrain` and `hearth retrains`."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from hearth.cli import values
from hearth.cli.airflow_api import open_airflow
from hearth.cli.application import MODELS, Command, examples
from hearth.cli.remote import ApiKey, AsJson, NamedDataset, Timeout, Url, print_json, print_table
from hearth.cli.service import open_client

if TYPE_CHECKING:
    from hearth.client.answers import MetricDifference, RetrainList

_SECONDS = "60s"


class DeployWay(StrEnum):
    """How a version is deployed."""

    DIRECT = "direct"
    SHADOW = "shadow"
    CANARY = "canary"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    lines = examples(
        "hearth retrain employees --dry-run", "hearth retrain employees --family lightgbm --trials 20", "hearth retrain heart --force"
    )
    app.command(cls=Command, rich_help_panel=MODELS, epilog=lines)(retrain)
    lines = examples("hearth retrains employees", "hearth retrains heart --limit 5 --json")
    app.command(cls=Command, rich_help_panel=MODELS, epilog=lines)(retrains)


def retrain(  # noqa: PLR0913, PLR0917 - options
    dataset: NamedDataset,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be decided now, and start nothing.")] = False,
    family: Annotated[
        list[str] | None, typer.Option(metavar="FAMILY", help="Train this family; several times for several. Default: the champion's.")
    ] = None,
    trials: Annotated[int | None, values.whole("Sets of parameters to try for each candidate.", show_default=False)] = None,
    way: Annotated[
        DeployWay | None, typer.Option(help="How it is deployed if it is better (default: as the contract says).", show_default=False)
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Train also if the last retraining had all labels.")] = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Train again on labelled records that were served.

    It starts the DAG retrain, in which the decision is made: too few labels, and a retraining that runs, hold up a person too. Needs a
    login of Airflow, except for --dry-run: HEARTH_AIRFLOW_URL, HEARTH_AIRFLOW_USER and HEARTH_AIRFLOW_PASSWORD.
    """
    if dry_run:
        with open_client(url, api_key, timeout) as client:
            found = client.retrains(dataset, limit=1).next
        typer.echo(f"{dataset}: {found.state}: {found.why}.")
        typer.echo(f"{found.labels} labelled records, {found.new_labels} of them new; a retraining takes {found.needed}.")
        if found.until:
            typer.echo(f"It can be another answer from {found.until:%Y-%m-%d %H:%M:%S} UTC on.")
        return
    from hearth.contracts.airflow_names import RETRAIN, dag_id  # noqa: PLC0415 - a help page does not wait for pydantic
    from hearth.contracts.loading import chosen_contracts  # noqa: PLC0415

    [contract] = chosen_contracts(dataset)
    name = dag_id(contract, RETRAIN)
    conf = {
        "force": force,
        **({"families": family} if family else {}),
        **({"trials": trials} if trials else {}),
        **({"way": way.value} if way else {}),
    }
    with open_airflow(timeout) as airflow:
        body = {"logical_date": None, "conf": conf, "note": f"hearth retrain, {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"}
        run = airflow.send("POST", f"/api/v2/dags/{name}/dagRuns", f"the run of {name}", body)
    typer.echo(f"{name} is started: run {run['dag_run_id']}. `hearth retrains {dataset}` says what is decided.")


def retrains(  # noqa: PLR0913, PLR0917 - options
    dataset: NamedDataset,
    limit: Annotated[int, values.whole("How many, the newest first.", "--limit", "-n", maximum=500)] = 20,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """List the decisions about training again, and what would be decided now."""
    with open_client(url, api_key, timeout) as client:
        listed = client.retrains(dataset, limit=limit)
    return print_json(listed) if as_json else _print(listed)


def _print(listed: "RetrainList") -> None:
    typer.echo(f"now: {listed.next.state}: {listed.next.why}")
    rows = [
        [f"{each.decided_at:%Y-%m-%d %H:%M}", each.state, each.trigger, each.version, _gain(each.recent), _gain(each.old), each.why]
        for each in listed.retrains
    ]
    if rows:
        print_table(["decided at", "state", "trigger", "version", "newest", "old test", "why"], rows)


def _gain(difference: "MetricDifference | None") -> str | None:
    return f"{difference.value:+.3f} ({difference.low:+.3f} to {difference.high:+.3f})" if difference else None
