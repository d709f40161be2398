"""Versions that are tried on a share of the champion's requests, at the REST service: `hearth rollout`."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hearth.cli.application import MODELS, Command, examples, make_app
from hearth.cli.remote import ApiKey, AsJson, NamedDataset, Timeout, Url, print_json, print_table
from hearth.cli.service import open_client

if TYPE_CHECKING:
    from hearth.client.answers import Rollout

_SECONDS = "60s"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = make_app("Try a version on a share of the champion's requests.")
    group.command(cls=Command, epilog=examples("hearth rollout show employees"))(show)
    group.command(cls=Command, epilog=examples("hearth rollout start employees 7", "hearth rollout start heart 3 --steps 0.1,1"))(start)
    group.command(cls=Command, epilog=examples("hearth rollout stop employees"))(stop)
    for command in (step, pause, resume):
        group.command(cls=Command, epilog=examples(f"hearth rollout {command.__name__} employees"))(command)
    app.add_typer(group, name="rollout", rich_help_panel=MODELS)


def show(
    dataset: NamedDataset,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Show the rollout that runs, with its counts and its history, and those that have ended."""
    with open_client(url, api_key, timeout) as client:
        found = client.rollouts(dataset)
    if as_json:
        return print_json(found)
    if found.running:
        _print(found.running)
    else:
        typer.echo(f"{dataset}: no rollout runs")
    if found.ended:
        rows = [
            [rollout.id, rollout.version, rollout.state, f"{rollout.share:.0%}", rollout.candidate_counts.answers, rollout.reason]
            for rollout in found.ended
        ]
        print_table(["rollout", "version", "end", "share", "answers", "why"], rows)
    return None


def start(  # noqa: PLR0913, PLR0917 - options
    dataset: NamedDataset,
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Number of the candidate.")],
    steps: Annotated[
        str | None, typer.Option(metavar="SHARES", help="Shares that rise, such as 0.01,0.1,1; else those of the contract.")
    ] = None,
    over_gate: Annotated[bool, typer.Option("--over-gate", help="Also if the gate has not passed it; this is written down.")] = False,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Let a version answer a share of the champion's requests. Needs a key with the scope admin."""
    shares = _shares(steps) if steps else None
    with open_client(url, api_key, timeout) as client:
        rollout = client.start_rollout(dataset, version, steps=shares, over_gate=over_gate)
    return print_json(rollout) if as_json else _print(rollout)


def step(
    dataset: NamedDataset,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Go to the next share now; after the last one the candidate becomes champion. Needs a key with the scope admin."""
    _steer(dataset, "step", as_json=as_json, place=(url, api_key, timeout))


def pause(
    dataset: NamedDataset,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Stay at the share until the rollout is resumed; it is still rolled back if something is wrong. Needs a key with the scope admin."""
    _steer(dataset, "pause", as_json=as_json, place=(url, api_key, timeout))


def resume(
    dataset: NamedDataset,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Let a paused rollout step forward again. Needs a key with the scope admin."""
    _steer(dataset, "resume", as_json=as_json, place=(url, api_key, timeout))


def stop(
    dataset: NamedDataset,
    as_json: AsJson = False,
    url: Url = None,
    api_key: ApiKey = None,
    timeout: Timeout = _SECONDS,  # type: ignore[assignment]  # Typer parses it
) -> None:
    """Let the champion answer all requests again, at once. Needs a key with the scope admin."""
    _steer(dataset, "stop", as_json=as_json, place=(url, api_key, timeout))


def _steer(
    dataset: str, action: Literal["step", "pause", "resume", "stop"], *, as_json: bool, place: tuple[str | None, str | None, float]
) -> None:
    with open_client(*place) as client:
        rollout = client.steer_rollout(dataset, action)
    return print_json(rollout) if as_json else _print(rollout)


def _shares(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        message = f"expected shares with commas between them, such as 0.01,0.1,1, got {text!r}"
        raise typer.BadParameter(message, param_hint="--steps") from error


def _print(rollout: "Rollout") -> None:
    share = f"{rollout.share:.1%} of the champion's requests" if rollout.ended_at is None else f"ended at {rollout.share:.1%}"
    typer.echo(f"{rollout.dataset} {rollout.id}: version {rollout.version} instead of {rollout.champion}, {rollout.state}, {share}")
    if rollout.waits_for or rollout.reason:
        typer.echo(rollout.waits_for or rollout.reason)
    print_table(
        ["version", "answers", "errors", "p99 ms"],
        [
            [number, counts.answers, counts.errors, counts.p99_milliseconds]
            for number, counts in ((rollout.version, rollout.candidate_counts), (rollout.champion, rollout.champion_counts))
        ],
    )
    print_table(
        ["at", "event", "share", "why"],
        [[f"{event.at:%Y-%m-%d %H:%M:%S}", event.event, f"{event.share:.1%}", event.reason] for event in rollout.events],
    )
